import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DistilleryError, getNumThreads } from "../../src/index.js";
import { native } from "../../src/native.js";
import { type Argument, CALLS, call, type TypedArray } from "../errors/native_calls.js";
import { check, sometimes, TIMEOUT } from "./support.js";

type View = {
  new (buffer: ArrayBufferLike, at?: number, length?: number): TypedArray;
  from(values: number[]): TypedArray;
};
const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

/** Bytes before and after every array that is handed over, which no kernel may touch. */
const GUARD = 64;
const CANARY = 0xa5;

const float = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, nan, infinity, -infinity, 1e-45, -1e-40, 3.4028234663852886e38, 2 ** -126),
  fc.float(),
);
const real = fc.oneof(
  fc.constantFrom(0, -0, 1, nan, infinity, -infinity, 5e-324, 2 ** 31, 2 ** 32, 2 ** 53, Number.MAX_VALUE, -1, 0.5),
  fc.double(),
);
const size = fc.oneof(
  fc.nat({ max: 6 }),
  fc.constantFrom(-1, -0, 0.5, nan, infinity, 2 ** 16, 2 ** 31, 2 ** 31 - 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 64),
);
const foreign = fc.oneof(
  fc.constantFrom<unknown>(null, undefined, true, 7, "3", 3n, Symbol("x"), {}, [], [[]], () => 1, new Date(0)),
  fc.constantFrom<unknown>(new Float64Array(6), new BigInt64Array(6), new Uint8ClampedArray(6), new ArrayBuffer(24)),
  fc.constantFrom<unknown>(new Float32Array(6), new Int32Array(6), new Uint8Array(6), new Uint32Array(6)),
  fc.constantFrom<unknown>(new DataView(new ArrayBuffer(24)), Object.create(Float32Array.prototype) as unknown),
);

/** What becomes of an array argument. `kind` decides; the rest are its numbers. */
const arrayPlan = fc.record({
  // Mostly what is valid, so that a call comes to the kernel.
  kind: fc.oneof(
    { arbitrary: fc.constantFrom("as it is", "values" as const), weight: 20 },
    { arbitrary: fc.constantFrom("length", "foreign", "detached", "shared", "shrunk" as const), weight: 3 },
    { arbitrary: fc.constantFrom("grown", "overlap", "overlap", "unaligned end", "twice" as const), weight: 3 },
  ),
  length: fc.nat({ max: 16 }),
  values: fc.array(float, { minLength: 1, maxLength: 6 }),
  with: fc.nat({ max: 8 }),
  shift: fc.integer({ min: -8, max: 8 }),
  foreign,
});
const plan = fc.record({
  array: arrayPlan,
  real: sometimes(real, 4),
  size: sometimes(size, 12),
  shape: sometimes(fc.array(size, { maxLength: 5 }), 4),
  foreign: sometimes(foreign, 30),
});
type Plan = typeof plan extends fc.Arbitrary<infer P> ? P : never;

/** Memory that is watched: arrays with guards around them. */
class Watched {
  readonly #buffers: { bytes: Uint8Array; start: number; end: number }[] = [];

  place(array: TypedArray, length = array.length): TypedArray {
    const width = array.BYTES_PER_ELEMENT;
    const buffer = new ArrayBuffer(2 * GUARD + width * length);
    const bytes = new Uint8Array(buffer).fill(CANARY);
    const view = new (array.constructor as View)(buffer, GUARD, length);
    for (let i = 0; i < length; i++) view[i] = array[i % Math.max(array.length, 1)] ?? 0;
    this.#buffers.push({ bytes, start: GUARD, end: GUARD + width * length });
    return view;
  }

  /** Takes in a view that reaches into the guards of another. */
  allow(view: TypedArray): TypedArray {
    const watched = this.#buffers.find(({ bytes }) => bytes.buffer === view.buffer);
    if (watched !== undefined) {
      watched.start = Math.min(watched.start, view.byteOffset);
      watched.end = Math.max(watched.end, view.byteOffset + view.byteLength);
    }
    return view;
  }

  expectUntouched(what: string): void {
    for (const { bytes, start, end } of this.#buffers) {
      if (bytes.length === 0) continue;
      const touched = bytes.findIndex((byte, i) => (i < start || i >= end) && byte !== CANARY);
      expect(touched, `${what}: a byte outside of an array`).toBe(-1);
    }
  }
}

