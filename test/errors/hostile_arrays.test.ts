import { describe, expect, it } from "vitest";
import { DistilleryError } from "../../src/index.js";
import { native } from "../../src/native.js";
import { argumentsOf, arraysOf, CALLS, call, placesOf, type TypedArray } from "./native_calls.js";

/** The code with which a call is refused; null if it is not. */
function refusal(name: string, args: unknown[]): string | null {
  return refusalOf(() => call(name, args));
}

function refusalOf(call: () => unknown): string | null {
  try {
    call();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(DistilleryError);
    expect((error as DistilleryError).cause).toBeInstanceOf(Error);
    return (error as DistilleryError).code;
  }
}

const like = (array: TypedArray, length: number) => new (array.constructor as new (n: number) => TypedArray)(length);

function detached(array: TypedArray): TypedArray {
  const copy = array.slice();
  structuredClone(copy.buffer, { transfer: [copy.buffer as ArrayBuffer] });
  expect(copy).toHaveLength(0);
  return copy;
}

function shared(array: TypedArray): unknown {
  const Kind = array.constructor as new (buffer: SharedArrayBuffer) => unknown;
  return new Kind(new SharedArrayBuffer(array.byteLength));
}

/** A view of a buffer that shrank below it: it has length 0, and its memory is gone. */
function outOfBounds(array: TypedArray): TypedArray {
  const Resizable = ArrayBuffer as unknown as new (
    n: number,
    options: object,
  ) => ArrayBuffer & { resize(n: number): void };
  const buffer = new Resizable(array.byteLength, { maxByteLength: array.byteLength });
  const view = new (array.constructor as new (b: ArrayBuffer, at: number, n: number) => TypedArray)(
    buffer,
    0,
    array.length,
  );
  buffer.resize(0);
  return view;
}

const others = (array: TypedArray): unknown[] => [
  new Float64Array(array.length),
  array instanceof Int32Array ? new Uint32Array(array.length) : new Int32Array(array.length),
  new Uint8ClampedArray(array.length),
  new BigInt64Array(array.length),
  new DataView(new ArrayBuffer(array.byteLength)),
  new ArrayBuffer(array.byteLength),
  Array.from(array),
  Buffer.from("x".repeat(array.length)).toString(),
  { length: array.length },
  array.length,
  true,
  Symbol("array"),
  () => array,
];

it("every kernel that takes arguments is here", () => {
  const without = ["FileLock", "graphBuilder", "lockFile", "peakRate", "randomStateWords", "setThreads", "threads"];
  without.push("unaryNames", "binaryNames", "comparisonNames");
  const kernels = Object.keys(native).filter((name) => typeof native[name as keyof typeof native] === "function");
  expect(kernels.sort()).toEqual([...Object.keys(CALLS), ...without].sort());
});

describe.each(Object.keys(CALLS))("%s", (name) => {
  it("takes a valid call", () => {
    expect(refusal(name, argumentsOf(name))).toBeNull();
  });

  it("takes no call without its arguments", () => {
    expect(refusal(name, [])).toBe("BAD_DTYPE");
  });

  it("refuses what is not an array of its type, or on shared memory", () => {
    for (const [index, { array, optional }] of arraysOf(name)) {
      const nothing = optional ? [] : [null, undefined];
      for (const value of [...others(array), ...nothing, shared(array)]) {
        const what = `argument ${index}: ${Object.prototype.toString.call(value)}`;
        expect(refusal(name, argumentsOf(name, { [index]: value })), what).toBe("BAD_DTYPE");
      }
    }
  });

  it("refuses what is no network where it takes one", () => {
    for (const index of placesOf(name, "handle")) {
      for (const value of [null, undefined, 7, "network", {}, [], () => 1, new Float32Array(9)]) {
        expect(refusal(name, argumentsOf(name, { [index]: value }))).toBe("BAD_DTYPE");
      }
    }
  });

  it("refuses arrays that are too short, too long, empty, detached or out of bounds", () => {
    for (const [index, { array, free, atLeast }] of arraysOf(name)) {
      const [shorter, longer] = [like(array, array.length - 1), like(array, array.length + 1)];
      for (const value of [shorter, longer, like(array, 0), detached(array), outOfBounds(array)]) {
        const what = `argument ${index}: ${value.length} for ${array.length}`;
        expect(refusal(name, argumentsOf(name, { [index]: value })), what).toBe(
          free || (atLeast && value === longer) ? null : "SHAPE_MISMATCH",
        );
      }
    }
  });

  it("refuses what is not a list where it takes one, and lists of anything else", () => {
    for (const [index, { array, list, optional }] of arraysOf(name)) {
      if (!list) continue;
      const nothing = optional ? [undefined] : [null, undefined];
      for (const value of [...nothing, 7, "list", {}, array, [[array]], [null], [array, 7]]) {
        const args = argumentsOf(name);
        args[index] = value;
        expect(refusal(name, args), `argument ${index}`).toBe("BAD_DTYPE");
      }
    }
  });
});

it("lists of unequal lengths are refused", () => {
  for (const name of ["adamStep", "sgdStep", "movingAverage"]) {
    for (const [index] of arraysOf(name)) {
      const args = argumentsOf(name);
      args[index] = [new Float32Array(6), new Float32Array(6)];
      expect(refusal(name, args), `${name}, argument ${index}`).toBe("SHAPE_MISMATCH");
    }
  }
});

describe("a kernel that takes an object", () => {
  const names = Object.keys(CALLS).filter((name) => CALLS[name]?.[0]?.path !== undefined);

  it.each(names)("%s refuses anything else", (name) => {
    for (const value of [null, undefined, 7, "x", [], {}, new Float32Array(6), () => 1]) {
      expect(refusalOf(() => (native as unknown as Record<string, (x: unknown) => unknown>)[name]?.(value))).toBe(
        "BAD_DTYPE",
      );
    }
  });

  it("looks arrays up after the last getter has run", () => {
    const x = new Float32Array(6);
    const properties = { logits: x, labels: Int32Array.of(0, 1), grad: new Float32Array(6), rows: 2, classes: 3 };
    const detaching = {
      ...properties,
      get labelSmoothing() {
        structuredClone(x.buffer, { transfer: [x.buffer] });
        return 0;
      },
    };
    expect(refusalOf(() => native.crossEntropy(detaching))).toBe("SHAPE_MISMATCH");
  });
});
