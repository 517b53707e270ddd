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
  const without = [
    "FileLock",
    "Heartbeat",
    "graphBuilder",
    "keepFresh",
    "lockFile",
    "peakRate",
    "randomStateWords",
    "setThreads",
    "threads",
  ];
  without.push("bfloat16Unit", "cores", "unaryNames", "binaryNames", "comparisonNames", "endAtSecondSignal");
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

  const lists = (CALLS[name] ?? []).flatMap((argument, i) =>
    argument.kind === "shape" || ("array" in argument && argument.list) ? [i] : [],
  );

  it("refuses lists that claim a length which they do not have", () => {
    for (const index of lists) {
      for (const length of [2 ** 32 - 1, 2 ** 26, 3]) {
        const args = argumentsOf(name);
        args[index] = Object.assign([], { length });
        expect(refusal(name, args), `argument ${index}, ${length} holes`).toBe("BAD_DTYPE");
      }
    }
  });

  it("looks arrays up after the getters of its lists have run", () => {
    for (const index of lists) {
      const args = argumentsOf(name);
      const list = args[index] as unknown[];
      const [first] = list;
      const taken = args.flat().find((value) => ArrayBuffer.isView(value)) as TypedArray | undefined;
      const get = () => {
        if (taken !== undefined) structuredClone(taken.buffer, { transfer: [taken.buffer as ArrayBuffer] });
        return first;
      };
      Object.defineProperty(list, 0, { get });
      const isFree = arraysOf(name)[0]?.[1].free;
      expect(refusal(name, args), `argument ${index}`).toBe(isFree ? null : "SHAPE_MISMATCH");
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
    const grad = new Float32Array(6);
    const numbers = { lr: 0.1, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, isFirst: true };
    const detaching = {
      params: [new Float32Array(6)],
      grads: [grad],
      momentumBuffers: null,
      ...numbers,
      get gradScale() {
        structuredClone(grad.buffer, { transfer: [grad.buffer] });
        return 1;
      },
    };
    expect(refusalOf(() => native.sgdStep(detaching))).toBe("SHAPE_MISMATCH");
  });
});

describe("a graph in the binding's memory", () => {
  it("is refused if a getter of the call has released it", () => {
    const queue = native.inferenceQueue(native.graphBuilder([-1, 3]), [0]);
    const state = new Uint32Array(native.randomStateWords());
    const outputs = Object.defineProperty([new Float32Array(6)], 0, {
      get() {
        native.inferenceRelease(queue);
        return new Float32Array(6);
      },
    });
    expect(refusalOf(() => native.inferenceTake(queue, new Float32Array(6), 2, state, outputs))).toBe("BAD_ARGUMENT");
  });

  it("takes lists of what they claim only", () => {
    const builder = native.graphBuilder([-1, 3]);
    const huge = Object.assign([], { length: 2 ** 32 - 1 }) as number[];
    const node = { op: "relu", inputs: [0], shape: [-1, 3], attributes: {} };
    for (const wrong of [
      { inputs: huge },
      { shape: huge },
      { attributes: { axes: huge } },
      { attributes: { indices: huge } },
    ])
      expect(refusalOf(() => native.graphNode(builder, { ...node, ...wrong }))).toBe("BAD_DTYPE");
    expect(refusalOf(() => native.graphBuilder(huge))).toBe("BAD_DTYPE");
    expect(refusalOf(() => native.inferenceQueue(builder, huge))).toBe("BAD_DTYPE");
  });

  it("refuses attributes of another name or kind, and takes none for what is not said", () => {
    const builder = native.graphBuilder([-1, 3]);
    const node = { inputs: [0], shape: [-1, 3] };
    const refusalWith = (op: string, attributes: Record<string, unknown>) =>
      refusalOf(() => native.graphNode(builder, { ...node, op, attributes }));
    for (const attributes of [{ axis: [1] }, { axes: [-1] }]) {
      expect(refusalWith("sum", attributes)).toBe("BAD_ARGUMENT");
    }
    for (const axes of ["1", 1, true, {}, ["1"], [null]]) expect(refusalWith("sum", { axes })).toBe("BAD_DTYPE");
    for (const axes of [null, undefined, [1]]) expect(refusalWith("sum", { axes })).toBeNull();
    for (const log of [0, "true", []]) expect(refusalWith("softmax", { log })).toBe("BAD_DTYPE");
  });
});
