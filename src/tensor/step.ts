import { badArgument, expectSync } from "../checks.js";
import { Arena, withoutArena } from "./buffer_pool.js";
import { collectTensors, Tensor } from "./tensor.js";

/**
 * Runs one step of a training loop: the next step reuses the arrays of the tensors that are computed in it, so that a
 * warm step allocates nothing. Put the forward pass, `backward()` and the optimizer's step into it.
 *
 * Tensors that `body` returns, alone or in an array or an object, are copied out. Every other tensor computed in the
 * step ends with it: reading one afterwards is an error. Gradients, weights and the optimizer's state remain. Copy an
 * array from {@link Tensor.data} if it has to outlive the step. Consecutive layers are computed together, when
 * something reads the output of the last one: fill the arrays of the inputs before the step, not in it.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for an `async` function, and if a tensor is read after its step.
 * @example
 * ```ts
 * const loss = step(() => {
 *   const loss = crossEntropy(student.forward(inputs), labels);
 *   optimizer.zeroGrad();
 *   loss.backward();
 *   optimizer.step();
 *   return loss.item();
 * });
 * ```
 */
export function step<T>(body: () => T): T {
  if (typeof body !== "function") throw badArgument("body", "a function", body);
  const arena = new TensorArena();
  try {
    return copyOut(expectSync("step", arena.run(body))) as T;
  } finally {
    arena.release();
  }
}

/** An arena whose tensors end with it: one that was kept can't be read afterwards. */
export class TensorArena {
  readonly #arena = new Arena();
  #tensors: Tensor[] = [];

  /** Runs `body`: the tensors that it makes are valid until {@link TensorArena.release}. */
  run<T>(body: () => T): T {
    return collectTensors(this.#tensors, () => this.#arena.run(body));
  }

  /** Ends the tensors, and lets later steps reuse their arrays. */
  release(): void {
    const memory = new Set<ArrayBufferLike>();
    for (const { buffer } of this.#arena.release()) memory.add(buffer);
    for (const tensor of this.#tensors) tensor.end(memory);
    this.#tensors = [];
  }
}

/**
 * Runs `body`, then ends the tensors and takes back the arrays that were made in it. TensorFlow.js's `tidy`, but
 * nothing is copied out.
 */
export function withArena<T>(body: () => T): T {
  const arena = new TensorArena();
  try {
    return arena.run(body);
  } finally {
    arena.release();
  }
}

/** Runs `body` outside of the current step: its tensors and their memory belong to the garbage collector. */
export function outsideStep<T>(body: () => T): T {
  return collectTensors(null, () => withoutArena(body));
}

/** The value with the tensors in it copied, two levels deep. */
function copyOut(value: unknown, depth = 2): unknown {
  if (value instanceof Tensor) {
    return new Tensor(value.data.slice(), value.shape);
  }
  if (depth === 0 || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copyOut(item, depth - 1));
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOut(item, depth - 1)]));
}
