import { describe, expect, it } from "vitest";
import { Linear, manualSeed, type StateDict, StudentNet, TeacherNet } from "../../src/index.js";
import { expectClose } from "./close.js";
import { readFixture, type Stored } from "./fixture.js";

interface Digest {
  shape: number[];
  first: number[];
  last: number[];
  sum: number;
}

interface Fixture {
  linear: { seed: number; inputs: number; outputs: number; bias: boolean; state: Record<string, Stored> }[];
  networks: Record<"teacher" | "student", Record<string, Digest>>;
}

/** Initial values are the same to the bit. */
const EXACT = {};
/** A sum in double precision of up to 1.6 million values: only the order of the additions differs. */
const SUM = { abs: 1e-9 };

const { linear, networks } = readFixture<Fixture>("init");

describe("initial values are PyTorch's", () => {
  it.each(linear)("Linear($inputs, $outputs), seed $seed, bias $bias", ({ seed, inputs, outputs, bias, state }) => {
    manualSeed(seed);
    const actual = new Linear(inputs, outputs, { bias }).stateDict();
    expect(Object.keys(actual)).toEqual(Object.keys(state));
    for (const [key, { shape, values }] of Object.entries(state)) {
      expect(actual[key]?.shape).toEqual(shape);
      expectClose(floats(actual, key), values, EXACT, key);
    }
  });

  it("the script's teacher, then its student, seed 0", () => {
    manualSeed(0);
    const [teacher, student] = [new TeacherNet().stateDict(), new StudentNet().stateDict()];
    expectDigest(teacher, networks.teacher);
    expectDigest(student, networks.student);
  });
});

function expectDigest(actual: StateDict, expected: Record<string, Digest>): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [key, { shape, first, last, sum }] of Object.entries(expected)) {
    const values = floats(actual, key);
    expect(actual[key]?.shape, key).toEqual(shape);
    expectClose(values.slice(0, 5), first, EXACT, `first of ${key}`);
    expectClose(values.slice(-5), last, EXACT, `last of ${key}`);
    expectClose([values.reduce((total, x) => total + x, 0)], [sum], SUM, `sum of ${key}`);
  }
}

function floats(state: StateDict, key: string): Float32Array {
  return Float32Array.from(state[key]?.data ?? [], Number);
}
