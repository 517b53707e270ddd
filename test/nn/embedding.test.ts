import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  Adam,
  AdamW,
  clipGradNorm,
  Embedding,
  EmbeddingBag,
  F,
  IntTensor,
  manualSeed,
  type Optimizer,
  randn,
  SGD,
  Tensor,
  tensor,
} from "../../src/index.js";

const IDS = [
  [4, 0, 2, 4],
  [0, 0, 0, 0],
  [1, 3, 3, 0],
];

interface Case {
  function: "embedding" | "embeddingBag";
  options: { mode?: "sum" | "mean"; padding_idx?: number };
  ids: number[][];
  table: number[];
  weights?: number[];
  out: number[];
  upstream: number[];
  gradTable: number[];
  gradWeights?: number[];
}

const { cases, initial } = JSON.parse(readFileSync(new URL("fixtures/embedding.json", import.meta.url), "utf8")) as {
  cases: Case[];
  initial: number[];
};

const close = (got: Float32Array | undefined, wanted: readonly number[]) => {
  expect(got?.length).toBe(wanted.length);
  for (const [i, x] of wanted.entries()) expect(got?.[i]).toBeCloseTo(x, 5);
};

test("an id that names no row is refused; of bags a negative one subtracts its row", () => {
  const table = tensor([
    [1, 2],
    [3, 4],
  ]);
  for (const id of [-1, -0.5, 2, 1.5, Number.NaN]) {
    const message = `embedding: ids[1]: expected a whole number from 0 to 1, got ${id}`;
    expect(() => F.embedding(tensor([1, id, id]), table)).toThrow(message);
  }
  expect(F.embeddingBag(tensor([[-1, 0]]), table, { mode: "sum" }).toArray()).toEqual([[-2, -2]]);
});

test("ids may be integers, as in PyTorch, also of layers", () => {
  const [ids, whole] = [tensor([[1, 0]]), new IntTensor(Int32Array.of(1, 0), [1, 2])];
  for (const layer of [new Embedding(2, 3), new EmbeddingBag(2, 3)]) {
    expect(layer.forward(whole).toArray()).toEqual(layer.forward(ids).toArray());
  }
  expect(() => new Embedding(2, 3).forward(Int32Array.of(1) as never)).toThrow(
    "embedding: ids: expected a Tensor or an IntTensor, got a value of type Int32Array",
  );
  expect(() => new Embedding(2, 3).forward(new IntTensor(Int32Array.of(2)))).toThrow(
    "embedding: ids[0]: expected a whole number from 0 to 1, got 2",
  );
});

describe("equals PyTorch", () => {
  test.each(cases.map((one) => [one.function, JSON.stringify(one.options), one] as const))("%s %s", (_, __, one) => {
    const { mode, padding_idx: paddingIdx = null } = one.options;
    const leaf = (values: readonly number[], shape: number[]) =>
      new Tensor(Float32Array.from(values), shape, { requiresGrad: true });
    const [table, ids] = [leaf(one.table, [6, 3]), tensor(one.ids)];
    const weights = one.weights && leaf(one.weights, [4, 4]);
    const out =
      one.function === "embedding"
        ? F.embedding(ids, table, { paddingIdx })
        : F.embeddingBag(ids, table, {
            paddingIdx,
            ...(mode && { mode }),
            ...(weights && { perSampleWeights: weights }),
          });
    close(out.data, one.out);
    out
      .mul(new Tensor(Float32Array.from(one.upstream), out.shape))
      .sum()
      .backward();
    close(table.grad?.data, one.gradTable);
    if (one.gradWeights) close(weights?.grad?.data, one.gradWeights);
  });

  test("initial values", () => {
    manualSeed(3);
    close(new EmbeddingBag(5, 3, { paddingIdx: 1 }).weight.data, initial);
  });
});

