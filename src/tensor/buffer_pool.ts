import { native } from "../native.js";
import { discardDeferred, runDeferred } from "./deferred.js";

/** Arrays that arenas use, and those that wait to be reused. */
class Pool<A extends Float32Array | Uint8Array> {
  /** By length; the length that was returned last comes last. */
  readonly #waiting = new Map<number, A[]>();
  #waitingBytes = 0;
  #usedBytes = 0;
  #mostUsedBytes = 0;

  constructor(private readonly make: (length: number) => A) {}

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** An array with any contents. */
  take(length: number): A {
    const waiting = this.#waiting.get(length)?.pop();
    const array = waiting ?? this.make(length);
    if (waiting !== undefined) this.#waitingBytes -= array.byteLength;
    this.#usedBytes += array.byteLength;
    this.#mostUsedBytes = Math.max(this.#mostUsedBytes, this.#usedBytes);
    return array;
  }

  /**
   * Takes an array back. No more than twice what was in use at once waits: where each batch has another size, arrays of
   * the lengths that came back longest ago are dropped.
   */
  give(array: A): void {
    const alike = this.#waiting.get(array.length) ?? [];
    alike.push(array);
    this.#waiting.delete(array.length);
    this.#waiting.set(array.length, alike);
    this.#usedBytes -= array.byteLength;
    this.#waitingBytes += array.byteLength;
    for (const [length, arrays] of this.#waiting) {
      while (this.#waitingBytes > 2 * this.#mostUsedBytes && arrays.length > 0) {
        this.#waitingBytes -= (arrays.pop() as A).byteLength;
      }
      if (arrays.length > 0) return;
      this.#waiting.delete(length);
    }
  }

  clear(): void {
    this.#waiting.clear();
    this.#waitingBytes = 0;
    this.#mostUsedBytes = this.#usedBytes;
  }
}

/**
 * Reuse of arrays. A training loop runs each step in an {@link Arena}: the next step reuses the arrays that a step
 * allocated, so that a warm step allocates nothing. Outside of an arena, arrays are plain and belong to the garbage
 * collector.
 */
const floats = new Pool<Float32Array>(newFloats);
const bytes = new Pool<Uint8Array>((length) => new Uint8Array(length));
let current: Arena | null = null;
let nativeBytes = 0;

/** The size in bytes from which an array is placed in huge pages, if the system has them. */
const LONG = 2 ** 21;

/**
 * Each long array begins this many bytes further in its first huge page than the one before. If all began at the same
 * place, elements of one index would displace each other in the caches: AdamW took twice as long.
 */
const STAGGER = 4096 + 256;
const PLACES = 16;
let longArrays = 0;

/**
 * An array of zeros. A long one is placed in huge pages: elements that are far apart, such as the planes of a channel,
 * then share few pages.
 */
export function newFloats(length: number): Float32Array {
  if (4 * length < LONG) return new Float32Array(length);
  const offset = STAGGER * (longArrays++ % PLACES);
  const buffer = new ArrayBuffer(4 * length + LONG + STAGGER * PLACES);
  return new Float32Array(buffer, native.useHugePages(new Uint8Array(buffer)) + offset, length);
}

/** An array of `size` floats with any contents: every kernel writes all of its output. */
export function allocate(size: number): Float32Array {
  return current === null ? new Float32Array(size) : current.floats(size);
}

/** An array of `size` bytes with any contents. */
export function allocateBytes(size: number): Uint8Array {
  return current === null ? new Uint8Array(size) : current.bytes(size);
}

/** Counts the memory of a pass in native code, which no arena sees. */
export function countNativeBytes(bytes: number): void {
  nativeBytes += bytes;
}

/** The bytes that were counted so far. */
export function countedNativeBytes(): number {
  return nativeBytes;
}

/** Runs `body` outside of the current arena: what it allocates belongs to the garbage collector. */
export function withoutArena<T>(body: () => T): T {
  return within(null, body);
}

function within<T>(arena: Arena | null, body: () => T): T {
  // Computations that were deferred before belong to the outer arena, those deferred inside to this one.
  runDeferred();
  const outer = current;
  current = arena;
  try {
    const result = body();
    runDeferred();
    return result;
  } catch (error) {
    discardDeferred();
    throw error;
  } finally {
    current = outer;
  }
}

/** Whether an {@link Arena} is open. */
export function isInArena(): boolean {
  return current !== null;
}

/** The arrays of one step, which may consist of several parts with other work between them. */
export class Arena {
  #floats = new Set<Float32Array>();
  #bytes: Uint8Array[] = [];

  /** Runs `body`: what it allocates is in use until {@link Arena.release}. */
  run<T>(body: () => T): T {
    return within(this, body);
  }

  /** An array of floats that is in use from now on. */
  floats(size: number): Float32Array {
    const array = floats.take(size);
    this.#floats.add(array);
    return array;
  }

  /** The same of bytes. */
  bytes(size: number): Uint8Array {
    const array = bytes.take(size);
    this.#bytes.push(array);
    return array;
  }

  /** Lets one of its float arrays be reused before the others. */
  free(array: Float32Array): void {
    if (this.#floats.delete(array)) floats.give(array);
  }

  /** Lets later steps reuse the arrays: none may be used afterwards. Returns the float arrays. */
  release(): ReadonlySet<Float32Array> {
    const released = this.#floats;
    for (const array of released) floats.give(array);
    for (const array of this.#bytes) bytes.give(array);
    this.#floats = new Set();
    this.#bytes = [];
    return released;
  }
}

/** Drops the arrays that wait for reuse, so that the memory of a finished run is freed. `torch.cuda.empty_cache`. */
export function emptyCache(): void {
  floats.clear();
  bytes.clear();
}

/** The bytes of the arrays that wait for reuse. */
export function cachedBytes(): number {
  return floats.waitingBytes + bytes.waitingBytes;
}
