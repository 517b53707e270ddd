import fc from "fast-check";
import { DistilleryError, type ErrorCode } from "../../src/index.js";

const isLong = process.env.npm_lifecycle_event === "fuzz" || process.env.FUZZ_RUNS !== undefined;

/**
 * How many inputs a property tries: a few of a fixed seed among the other tests, many of a new one in `npm run fuzz`.
 * FUZZ_RUNS sets the number, FUZZ_SEED the seed; a failure prints both and the smallest input that it found.
 */
const RUNS = Number(process.env.FUZZ_RUNS ?? (isLong ? 20_000 : 200));
const SEED = Number(process.env.FUZZ_SEED ?? (isLong ? Date.now() % 2 ** 31 : 1));

/** For a test that holds a property. */
export const TIMEOUT = isLong ? 2 ** 31 - 1 : 60_000;

/** Tries a property; `share` scales the number of inputs for those that take longer. */
export async function check<T extends [unknown, ...unknown[]]>(
  arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> },
  property: (...inputs: T) => Promise<void> | void,
  share = 1,
): Promise<void> {
  const asyncProperty = fc.asyncProperty<T>(...arbitraries, async (...inputs) => property(...inputs));
  await fc.assert(asyncProperty, { seed: SEED, numRuns: Math.ceil(RUNS * share) });
}

/** What a reader gave; null where it refused with that code. Any other error goes on. */
export async function readOr<T>(code: ErrorCode, reading: () => T | Promise<T>): Promise<T | null> {
  try {
    return await reading();
  } catch (error) {
    if (error instanceof DistilleryError && error.code === code) return null;
    throw error;
  }
}

/** A value once in `every` times, otherwise none. */
export function sometimes<T>(value: fc.Arbitrary<T>, every: number): fc.Arbitrary<T | undefined> {
  return fc.oneof({ arbitrary: fc.constant(undefined), weight: every - 1 }, { arbitrary: value, weight: 1 });
}

/** A change of bytes: some replaced, inserted, taken out or copied to another place. */
const edit = fc.record({
  kind: fc.constantFrom("set", "insert", "remove", "copy" as const),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  from: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 1 }), fc.uint8Array({ minLength: 1, maxLength: 8 })),
});

/** A valid file with a few changes. */
export function damaged(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  return fc
    .oneof(fc.tuple(edit), fc.array(edit, { minLength: 1, maxLength: 4 }))
    .map((edits) => edits.reduce(applyEdit, valid));
}

function applyEdit(
  bytes: Uint8Array,
  { kind, at, from, bytes: piece }: { kind: string; at: number; from: number; bytes: Uint8Array },
): Uint8Array {
  const place = Math.floor(at * bytes.length);
  const source = Math.floor(from * bytes.length);
  if (kind === "set" || kind === "copy") {
    const changed = bytes.slice();
    const put = kind === "set" ? piece : bytes.subarray(source, source + piece.length);
    changed.set(put.subarray(0, bytes.length - place), place);
    return changed;
  }
  const middle = kind === "insert" ? piece : new Uint8Array(0);
  const rest = bytes.subarray(kind === "insert" ? place : place + piece.length);
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, place), middle, rest]));
}

/** The bytes of all memory behind some arrays, each counted once. */
export function memoryOf(arrays: Iterable<ArrayBufferView>): number {
  const buffers = new Set([...arrays].map(({ buffer }) => buffer));
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
}
