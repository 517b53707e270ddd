import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  BatchNorm1d,
  ExponentialMovingAverage,
  IntTensor,
  Linear,
  LongTensor,
  Module,
  manualSeed,
  Sequential,
  type StateDict,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";

interface Fixture {
  lines: Record<string, [start: number[], end: number[]]>;
  updates: number;
  cases: { decay: number; useBuffers: boolean; state: Record<string, number[]> }[];
}

const fixture = JSON.parse(
  readFileSync(join(import.meta.dirname, "fixtures", "averaged_weights.json"), "utf8"),
) as Fixture;
const network = () => new Sequential(new Linear(3, 4), new BatchNorm1d(4), new Linear(4, 1, { bias: false }));

/** make_fixtures.py's averaged_weights: every number moves along a line. */
function moveTo(state: StateDict, update: number): void {
  for (const [key, { data }] of Object.entries(state)) {
    if (data instanceof BigInt64Array) {
      data.fill(BigInt(7 * update));
      continue;
    }
    const [start, end] = fixture.lines[key];
    for (const [i, from] of start.entries()) data[i] = from + (end[i] - from) * (update / fixture.updates);
  }
}

const values = (state: StateDict) =>
  Object.fromEntries(
    Object.entries(state).map(([key, { data }]) => [key, Array.from<number | bigint, number>(data, Number)]),
  );

/** Two layers, each under a second name too. */
class Tied extends Module {
  readonly first = new Linear(3, 4);
  readonly norm = new BatchNorm1d(4);
  readonly again: Linear | null;
  readonly same: BatchNorm1d | null;

  constructor(isTied = true) {
    super();
    this.again = isTied ? this.first : null;
    this.same = isTied ? this.norm : null;
  }

  override forward(x: Tensor): Tensor {
    return this.norm.forward(this.first.forward(x));
  }
}

