import type { Batch, Dataset } from "../data/dataset.js";
import type { EpochBatches } from "../data/loader.js";
import type { Outputs } from "../losses/loss.js";
import { currentGenerator, Generator, withGenerator } from "../tensor/random.js";
import { expectNoPromise, type Teacher } from "./teacher.js";

/**
 * Provides the batches of a run with the teacher's outputs, and lets a teacher that can prefetch start on the next
 * batches, for which random numbers are drawn ahead from a copy of the run's stream.
 *
 * This is exact: batches are prefetched only if nothing but batches and teacher draws from the stream, and prefetched
 * outputs are used only if the stream is then in the expected state; otherwise they are discarded.
 */
export class TeacherPrefetcher {
  readonly #teacher: Teacher;
  readonly #drawsOtherwise: (sampleShape: readonly number[]) => boolean;
  /** Known from the first batch on. */
  #canPrefetch: boolean | null = null;
  /** The stream after the draws of all batches in flight. */
  readonly #prefetchGenerator = new Generator();
  /** The stream's state before the teacher's draws of each batch in flight. */
  readonly #expected: Uint32Array[] = [];
  readonly #spare: Uint32Array[] = [];
  /** The stream after the last batch and its teacher's outputs, and whether the rest of a step leaves it unchanged. */
  readonly #after = new Generator();
  #isQuiet = true;
  #epoch: EpochBatches | null = null;

  /** `drawsOtherwise` says whether student or loss also draw for samples of a shape: then nothing is prefetched. */
  constructor(teacher: Teacher, data: Dataset, drawsOtherwise: (sampleShape: readonly number[]) => boolean) {
    this.#teacher = teacher;
    this.#drawsOtherwise = drawsOtherwise;
    if (teacher.prefetch === undefined || data.replayable !== true) this.#canPrefetch = false;
  }

  /** Batch `i` of an epoch, and the teacher's outputs for it, with their draws from the current stream. */
  next(epoch: EpochBatches, i: number): { batch: Batch; outputs: Outputs | Promise<Outputs> } {
    const teacher = this.#teacher;
    const { state } = currentGenerator();
    // The order is drawn between epochs.
    if (epoch === this.#epoch) this.#isQuiet = same(state, this.#after.state);
    const batch = epoch.batch(i);
    this.#canPrefetch ??= !this.#drawsOtherwise(batch.inputs.shape.slice(1));
    if (!this.#canPrefetch) return { batch, outputs: teacher.outputs(batch) };
    const rows = batch.inputs.shape[0];
    const depth = teacher.prefetchDepth?.(rows) ?? 1;
    if (!this.#isQuiet || (this.#expected.length > 0 && !same(state, this.#expected[0]))) this.#discard();
    if (this.#expected.length === 0 && this.#isQuiet && depth > 0) {
      this.#prefetchGenerator.copyFrom(currentGenerator());
      this.#enqueue(() => batch);
      this.#fill(epoch, i + 1, depth);
    }
    const outputs = teacher.outputs(batch);
    const taken = this.#expected.shift();
    if (taken !== undefined) this.#spare.push(taken);
    if (this.#isQuiet) this.#fill(epoch, i + 1 + this.#expected.length, depth);
    this.#after.copyFrom(currentGenerator());
    this.#epoch = epoch;
    return { batch, outputs };
  }

  #fill(epoch: EpochBatches, from: number, depth: number): void {
    for (let i = from; i < epoch.length && this.#expected.length < depth; i++) this.#enqueue(() => epoch.batch(i));
  }

  #enqueue(batchOf: () => Batch): void {
    withGenerator(this.#prefetchGenerator, () => {
      const batch = batchOf();
      const state = this.#spare.pop() ?? new Uint32Array(this.#prefetchGenerator.state.length);
      state.set(this.#prefetchGenerator.state);
      this.#expected.push(state);
      expectNoPromise(this.#teacher, "prefetch()", this.#teacher.prefetch?.(batch));
    });
  }

  #discard(): void {
    if (this.#expected.length > 0) expectNoPromise(this.#teacher, "discard()", this.#teacher.discard?.());
    this.#spare.push(...this.#expected.splice(0));
  }
}

function same(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