describe("gradients are those of finite differences", () => {
  test.each([
    ["sum", false],
    ["sum", true],
    ["mean", false],
  ] as const)("%s, weights %s", (mode, isWeighted) => {
    manualSeed(1);
    const [table, weights, upstream] = [randn([5, 3]), randn([3, 4]), randn([3, 3])];
    const inputs = isWeighted ? [table, weights] : [table];
    for (const input of inputs) input.requiresGrad = true;
    const loss = () =>
      F.embeddingBag(tensor(IDS), table, { mode, paddingIdx: 0, ...(isWeighted && { perSampleWeights: weights }) })
        .mul(upstream)
        .sum();
    loss().backward();
    for (const input of inputs) {
      for (let i = 0; i < input.size; i++) {
        const before = input.data[i];
        const at = (x: number) => {
          input.data[i] = x;
          return loss().item();
        };
        const slope = (at(before + 1e-2) - at(before - 1e-2)) / 2e-2;
        input.data[i] = before;
        expect(input.grad?.data[i]).toBeCloseTo(slope, 3);
      }
    }
  });
});

const squares = (x: Tensor) => x.mul(x).sum();

describe("a sparse gradient", () => {
  const optimizers: [string, (params: Tensor[]) => Optimizer][] = [
    ["AdamW", (params) => new AdamW(params, { lr: 0.1 })],
    ["Adam amsgrad", (params) => new Adam(params, { lr: 0.1, weightDecay: 0.1, amsgrad: true })],
    ["SGD momentum", (params) => new SGD(params, { lr: 0.1, momentum: 0.9, nesterov: true })],
  ];

  test.each(optimizers)("moves the batch's rows as if they were all, by %s, and no other", (_, make) => {
    manualSeed(2);
    const start = randn([5, 3]);
    const part = new Tensor(start.data.slice(3), [4, 3], { requiresGrad: true });
    const bag = new EmbeddingBag(6, 3, { paddingIdx: 0, sparse: true });
    bag.weight.data.set(start.data);
    const kept = bag.weight.data.slice(15);
    const [sparse, dense] = [make([bag.weight]), make([part])];
    for (let step = 0; step < 3; step++) {
      for (const optimizer of [sparse, dense]) optimizer.zeroGrad();
      squares(bag.forward(tensor(IDS))).backward();
      const ids = tensor(IDS.map((bag) => bag.map((id) => Math.max(0, id - 1))));
      const perSampleWeights = tensor(IDS.map((bag) => bag.map((id) => Number(id > 0)))).div(tensor([[3], [1], [3]]));
      squares(F.embeddingBag(ids, part, { mode: "sum", perSampleWeights })).backward();
      for (const optimizer of [sparse, dense]) optimizer.step();
    }
    for (const [i, x] of part.data.entries()) expect(bag.weight.data[3 + i]).toBeCloseTo(x, 5);
    expect(bag.weight.data.slice(15)).toEqual(kept);
    expect([...bag.weight.data.slice(0, 3)]).toEqual([0, 0, 0].map((_, i) => start.data[i]));
  });

  test("is the dense one if it is read, added to, clipped, saved and loaded", () => {
    manualSeed(3);
    const bags = [true, false].map((sparse) => new EmbeddingBag(6, 3, { paddingIdx: 0, sparse }));
    bags[1].weight.data.set(bags[0].weight.data);
    const norms = bags.map((bag) => {
      for (let i = 0; i < 2; i++) bag.forward(tensor(IDS)).sum().backward();
      return clipGradNorm([bag.weight], 0.5);
    });
    expect(norms[0]).toBe(norms[1]);
    expect(bags[0].weight.grad?.data).toEqual(bags[1].weight.grad?.data);
  });

  test.each(optimizers)("moves no other row if it was read, or gathered in two passes, by %s", (_, make) => {
    const train = (use: (table: Tensor) => void, parts: number[][][]) => {
      manualSeed(5);
      const { weight } = new Embedding(5, 2, { sparse: true });
      const optimizer = make([weight]);
      for (const [step, ids] of [parts, [[[3, 1]]]].entries()) {
        optimizer.zeroGrad();
        for (const part of ids) {
          F.embedding(tensor(part), weight, { sparse: true })
            .mul(step + 2)
            .sum()
            .backward();
          use(weight);
        }
        optimizer.step();
      }
      return weight.data;
    };
    const whole = train(() => {}, [[[0, 1, 3]]]);
    const halves = [[[3]], [[0, 1]]];
    expect(train((table) => table.grad, [[[0, 1, 3]]])).toEqual(whole);
    expect(train(() => {}, halves)).toEqual(whole);
    expect(train((table) => table.grad, halves)).toEqual(whole);
    const scaled = (table: Tensor) => clipGradNorm([table], 1e9) && table.grad;
    expect(train(scaled, halves)).toEqual(whole);
  });

  test("that was read grows with the next pass, and with a dense one becomes dense", () => {
    const table = tensor([[1, 2], [3, 4], [5, 6]], { requiresGrad: true }); // biome-ignore format: rows
    const add = (ids: number[]) => F.embedding(tensor(ids), table, { sparse: true }).sum().backward();
    add([2]);
    const grad = table.grad as Tensor;
    add([2, 0]);
    expect(table.grad).toBe(grad);
    expect(grad.toArray()).toEqual([[1, 1], [0, 0], [2, 2]]); // biome-ignore format: rows
    table.sum().backward();
    add([0]);
    expect(table.grad?.toArray()).toEqual([[3, 3], [1, 1], [3, 3]]); // biome-ignore format: rows
    new SGD([table], { lr: 1 }).step();
    expect(table.toArray()).toEqual([[-2, -1], [2, 3], [2, 3]]); // biome-ignore format: rows
  });

  test("state of an optimizer goes on after it was saved", () => {
    const make = () => {
      manualSeed(4);
      const bag = new EmbeddingBag(6, 3, { paddingIdx: 0, sparse: true });
      return { bag, optimizer: new AdamW([bag.weight], { lr: 0.1 }) };
    };
    const step = ({ bag, optimizer }: ReturnType<typeof make>, ids: number[][]) => {
      optimizer.zeroGrad();
      bag.forward(tensor(ids)).sum().backward();
      optimizer.step();
    };
    const [whole, cut] = [make(), make()];
    for (const one of [whole, cut]) step(one, [[1, 2]]);
    const resumed = make();
    resumed.bag.weight.data.set(cut.bag.weight.data);
    resumed.optimizer.loadStateDict(cut.optimizer.stateDict());
    for (const one of [whole, resumed]) step(one, [[2, 5]]);
    expect(resumed.bag.weight.data).toEqual(whole.bag.weight.data);
  });
});