function build(
  argument: Argument,
  { array: how, real, size, shape, foreign }: Plan,
  made: unknown[],
  memory: Watched,
): unknown {
  if (!("array" in argument)) {
    if (foreign !== undefined) return foreign;
    const other = { real, size, shape, flag: undefined, handle: undefined, options: undefined }[argument.kind];
    return other ?? argument.value;
  }
  const value = arrayOf(argument.array, how, made, memory);
  if (!argument.list) return value;
  return how.kind === "twice" ? [value, value] : [value];
}

function arrayOf(array: TypedArray, how: Plan["array"], made: unknown[], memory: Watched): unknown {
  const Kind = array.constructor as View;
  switch (how.kind) {
    case "values":
      return memory.place(
        Kind.from(Array.from(array, (_, i) => how.values[i % how.values.length] as number)) as TypedArray,
      );
    case "length":
      return memory.place(array, how.length);
    case "foreign":
      return how.foreign;
    case "detached": {
      const copy = array.slice();
      structuredClone(copy.buffer, { transfer: [copy.buffer as ArrayBuffer] });
      return copy;
    }
    case "shared":
      return new Kind(new SharedArrayBuffer(array.byteLength));
    case "shrunk":
    case "grown":
      return resized(Kind, array, how);
    case "overlap": {
      const others = made.filter(
        (other): other is TypedArray => ArrayBuffer.isView(other) && !(other instanceof DataView),
      );
      const other = others[how.with % Math.max(others.length, 1)];
      const width = array.BYTES_PER_ELEMENT;
      if (other === undefined || other.byteLength === 0 || other.byteOffset % width !== 0) return memory.place(array);
      const at = other.byteOffset + how.shift * width;
      const fits = at >= 0 && at + array.byteLength <= other.buffer.byteLength;
      return memory.allow(new Kind(other.buffer, fits ? at : other.byteOffset, fits ? array.length : 0));
    }
    case "unaligned end":
      return memory.place(array, array.length).subarray(0, Math.max(array.length - 1, 0));
    default:
      return memory.place(array);
  }
}

/** A view that follows a resizable buffer, or one of fixed length over it, after it was resized. */
function resized(Kind: View, array: TypedArray, { kind, length, shift }: Plan["array"]): TypedArray {
  const Resizable = ArrayBuffer as unknown as new (
    n: number,
    options: object,
  ) => ArrayBuffer & { resize(n: number): void };
  const width = array.BYTES_PER_ELEMENT;
  const buffer = new Resizable(array.byteLength, { maxByteLength: array.byteLength + 16 * width });
  const view = shift > 0 ? new Kind(buffer) : new Kind(buffer, 0, array.length);
  buffer.resize(kind === "shrunk" ? Math.min(array.byteLength, length * width) : array.byteLength + length * width);
  return view;
}

const names = Object.keys(CALLS);

describe.each(names)("%s", (name) => {
  const parameters = CALLS[name] ?? [];
  it(
    "of hostile arguments answers, or refuses with a code, and touches nothing else",
    async () => {
      const plans = fc.array(plan, { minLength: parameters.length, maxLength: parameters.length });
      await check([plans], (plans) => {
        const memory = new Watched();
        const args: unknown[] = [];
        for (const [i, argument] of parameters.entries()) args.push(build(argument, plans[i] as Plan, args, memory));
        try {
          call(name, args);
        } catch (error) {
          if (!(error instanceof DistilleryError) || error.code === "INTERNAL") throw error;
        }
        memory.expectUntouched(name);
      });
    },
    TIMEOUT,
  );
});

it("setThreads of hostile arguments: taken within its bounds, or BAD_DTYPE", async () => {
  const before = getNumThreads();
  // Not numbers that are valid: each would start threads.
  await check(
    [
      fc.oneof(
        foreign.filter((value) => typeof value !== "number"),
        fc.constantFrom(1, -0),
      ),
    ],
    (value) => {
      try {
        call("setThreads", [value]);
      } catch (error) {
        expect(error).toMatchObject({ code: "BAD_DTYPE" });
      }
    },
  );
  native.setThreads(before);
});
