import { types } from "node:util";
import { show } from "../checks.js";
import type { Batch } from "../data/dataset.js";
import { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/loss.js";
import { Module } from "../nn/module.js";
import { Tensor } from "../tensor/tensor.js";
import { live, type NetworkTeacherOptions } from "./live.js";
import { isTeacher, type Teacher, type TeacherFunction } from "./teacher.js";

/** A network as a live teacher, a teacher as it is, or a function of the batch as a teacher. */
export function asTeacher(source: Module | Teacher | TeacherFunction, options: NetworkTeacherOptions): Teacher {
  if (source instanceof Module) return live(source, { mode: options.mode, taps: options.taps });
  if (isTeacher(source)) return source;
  if (typeof source === "function") return functionTeacher(source);
  const text = `teacher: expected a Module, a Teacher or a function of the batch, got ${show(source)}`;
  throw new DistilleryError("BAD_ARGUMENT", text);
}

/** A function of the batch as a teacher: it gives logits [n, classes], outputs with taps, or a promise of either. It may
 * know the training data alone, by its indices: no agreement on the validation set is reported. */
function functionTeacher(compute: TeacherFunction): Teacher {
  const outputs = (batch: Batch) => {
    const given = compute(batch);
    return types.isPromise(given) ? given.then(asOutputs) : asOutputs(given);
  };
  return { name: compute.name || "teacher", fingerprint: () => null, outputs };
}

function asOutputs(given: Tensor | Outputs): Outputs {
  if (given instanceof Tensor) return { logits: given, taps: {} };
  if ((given as Partial<Outputs> | null)?.logits instanceof Tensor) return given.taps ? given : { ...given, taps: {} };
  throw new DistilleryError("BAD_ARGUMENT", `teacher: expected logits or outputs, got ${show(given)}`);
}
