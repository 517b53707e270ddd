import { expectShape } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import { takeSlice } from "../data/take_batch.js";
import { DistilleryError } from "../errors.js";
import type { WorkProgress } from "../log/progress_line.js";
import type { Outputs } from "../losses/loss.js";
import { turns } from "../slices.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { expectFiniteLogits } from "./sample_logits.js";

/** A teacher's `outputs` or `evaluate`. */
export type OutputsOf = (batch: Batch) => Outputs | Promise<Outputs>;

/** Samples that are asked about at once. */
export const LOGITS_BATCH = 256;

/**
 * The logits [n, classes] of a teacher for the samples of a data set from `start` on, batch by batch in the order of
 * their indices; the event loop gets a turn before each batch. Throws `SHAPE_MISMATCH`, and `NON_FINITE` with the
 * sample's index.
 */
export async function* logitsInOrder(
  outputsOf: OutputsOf,
  data: Dataset,
  { start = 0, batchSize = LOGITS_BATCH }: { start?: number; batchSize?: number } = {},
): AsyncGenerator<Float32Array, void> {
  for await (const [at, end] of turns(data.length, batchSize, start)) {
    yield await logitsBetween(outputsOf, data, at, end);
  }
}

/** The work of computing a teacher's logits, as progress names it. */
export const TEACHER_LOGITS = "teacher logits";

/** Why a teacher's logits are not cached. */
export const UNCACHEABLE = {
  augmented: "the data are augmented at random",
  notByRow: "the teacher's logits depend on the other samples of a batch",
};

/** The line for the user that says so. */
export function notCached(reason: string): string {
  return `teacher logits not cached: ${reason}`;
}

/** Stops computing a teacher's logits (`ABORTED`) if the signal is aborted. */
export function expectNotStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new DistilleryError("ABORTED", "stopped while the teacher's logits were computed");
}

/** All of them, [samples, classes]; `ABORTED` by the signal. */
export async function allLogits(
  outputsOf: OutputsOf,
  data: Dataset,
  { signal, onWork }: { signal?: AbortSignal; onWork?: (progress: WorkProgress) => void } = {},
): Promise<Float32Array> {
  const all = new Float32Array(data.length * data.classes);
  const report = (done: number) => onWork?.({ work: TEACHER_LOGITS, done: done / data.classes, total: data.length });
  let at = 0;
  report(at);
  for await (const logits of logitsInOrder(outputsOf, data)) {
    expectNotStopped(signal);
    all.set(logits, at);
    at += logits.length;
    report(at);
  }
  return all;
}

/** Whether a teacher's logits for a sample do not depend on the other samples of a batch: tested on three. */
export async function isRowByRow(outputsOf: OutputsOf, data: Dataset): Promise<boolean> {
  const [together, alone] = [
    await logitsBetween(outputsOf, data, 0, Math.min(3, data.length)),
    await logitsBetween(outputsOf, data, 0, 1),
  ];
  return alone.every((x, i) => Object.is(x, together[i]));
}

async function logitsBetween(outputsOf: OutputsOf, data: Dataset, start: number, end: number): Promise<Float32Array> {
  const batch = takeSlice(data, start, end);
  const { logits } = await withGenerator(new Generator(), () => outputsOf(batch));
  expectShape("the teacher's logits", logits.shape, [end - start, data.classes]);
  expectFiniteLogits("teacher", logits.data, data.classes, start);
  return logits.data;
}
