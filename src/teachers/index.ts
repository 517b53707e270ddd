import * as v from "valibot";
import type { Module } from "../nn/module.js";
import { defineEntry, described, oneOf, Registry } from "../registry/index.js";
import { frozen } from "./frozen.js";
import { live } from "./live.js";
import { isTeacher, type Teacher } from "./teacher.js";

export { asTeacher } from "./as_teacher.js";
export { cached } from "./cached.js";
export { chooseTeacher, openCache } from "./choose.js";
export { frozen } from "./frozen.js";
export { live, type NetworkTeacherOptions } from "./live.js";
export { prefetch, type TaughtBatch } from "./prefetch.js";
export { TeacherPrefetcher } from "./prefetcher.js";
export { isTeacher, type Teacher, type TeacherFunction } from "./teacher.js";
export { TeacherCache } from "./teacher_cache.js";

/** What a kind of teacher is made of. */
interface TeacherContext {
  readonly module: Module;
  /** The paths of modules whose outputs a loss reads. */
  readonly taps: readonly string[];
}

const mode = described(
  v.optional(oneOf(["train", "eval"]), "eval"),
  "train: dropout is active and batch statistics are used, as the reference script has it",
);

/** The kinds of teachers that are made of a network: to add one, write its file and add its entry here. */
export const TEACHERS = new Registry<Teacher, TeacherContext>(
  "teacher",
  [
    defineEntry({
      name: "live",
      help: "runs in each step with the weights that it then has",
      options: { mode },
      create: ({ mode }, { module, taps }: TeacherContext): Teacher => live(module, { mode, taps }),
    }),
    defineEntry({
      name: "frozen",
      help: "a snapshot, whose forward passes are prefetched",
      options: { mode },
      create: ({ mode }, { module, taps }: TeacherContext): Teacher => frozen(module, { mode, taps }),
    }),
  ],
  { expected: "a teacher with name, fingerprint and outputs", accepts: isTeacher },
);
