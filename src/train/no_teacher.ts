import { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/index.js";
import type { Tensor } from "../tensor/tensor.js";

/** What a loss that needs no teacher finds if it reads one. */
export const NO_TEACHER: Outputs = {
  get logits(): Tensor {
    throw noTeacher();
  },
  get taps(): Outputs["taps"] {
    throw noTeacher();
  },
};

function noTeacher(): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", "loss: reads the teacher's outputs, but its needsTeacher is false");
}
