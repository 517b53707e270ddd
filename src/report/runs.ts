import { join } from "node:path";
import { CONFIG, REPORT } from "../checkpoint/run_folder.js";
import { readWhole } from "../files/index.js";
import { Module } from "../nn/module.js";
import {
  type DistillInput,
  distill as distillOnly,
  type RunControls,
  type RunHandle,
  type RunResult,
  type TrainTeacherInput,
  trainTeacher as trainOnly,
} from "../train/index.js";
import type { RunReportInput } from "./run_report.js";

/** Whether a run's report is written. */
interface Reported {
  /**
   * Whether `report.html`, with the predictions on the validation set, is written into `out` at the end; default true.
   */
  report?: boolean;
}

/** The input of {@link distill}. */
export interface ReportedDistillInput extends DistillInput, Reported {}
/** The input of {@link trainTeacher}. */
export interface ReportedTrainTeacherInput extends TrainTeacherInput, Reported {}

/**
 * Distils a teacher into a student: a whole run, by default with the reference script's loss, optimizer, schedule and
 * clipping. It has its own random stream, which starts where the current one is; the current stream continues where the
 * run's ends. The run yields to the event loop after each step. With `out` it writes its files there, including
 * `report.html`.
 *
 * With `teacherMode` "eval", the default, a network's logits depend only on its weights; with "train", as in the
 * reference script, dropout is active and batch statistics are used. A network teaches with the weights that it has
 * when the run starts. Both networks are in their modes during a step, and otherwise in those that the caller left them
 * in.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `BAD_DTYPE`, `SHAPE_MISMATCH` (networks or data that do not fit),
 * `NON_FINITE` that names the step, `ABORTED` by its signal, `IO_ERROR`, `IN_USE`, `BAD_CONFIG` and `BAD_CHECKPOINT`
 * for the folder `out`.
 * @example
 * ```ts
 * const { best } = await distill({ teacher, student, data: train, validation, epochs: 12, out: "runs/distill" });
 * ```
 */
export function distill(input: ReportedDistillInput): RunHandle {
  return distillOnly(
    reporting(input, ({ best }) => {
      const { student, teacher } = input;
      return { student, ...(teacher instanceof Module && { teacher }), best };
    }),
  );
}

/**
 * Trains a network on labelled data with cross-entropy: the same loop, optimizer, schedule and clipping as
 * {@link distill}, and the same files.
 *
 * @throws DistilleryError as {@link distill}.
 * @example
 * ```ts
 * await trainTeacher({ model: new TeacherNet(), data: train, epochs: 12, out: "runs/teacher" });
 * ```
 */
export function trainTeacher(input: ReportedTrainTeacherInput): RunHandle {
  return trainOnly(reporting(input, ({ best }) => ({ student: input.model, best })));
}

/** The input of a run that writes its report before the caller's `onEnd` is called. */
function reporting<I extends RunControls & Reported & Pick<DistillInput, "validation">>(
  input: I,
  networksOf: (result: RunResult) => RunReportInput["networks"],
): Omit<I, "report"> {
  // The run itself refuses values that are not options.
  if (typeof input !== "object" || input === null || !["boolean", "undefined"].includes(typeof input.report))
    return input;
  if (input.report === true && input.out === undefined) return input;
  const { report = true, ...rest } = input;
  const { out, onEnd, validation = null } = rest;
  const isCalled = onEnd === undefined || typeof onEnd === "function";
  if (out === undefined || !report || !isCalled) return rest;
  const write = async (result: RunResult) => {
    const networks = networksOf(result);
    await writeRunReport(out, { history: result.history, steps: result.steps, networks, data: { validation } });
    await onEnd?.(result);
  };
  return { ...rest, onEnd: write };
}

/** Writes the report of a run into its folder, from which it takes the configuration; returns the file. */
export async function writeRunReport(out: string, input: Omit<RunReportInput, "config">): Promise<string> {
  // Loaded late, so that a run starts without it.
  const [{ runReport }, { writeReport }] = await Promise.all([import("./run_report.js"), import("./html.js")]);
  const config = JSON.parse(Buffer.from(await readWhole(join(out, CONFIG))).toString()) as Record<string, unknown>;
  const file = join(out, REPORT);
  await writeReport(file, runReport({ ...input, config }));
  return file;
}
