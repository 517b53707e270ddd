import { describe, expect, it } from "vitest";
import { native } from "../../src/native.js";
import { argumentsOf, arraysOf, CALLS, call, type TypedArray } from "./native_calls.js";

type View = new (buffer: ArrayBufferLike, at: number, length: number) => TypedArray;

/** Copies of both on one buffer, the second beginning inside the last four bytes of the first. */
function overlapping(first: TypedArray, second: TypedArray): [TypedArray, TypedArray] {
  const at = Math.floor((first.byteLength - 1) / 4) * 4;
  const buffer = new ArrayBuffer(first.byteLength + second.byteLength + 4);
  const [a, b] = [
    new (first.constructor as View)(buffer, 0, first.length),
    new (second.constructor as View)(buffer, at, second.length),
  ];
  b.set(second);
  a.set(first);
  return [a, b];
}

/** Every array that is written beside every other. */
function pairs(name: string): [number, number][] {
  const arrays = arraysOf(name);
  return arrays.flatMap(([i, { kind }]) =>
    kind === "read" ? [] : arrays.flatMap(([j]): [number, number][] => (i === j ? [] : [[i, j]])),
  );
}

const arrayAt = (name: string, index: number) => arraysOf(name).find(([i]) => i === index)?.[1].array as TypedArray;

describe.each(Object.keys(CALLS).filter((name) => pairs(name).length > 0))("%s", (name) => {
  it("refuses outputs that share memory with anything, and writes nothing", () => {
    for (const [i, j] of pairs(name)) {
      for (const [first, second] of [
        [i, j],
        [j, i],
      ] as [number, number][]) {
        const [a, b] = overlapping(arrayAt(name, first), arrayAt(name, second));
        const before = [...new Uint8Array(a.buffer)];
        const args = argumentsOf(name, { [first]: a, [second]: b });
        expect(() => call(name, args), `${first} and ${second}`).toThrow(expect.objectContaining({ code: "OVERLAP" }));
        expect([...new Uint8Array(a.buffer)]).toEqual(before);
      }
    }
  });
});

const [ADD, MUL] = ["add", "mul"].map((name) => native.binaryNames().indexOf(name));

describe("memory that may be shared", () => {
  it("inputs with each other", () => {
    const [x, out] = [Float32Array.of(1, 2, 3), new Float32Array(3)];
    native.binaryForward(ADD, x, 1, x, 1, out);
    native.binaryForward(MUL, out, 1, out.slice(), 1, x);
    expect([...x]).toEqual([4, 16, 36]);
  });

  it("neighbours that do not overlap", () => {
    const memory = Float32Array.of(-1, 2, 0, 0, 7);
    native.reluForward(memory.subarray(0, 2), memory.subarray(2, 4));
    expect([...memory]).toEqual([-1, 2, 0, 2, 7]);
  });

  it("an empty array inside of another", () => {
    const memory = Float32Array.of(1, 2);
    native.scaleGrads([memory, memory.subarray(1, 1)], 2);
    expect([...memory]).toEqual([2, 4]);
  });
});

it("a list that holds one array twice is refused where it is written", () => {
  const grad = new Float32Array(4);
  expect(() => native.scaleGrads([grad, grad], 2)).toThrow(expect.objectContaining({ code: "OVERLAP" }));
  expect(native.gradNorm([Float32Array.of(3), Float32Array.of(4)])).toBe(5);
});
