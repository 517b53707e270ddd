import { afterEach, beforeEach, expect, test } from "vitest";
import { FrozenModel } from "../../src/graph/index.js";
import {
  Generator,
  getNumThreads,
  type Module,
  noGrad,
  setNumThreads,
  Tensor,
  withGenerator,
} from "../../src/index.js";
import { CASES, Computes, GIVE_INTEGERS, inputsOf } from "../ops/support.js";

const threads = getNumThreads();
beforeEach(() => setNumThreads(2));
afterEach(() => setNumThreads(threads));

/** The functions that can't be frozen, and why: a network with one of them runs live. */
const LIVE: Readonly<Record<string, string>> = {
  where: "its mask is no tensor, and may depend on the batch",
  topk: "picks by places, which are no tensors",
  ...Object.fromEntries(GIVE_INTEGERS.map((name) => [name, "gives whole numbers"])),
};

function freeze(module: Module, size: number, training: boolean): FrozenModel | null {
  try {
    return FrozenModel.from(module, [size], { training });
  } catch (error) {
    if (error instanceof Error && /no native form|can be traced|forward\(\): expected/.test(error.message)) return null;
    throw error;
  }
}

/** Bits, for NaN and signs. */
const bits = ({ data, shape }: Tensor) => ({ shape, bits: [...new Uint32Array(Float32Array.from(data).buffer)] });

const FUNCTIONS = [...new Set(CASES.map(({ op }) => op))];

test.each(FUNCTIONS.filter((name) => LIVE[name] === undefined))("%s runs natively with the bits of forward", (name) => {
  for (const one of CASES.filter(({ op, outputs }) => op === name && outputs.some((output) => "float" in output))) {
    const inputs = inputsOf(one).filter((input) => input instanceof Tensor);
    const values = inputs.flatMap(({ data }) => [...data]);
    if (values.length === 0) continue;
    const x = new Tensor(Float32Array.from(values), [1, values.length]);
    for (const training of [false, true]) {
      const module = new Computes(one, inputs).train(training);
      const model = freeze(module, values.length, training);
      expect(model, JSON.stringify(one.args)).not.toBeNull();
      const [ahead, stream, own] = [new Generator(7), new Generator(7), new Generator(7)];
      const expected = noGrad(() => withGenerator(own, () => module.forward(x)));
      model?.enqueue(x, ahead);
      const { output } = (model as FrozenModel).take(x, stream);
      expect(bits(output), JSON.stringify(one.args)).toEqual(bits(expected));
      expect([...stream.state]).toEqual([...own.state]);
      model?.release();
    }
  }
});

test.each(Object.entries(LIVE))("%s runs live: it %s", (name) => {
  for (const one of CASES.filter(({ op }) => op === name)) {
    const inputs = inputsOf(one).filter((input) => input instanceof Tensor);
    const size = inputs.reduce((sum, input) => sum + input.size, 0);
    if (size > 0 && one.outputs.some((output) => "float" in output && output.float.length > 0)) {
      expect(freeze(new Computes(one, inputs), size, false)).toBeNull();
    }
  }
});
