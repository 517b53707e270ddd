import { discardDeferred, runDeferred } from "./deferred.js";

/**
 * Reuse of arrays. A training loop runs each step in an {@link Arena}: what the step allocated is handed out again in
 * the next one, so that a warm step allocates nothing. Outside of an arena arrays are plain and the garbage
 * collector's.
 */
const free = new Map<number, Float32Array[]>();
const freeBytes = new Map<number, Uint8Array[]>();
let inUse: Float32Array[] | null = null;
let bytesInUse: Uint8Array[] = [];
let nativeBytes = 0;

/** An array of `size` floats with any contents: every kernel writes all of its output. */
export function allocate(size: number): Float32Array {
  if (inUse === null) return new Float32Array(size);
  const array = free.get(size)?.pop() ?? new Float32Array(size);
  inUse.push(array);
  return array;
}

/** An array of `size` bytes with any contents. */
export function allocateBytes(size: number): Uint8Array {
  if (inUse === null) return new Uint8Array(size);
  const array = freeBytes.get(size)?.pop() ?? new Uint8Array(size);
  bytesInUse.push(array);
  return array;
}

/** Counts what a pass in native memory holds, which no arena sees. */
export function countNativeBytes(bytes: number): void {
  nativeBytes += bytes;
}

/** The bytes that were counted so far. */
export function countedNativeBytes(): number {
  return nativeBytes;
}

/** Whether an {@link Arena} is open. */
export function isInArena(): boolean {
  return inUse !== null;
}

/** The arrays of one step, which may consist of several parts with other work between them. */
export class Arena {
  #floats: Float32Array[] = [];
  #bytes: Uint8Array[] = [];

  /** Runs `body`: what it allocates is in use until {@link Arena.release}. */
  run<T>(body: () => T): T {
    // What was deferred before belongs to the arena around this one, and what was deferred inside of it to this one.
    runDeferred();
    const [outer, outerBytes] = [inUse, bytesInUse];
    inUse = this.#floats;
    bytesInUse = this.#bytes;
    try {
      const result = body();
      runDeferred();
      return result;
    } catch (error) {
      discardDeferred();
      throw error;
    } finally {
      inUse = outer;
      bytesInUse = outerBytes;
    }
  }

  /** Lets later steps reuse the arrays: none may be used afterwards. Gives those of floats. */
  release(): readonly Float32Array[] {
    const [floats, bytes] = [this.#floats, this.#bytes];
    this.#floats = [];
    this.#bytes = [];
    for (const array of floats) recycle(free, array);
    for (const array of bytes) recycle(freeBytes, array);
    return floats;
  }
}

/** Drops the arrays that wait for reuse, so that the memory of a finished run goes back. `torch.cuda.empty_cache`. */
export function emptyCache(): void {
  free.clear();
  freeBytes.clear();
}

function recycle<A extends { length: number }>(pool: Map<number, A[]>, array: A): void {
  const waiting = pool.get(array.length);
  if (waiting) waiting.push(array);
  else pool.set(array.length, [array]);
}

/** The bytes of the arrays that wait for reuse. */
export function cachedBytes(): number {
  const bytes = (arrays: readonly { byteLength: number }[]) =>
    arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return [...free.values(), ...freeBytes.values()].reduce((sum, arrays) => sum + bytes(arrays), 0);
}
