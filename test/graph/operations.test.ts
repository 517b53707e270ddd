import { afterEach, beforeEach, expect, test } from "vitest";
import { FrozenModel } from "../../src/graph/index.js";
import {
  Generator,
  getNumThreads,
  type Module,
  noGrad,
  setNumThreads,
  type Tensor,
  withGenerator,
} from "../../src/index.js";
import { GIVE_INTEGERS, networksOf, OPERATIONS } from "../ops/support.js";

const threads = getNumThreads();
beforeEach(() => setNumThreads(2));
afterEach(() => setNumThreads(threads));

/** The functions that can't be frozen, and why: a network with one of them runs live. */
const LIVE: Readonly<Record<string, string>> = {
  where: "its mask is no tensor, and may depend on the batch",
  cosineEmbeddingLoss: "reads its target, which is no tensor, by where",
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

test.each(OPERATIONS.filter((name) => LIVE[name] === undefined))(
  "%s runs natively with the bits of forward",
  (name) => {
    for (const { network, x, text } of networksOf(name)) {
      for (const training of [false, true]) {
        network.train(training);
        const model = freeze(network, x.size, training);
        expect(model, text).not.toBeNull();
        const [ahead, stream, own] = [new Generator(7), new Generator(7), new Generator(7)];
        const expected = noGrad(() => withGenerator(own, () => network.forward(x)));
        model?.enqueue(x, ahead);
        const { output } = (model as FrozenModel).take(x, stream);
        expect(bits(output), text).toEqual(bits(expected));
        expect([...stream.state]).toEqual([...own.state]);
        model?.release();
      }
    }
  },
);

test.each(Object.entries(LIVE))("%s runs live: it %s", (name) => {
  for (const { network, x } of networksOf(name)) expect(freeze(network, x.size, false)).toBeNull();
});
