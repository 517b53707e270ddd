import { describe, expect, it } from "vitest";
import { DistilleryError } from "../../src/index.js";
import { argumentsOf, CALLS, call, placesOf } from "./native_calls.js";

/** The code with which a call is refused; null where it isn't. Never a defect of the binding. */
function refusal(name: string, args: unknown[]): string | null {
  try {
    call(name, args);
    return null;
  } catch (error) {
    expect(error, name).toBeInstanceOf(DistilleryError);
    const { code, message } = error as DistilleryError;
    expect(code, message).not.toBe("INTERNAL");
    return code;
  }
}

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const NO_NUMBERS = ["3", null, undefined, {}, [3], true, 3n, Symbol("3")];
const SIZES = [0, -1, -3, 1.5, nan, infinity, -infinity, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 53, Number.MAX_VALUE];
const REALS = [0, -1, nan, infinity, -infinity, 1e-320, 2 ** 32, 2 ** 53, Number.MAX_VALUE];
const LARGEST = 2 ** 32 - 1;
const SHAPES = [[], [6], [3, 2], [0, 3], [-1, 3], [nan, 3], [LARGEST, LARGEST, LARGEST], new Array(100).fill(1)];

const withPlaces = (kind: "size" | "real" | "shape" | "flag") =>
  Object.keys(CALLS).filter((name) => placesOf(name, kind).length > 0);

describe.each(withPlaces("size"))("%s: sizes", (name) => {
  it.each(placesOf(name, "size"))("that do not fit are refused, argument %d", (place) => {
    for (const value of SIZES) {
      expect(refusal(name, argumentsOf(name, { [place]: value })), String(value)).toBe("SHAPE_MISMATCH");
    }
    for (const value of NO_NUMBERS) {
      expect(refusal(name, argumentsOf(name, { [place]: value })), String(value)).toBe("BAD_DTYPE");
    }
  });

  it("whose product is beyond 64 bits, or nothing", () => {
    const all = (value: number) => Object.fromEntries(placesOf(name, "size").map((place) => [place, value]));
    for (const value of [LARGEST, 2 ** 31, 0]) {
      expect(refusal(name, argumentsOf(name, all(value))), String(value)).toBe("SHAPE_MISMATCH");
    }
  });
});

describe.each(withPlaces("real"))("%s: numbers", (name) => {
  it.each(placesOf(name, "real"))("are taken or refused with a code, argument %d", (place) => {
    for (const value of REALS) {
      expect([null, "BAD_ARGUMENT", "NON_FINITE"], String(value)).toContain(
        refusal(name, argumentsOf(name, { [place]: value })),
      );
    }
    for (const value of NO_NUMBERS) {
      expect(refusal(name, argumentsOf(name, { [place]: value })), String(value)).toBe("BAD_DTYPE");
    }
  });
});

describe.each(withPlaces("shape"))("%s: shapes", (name) => {
  it.each(placesOf(name, "shape"))("are taken or refused with a code, argument %d", (place) => {
    for (const value of SHAPES) {
      expect([null, "SHAPE_MISMATCH"], String(value)).toContain(refusal(name, argumentsOf(name, { [place]: value })));
    }
    for (const value of [7, "shape", null, undefined, {}, [null], ["3", "1"]]) {
      expect(refusal(name, argumentsOf(name, { [place]: value })), String(value)).toBe("BAD_DTYPE");
    }
  });
});

describe.each(withPlaces("flag"))("%s: flags", (name) => {
  it.each(placesOf(name, "flag"))("are true or false, argument %d", (place) => {
    expect(refusal(name, argumentsOf(name, { [place]: false }))).toBeNull();
    for (const value of [0, 1, "true", null, undefined, {}]) {
      expect(refusal(name, argumentsOf(name, { [place]: value })), String(value)).toBe("BAD_DTYPE");
    }
  });
});

describe("numbers out of range", () => {
  it.each<[string, Record<number, unknown>, string]>([
    ["kdLoss", { 6: 0 }, "BAD_ARGUMENT"],
    ["kdLoss", { 6: nan }, "BAD_ARGUMENT"],
    ["kdLoss", { 7: 1.5 }, "BAD_ARGUMENT"],
    ["dropoutForward", { 1: nan }, "BAD_ARGUMENT"],
    ["dropoutForward", { 1: -0.5 }, "BAD_ARGUMENT"],
    ["adamStep", { 5: nan }, "BAD_ARGUMENT"],
    ["adamStep", { 6: 1 }, "BAD_ARGUMENT"],
    ["adamStep", { 11: 0 }, "BAD_ARGUMENT"],
    ["sgdStep", { 3: -1 }, "BAD_ARGUMENT"],
    ["sgdStep", { 4: infinity }, "BAD_ARGUMENT"],
    ["sgdStep", { 5: nan }, "BAD_ARGUMENT"],
    ["movingAverage", { 2: 1.5 }, "BAD_ARGUMENT"],
    ["gatherBytes", { 6: Float32Array.of(0) }, "BAD_ARGUMENT"],
    ["randomIntegers", { 3: 0 }, "BAD_ARGUMENT"],
    ["crossEntropy", { 1: Int32Array.of(3, 0) }, "LABEL_OUT_OF_RANGE"],
    ["kdLoss", { 2: Int32Array.of(0, -1) }, "LABEL_OUT_OF_RANGE"],
    ["gatherRows", { 1: Int32Array.of(0, 2, 0) }, "BAD_ARGUMENT"],
    ["gatherBytes", { 1: Int32Array.of(-1, 0, 0) }, "BAD_ARGUMENT"],
    ["randomNormal", { 0: new Uint32Array(628).fill(2 ** 32 - 1) }, "BAD_ARGUMENT"],
    ["crossEntropy", { 0: new Float32Array(6).fill(nan) }, "NON_FINITE"],
  ])("%s %o", (name, replaced, code) => {
    expect(refusal(name, argumentsOf(name, replaced))).toBe(code);
  });

  it("a batch of one in train mode", () => {
    const one = new Float32Array(3);
    const args = argumentsOf("batchNormForward", { 0: one, 7: new Float32Array(3), 8: 1, 10: 1, 15: null });
    expect(refusal("batchNormForward", args)).toBe("BATCH_TOO_SMALL");
  });
});
