import { fingerprint } from "../checkpoint/fingerprint.js";
import { expectOptions } from "../checks.js";
import type { Dataset } from "../data/index.js";
import type { WorkProgress } from "../log/progress_line.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { expectStateDict, type StateDict } from "../nn/state_dict.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { evaluateOutputs } from "../tasks/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { logitsOf } from "./inference.js";
import { type BestWeights, cloneState } from "./trainer_state.js";

/** A network's logits [samples, classes] for a data set, and their metrics. */
export interface EvaluatedLogits {
  logits: Tensor;
  evaluation: TaskEvaluation;
}

/** The networks of a finished run, and a held-out data set. */
export interface RunEvaluation {
  /** The student with its last weights. */
  last: EvaluatedLogits;
  /** The student with the weights of the best epoch; null if there is none. */
  best: EvaluatedLogits | null;
  teacher: EvaluatedLogits | null;
}

/** The work of evaluating on a test set, as progress names it. */
export const TEST_SET = "test set";

/**
 * Evaluates the networks of a finished run: one pass over the data for the teacher, and one for each set of weights.
 * `onWork` is called when it starts and after each pass.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no network, `SHAPE_MISMATCH` if one does not fit the data.
 * @example
 * ```ts
 * const { best } = await distill({ teacher, student, data, validation });
 * const run = evaluateRun({ student, teacher, best }, test);
 * console.log(run.last.evaluation.loss, run.best?.evaluation.loss);
 * ```
 */
export function evaluateRun(
  networks: { student: Module; teacher?: Module | undefined; best?: BestWeights | null },
  data: Dataset,
  onWork: (progress: WorkProgress) => void = () => {},
): RunEvaluation {
  expectOptions("evaluateRun", networks, ["student", "teacher", "best"]);
  const { student, teacher, best } = networks;
  expectModule("student", student);
  if (teacher !== undefined) expectModule("teacher", teacher);
  if (best) expectStateDict("best.state", best.state);
  const isSame = best && fingerprint(best.state) === fingerprint(student.stateDict());
  const total = 1 + (teacher === undefined ? 0 : 1) + (best && !isSame ? 1 : 0);
  let done = 0;
  const tell = () => onWork({ work: TEST_SET, done, total });
  tell();
  const run = (network: Module, teacherLogits?: Tensor): EvaluatedLogits => {
    const logits = logitsOf(network, data);
    done += 1;
    tell();
    return { logits, evaluation: evaluateOutputs(logits, data, teacherLogits) };
  };
  const byTeacher = teacher === undefined ? null : run(teacher);
  const byStudent = () => run(student, byTeacher?.logits);
  const last = byStudent();
  const byBest = best && !isSame ? withState(student, best.state, byStudent) : null;
  return { last, best: isSame ? last : byBest, teacher: byTeacher };
}

/** Runs `body` while a network has other weights. */
function withState<T>(network: Module, state: StateDict, body: () => T): T {
  const own = cloneState(network.stateDict());
  network.loadStateDict(state);
  try {
    return body();
  } finally {
    network.loadStateDict(own);
  }
}