describe("ExponentialMovingAverage", () => {
  it.each(fixture.cases)(
    "has PyTorch's averages, decay $decay, useBuffers $useBuffers",
    ({ state: wanted, ...options }) => {
      const model = network();
      const average = new ExponentialMovingAverage(model, options);
      for (let update = 1; update <= fixture.updates; update++) {
        moveTo(model.stateDict(), update);
        average.update();
      }
      const state = values(average.stateDict());
      expect(Object.keys(state)).toEqual(Object.keys(wanted));
      for (const [key, numbers] of Object.entries(wanted))
        expectClose(state[key], numbers, { rel: 1e-6, abs: 1e-7 }, key);
    },
  );

  it("continues from a state dict with the same bits", () => {
    const model = network();
    const [first, second] = [0, 1].map(() => new ExponentialMovingAverage(model, { decay: 0.5 }));
    moveTo(model.stateDict(), 1);
    first.update();
    second.loadStateDict(structuredCloneOf(first.stateDict()));
    moveTo(model.stateDict(), 5);
    for (const average of [first, second]) average.update();
    expect(values(second.stateDict())).toEqual(values(first.stateDict()));
    expect(second.stateDict().n_averaged).toEqual(new LongTensor(BigInt64Array.of(2n), []));
  });

  it("is in the network during a call, which has its own weights again afterwards, also after an error", async () => {
    manualSeed(1);
    const model = network();
    const average = new ExponentialMovingAverage(model);
    average.update();
    const averaged = values(average.modelState());
    moveTo(model.stateDict(), 3);
    const own = values(model.stateDict());
    expect(await average.withWeights(() => values(model.stateDict()))).toEqual(averaged);
    await expect(average.withWeights(() => Promise.reject(new Error("stopped")))).rejects.toThrow("stopped");
    expect(values(model.stateDict())).toEqual(own);
    expect(values(average.modelState())).toEqual(averaged);
  });

  it("a backward pass after the exchange is refused: it would read other weights than the forward pass", async () => {
    const layer = new Linear(2, 1);
    const average = new ExponentialMovingAverage(layer);
    const x = tensor([[1, 2]], { requiresGrad: true });
    const loss = layer.forward(x).sum();
    await average.withWeights(() => expect(() => loss.backward()).toThrow("was changed after the forward pass"));
  });

  it("integers of 32 bits move as those of 64, without their fraction", () => {
    class Marked extends Module {
      readonly mark: IntTensor = this.registerBuffer("mark", new IntTensor(Int32Array.of(0), [1]) as never);
      override forward(x: Tensor): Tensor {
        return x;
      }
    }
    const model = new Marked();
    const average = new ExponentialMovingAverage(model, { decay: 0.5, useBuffers: true });
    const averages = [100, 200, 300, 400].map((value) => {
      model.mark.data[0] = value;
      average.update();
      return average.modelState().mark.data[0];
    });
    expect(averages).toEqual([100, 150, 225, 312]);
  });

  it("a tensor of two names has one average, which is in the network during a call and out of it afterwards", async () => {
    for (const useBuffers of [false, true]) {
      const [model, plain] = [new Tied(), new Tied(false)];
      const [average, wanted] = [model, plain].map(
        (module) => new ExponentialMovingAverage(module, { decay: 0.5, useBuffers }),
      );
      for (let update = 1; update <= 3; update++) {
        for (const module of [model, plain]) {
          for (const [i, { data }] of [...new Set(Object.values(module.stateDict()))].entries())
            data.fill((data instanceof BigInt64Array ? BigInt(7 * update) : update * (i + 1)) as never);
        }
        average.update();
        wanted.update();
      }
      const own = values(model.stateDict());
      const expected = values(wanted.modelState());
      for (const [key, numbers] of Object.entries(expected))
        expected[key.replace("first", "again").replace("norm", "same")] = numbers;
      expect(await average.withWeights(() => values(model.stateDict()))).toEqual(expected);
      expect(values(model.stateDict())).toEqual(own);
      expect(values(average.modelState())).toEqual(expected);
    }
  });

  it.each([{ decay: 1.5 }, { decay: Number.NaN }, { decays: 0.9 }, { useBuffers: "false" as never }])(
    "refuses %j",
    (options) => {
      expect(() => new ExponentialMovingAverage(network(), options)).toThrow(
        expect.objectContaining({ code: "BAD_ARGUMENT" }),
      );
    },
  );

  it("refuses what is no network, and a decay of one update that is out of range", () => {
    const refused = (message: string) => expect.objectContaining({ code: "BAD_ARGUMENT", message }) as unknown;
    expect(() => new ExponentialMovingAverage(3 as never)).toThrow(refused("model: expected a Module, got 3") as Error);
    const average = new ExponentialMovingAverage(network());
    for (const decay of [Number.NaN, 2])
      expect(() => average.update(decay)).toThrow(
        refused(`decay: expected a number from 0 to 1, got ${decay}`) as Error,
      );
    expect(average.updates).toBe(0);
  });

  it("refuses what is no function, with the weights as they were", async () => {
    const model = network();
    const before = model.parameters().map(({ data }) => Array.from(data));
    const average = new ExponentialMovingAverage(model);
    model.parameters()[0].data.fill(3);
    await expect(average.withWeights(1 as never)).rejects.toThrow("body: expected a function, got 1");
    expect(model.parameters().map(({ data }) => Array.from(data))).toEqual([
      before[0].map(() => 3),
      ...before.slice(1),
    ]);
  });

  it("refuses the state of another network", () => {
    const other = new ExponentialMovingAverage(new Linear(2, 2)).stateDict();
    expect(() => new ExponentialMovingAverage(network()).loadStateDict(other)).toThrow(
      expect.objectContaining({ code: "STATE_DICT_MISMATCH" }),
    );
  });
});

function structuredCloneOf(state: StateDict): StateDict {
  const copy = new ExponentialMovingAverage(network()).stateDict();
  for (const [key, tensor] of Object.entries(copy)) tensor.data.set(state[key].data as never);
  return copy;
}
