import { fingerprint } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import { kdLossParts } from "../losses/kd_loss.js";
import type { Module } from "../nn/module.js";
import { clipGradNorm } from "../optim/clip_grad_norm.js";
import { expectDataset, expectFinite, expectModule } from "./arguments.js";
import { AskedTeacher } from "./asked_teacher.js";
import { type RunControls, splitControls } from "./controls.js";
import { openCache } from "./open_cache.js";
import { type DistillationOptions, distillationSchema, readOptions } from "./options.js";
import { TrainingRun } from "./run.js";
import type { RunResult } from "./run_setup.js";
import type { TeacherCache } from "./teacher_cache.js";
import { Training } from "./training.js";

/** What {@link distill} takes: the networks, the data, and options that may be left out. */
export interface DistillInput extends DistillationOptions, RunControls {
  /** Called without gradients; its parameters do not move. */
  teacher: Module;
  /** Trained. */
  student: Module;
  data: Dataset;
  /** Looked at after each epoch, for accuracy, agreement and the best weights. Not the test set: that would be chosen on. */
  validation?: Dataset;
  /**
   * Whether the teacher is asked once for each example and not at each step; or its answers, computed before. The same
   * bits either way. Default: where it is exact, in eval mode with data that stay the same and networks that share no
   * parameter.
   */
  teacherCache?: boolean | TeacherCache;
}

/** The script's name for the student's weights, without the extension. */
export const STUDENT_FILE = "distilled_student_model_lowest";

/**
 * Distils a teacher into a student: the whole run, with the script's optimizer, schedule and clipping. Its random stream
 * is its own: it begins where the current one stands, which goes on at the end from where the run's ended. The event loop
 * gets its turn after each step.
 *
 * In `teacherMode` "eval", the default, the teacher's answers depend on the weights alone; in "train", as the script
 * leaves it, dropout is active and batch statistics are used. Both networks are in their modes for the time of a step, and
 * otherwise in those that the caller left them in.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH` (networks or data that do not fit), `NON_FINITE` that names
 * the step, `ABORTED` by its signal, `IO_ERROR`, `IN_USE`, `BAD_CONFIG` and
 * `BAD_CHECKPOINT` for the folder `out`.
 * @example
 * ```ts
 * manualSeed(0);
 * const [teacher, student] = [new TeacherNet(), new StudentNet()];
 * const { history } = await distill({ teacher, student, data: synthetic(), teacherMode: "train", shuffle: false });
 * ```
 */
export function distill(input: DistillInput): Training {
  return Training.start(input, distilled);
}

async function distilled(input: DistillInput): Promise<RunResult> {
  const [controls, { teacher, student, data, validation, teacherCache, ...rest }] = splitControls(input);
  expectModule("teacher", teacher);
  expectModule("student", student);
  expectDataset("data", data);
  if (validation !== undefined) expectDataset("validation", validation);
  const { temperature, alpha, teacherMode, ...options } = readOptions(distillationSchema, rest);
  const run = await TrainingRun.open({
    command: "distill",
    model: student,
    moving: teacherMode === "train" ? teacher : null,
    modes: [
      [teacher, teacherMode === "train"],
      [student, true],
    ],
    data,
    validation: validation ?? null,
    teacher: { module: teacher, frozen: teacherMode === "eval" },
    options,
    config: () => ({ temperature, alpha, teacherMode, teacherHash: fingerprint(teacher.stateDict()) }),
    controls,
  });
  const asked = new AskedTeacher(teacher, student, data);
  try {
    const cache = run.isFinished ? null : await openCache(input, teacherMode);
    const { optimizer, scheduler } = run;
    const { labelSmoothing } = options;
    const parameters = student.parameters();
    while (run.nextEpoch()) {
      while (await run.nextStep()) {
        run.step((i) => {
          const { inputs, labels, indices } = run.batches.batch(i);
          const teacherLogits = cache?.batch(indices) ?? asked.logits(run.batches, i, inputs);
          const { loss, soft, hard } = kdLossParts(student.forward(inputs), teacherLogits, labels, {
            temperature,
            alpha,
            labelSmoothing,
          });
          optimizer.zeroGrad();
          loss.backward();
          const gradNorm = expectFinite("gradient norm", clipGradNorm(parameters, options.maxGradNorm));
          optimizer.step();
          scheduler.step();
          return { losses: { loss: loss.item(), soft, hard }, gradNorm };
        });
      }
      await run.endEpoch();
    }
    return await run.finish(STUDENT_FILE);
  } finally {
    asked.release();
    await run.close();
  }
}
