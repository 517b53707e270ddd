import { types } from "node:util";
import { argumentError, badArgument } from "../checks.js";
import type { Batch } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import type { Outputs } from "../losses/loss.js";
import { TensorArena } from "../tensor/step.js";
import { TeacherPrefetcher } from "./prefetcher.js";
import { isTeacher, type Teacher } from "./teacher.js";

/** A batch with the teacher's outputs for it. */
export interface TaughtBatch extends Batch {
  readonly teacher: Outputs;
}

/**
 * The batches of an epoch with the teacher's outputs, for a custom training loop. A teacher that can prefetch computes
 * the outputs for the next batches while the loop works; the numbers and the random stream equal those of a loop that
 * calls the teacher batch by batch. If the loop draws random numbers itself, prefetched outputs are discarded. The
 * tensors of a batch are valid until the next one is requested.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a teacher whose outputs are a promise.
 * @example
 * ```ts
 * const teacher = frozen(network);
 * for (const { inputs, labels, teacher: { logits } } of prefetch(loader, teacher)) {
 *   step(() => {
 *     optimizer.zeroGrad();
 *     kdLoss(student.forward(inputs), logits, labels).backward();
 *     optimizer.step();
 *   });
 * }
 * ```
 */
export function* prefetch(loader: DataLoader, teacher: Teacher): Generator<TaughtBatch, void> {
  if (!(loader instanceof DataLoader)) {
    throw badArgument("loader", "a DataLoader", loader);
  }
  if (!isTeacher(teacher)) {
    throw badArgument("teacher", "a Teacher such as frozen(network)", teacher);
  }
  teacher.open?.({ data: loader.dataset, taps: [] });
  const epoch = loader.epoch();
  const batches = new TeacherPrefetcher(teacher, loader.dataset, () => false);
  try {
    for (let i = 0; i < epoch.length; i++) {
      const arena = new TensorArena();
      try {
        const { batch, outputs } = arena.run(() => batches.next(epoch, i));
        if (types.isPromise(outputs)) {
          throw argumentError("teacher", "expected one whose outputs are no promise");
        }
        yield { ...batch, teacher: outputs };
      } finally {
        arena.release();
      }
    }
  } finally {
    // The passes in flight belong to batches that will not be requested any more.
    teacher.discard?.();
  }
}