test("an embedding gives rows, and none to the gradient of padding", () => {
  const table = tensor([[1, 2], [3, 4], [5, 6]], { requiresGrad: true }); // biome-ignore format: rows
  const out = F.embedding(tensor([[2, 0], [1, 2]]), table, { paddingIdx: 0 }); // biome-ignore format: rows
  expect(out.toArray()).toEqual([
    [[5, 6], [1, 2]], // biome-ignore format: rows
    [[3, 4], [5, 6]], // biome-ignore format: rows
  ]);
  out.sum().backward();
  expect(table.grad?.toArray()).toEqual([[0, 0], [1, 1], [2, 2]]); // biome-ignore format: rows
  expect(String(new Embedding(10, 4, { paddingIdx: 0 })).split("\n")[0]).toBe("Embedding(10, 4, padding_idx=0)");
});

test("refuses ids that name no row, and weights of a mean", () => {
  const bag = new EmbeddingBag(4, 2);
  expect(() => bag.forward(tensor([[4]]))).toThrow("embeddingBag: id: expected a whole number below");
  expect(() => bag.forward(tensor([[0.5]]))).toThrow("embeddingBag: id: expected a whole number below");
  expect(() => bag.forward(tensor([[1]]), tensor([[1]]))).toThrow('perSampleWeights: expected mode "sum" with them');
  expect(() => new Embedding(4, 2, { paddingIdx: 4 })).toThrow("paddingIdx: expected a whole number from 0 to 3");
});
