import { types } from "node:util";
import { argumentError, show } from "../checks.js";
import { Module } from "../nn/module.js";
import { functionTeacher, type TeacherFunction } from "./function_teacher.js";
import { live, type NetworkTeacherOptions } from "./live.js";
import { isTeacher, type Teacher } from "./teacher.js";

/** A network as a live teacher, a teacher as it is, or a function of the batch as a teacher. */
export function asTeacher(source: Module | Teacher | TeacherFunction, options: NetworkTeacherOptions): Teacher {
  if (source instanceof Module) return live(source, { mode: options.mode, taps: options.taps });
  if (isTeacher(source)) return source;
  if (typeof source === "function") return functionTeacher(source);
  if (types.isPromise(source)) {
    const text = "got a promise: await it, as in distill({ teacher: await logitsFile(file), ... })";
    throw argumentError("teacher", text);
  }
  const text = `expected a Module, a Teacher or a function of the batch, got ${show(source)}${adviceFor(source)}`;
  throw argumentError("teacher", text);
}

/** What makes a teacher of what a command line or a configuration file takes. */
function adviceFor(source: unknown): string {
  if (Array.isArray(source)) return ": averaged([...]) makes one of several";
  if (typeof source !== "string") return "";
  const ofName = source.startsWith("ema") ? "emaTeacher({ decay }) or " : "";
  return `: ${ofName}await openTeacher(${show(source)}) makes one of it`;
}
