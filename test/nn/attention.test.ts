import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import {
  exportOnnx,
  getNumThreads,
  LayerNorm,
  Module,
  MultiheadAttention,
  manualSeed,
  noGrad,
  Parameter,
  randn,
  setNumThreads,
  Tensor,
  TransformerEncoder,
  TransformerEncoderLayer,
  tensor,
} from "../../src/index.js";
import { exported } from "../export/js/support.js";
import { relativeError, run } from "../export/support.js";
import { expectClose } from "../parity/close.js";
import { checkGradients, leaves } from "../tensor/finite_differences.js";

interface Values {
  shape: number[];
  data: number[];
}

interface Case {
  width: number;
  heads: number;
  options: Record<string, unknown>;
  padding: number[][] | null;
  mask?: number[][] | number[][][];
  state: Record<string, Values>;
  inputs: Record<string, Values>;
  out: Values;
  upstream: number[];
  gradInputs: Record<string, number[]>;
  grads: Record<string, number[]>;
}

interface Fixture {
  attention: Case[];
  layers: Case[];
  drawn: { state: Record<string, Values>; x: Values; out: number[] };
  masks: Case[];
  widths: Case[];
  encoders: Case[];
  initial: Record<string, Values>;
}

const { attention, layers, drawn, masks, widths, encoders, initial } = JSON.parse(
  readFileSync(new URL("fixtures/attention.json", import.meta.url), "utf8"),
) as Fixture;

const camel = (options: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(options).map(([key, x]) => [key.replace(/_(.)/g, (_, c: string) => c.toUpperCase()), x]),
  );
const leaf = ({ shape, data }: Values, requiresGrad = false) =>
  new Tensor(Float32Array.from(data), shape, { requiresGrad });
const stateOf = (state: Record<string, Values>) =>
  Object.fromEntries(Object.entries(state).map(([key, values]) => [key, leaf(values)]));
const close = (got: Float32Array | undefined, wanted: number[], what: string) =>
  expectClose(got ?? [], wanted, { ofLargest: 3e-6, abs: 3e-6 }, what);

function compare<M extends Module>(layer: M, one: Case, call: (layer: M, inputs: Record<string, Tensor>) => Tensor) {
  expect(Object.keys(layer.stateDict())).toEqual(Object.keys(one.state));
  layer.loadStateDict(stateOf(one.state));
  const inputs = Object.fromEntries(Object.entries(one.inputs).map(([name, values]) => [name, leaf(values, true)]));
  const out = call(layer, inputs);
  expect(out.shape).toEqual(one.out.shape);
  close(out.data, one.out.data, "out");
  out
    .mul(new Tensor(Float32Array.from(one.upstream), out.shape))
    .sum()
    .backward();
  for (const [name, x] of Object.entries(inputs)) close(x.grad?.data, one.gradInputs[name], name);
  for (const [name, { grad }] of layer.namedParameters()) close(grad?.data, one.grads[name], name);
}

const named = (cases: Case[]) =>
  cases.map((one) => [`${one.width}, ${one.heads}, ${JSON.stringify(one.options)}`, one] as const);

describe("equals torch.nn.MultiheadAttention", () => {
  test.each(named([...attention, ...widths]))("%s", (_, one) => {
    const mask = one.padding === null ? undefined : tensor(one.padding);
    const layer = new MultiheadAttention(one.width, one.heads, camel(one.options));
    compare(layer, one, (layer, { query, key, value }) => layer.forward(query, key, value, mask));
  });

  test("in its initial values, with keys and values of other widths", () => {
    manualSeed(6);
    const state = new MultiheadAttention(4, 2, { kdim: 3, vdim: 5 }).stateDict();
    expect(Object.keys(state)).toEqual(Object.keys(initial));
    for (const [key, { data }] of Object.entries(state)) {
      expectClose(Array.from(data, Number), initial[key].data, { rel: 1e-6 }, key);
    }
  });
});

test("attention to another sequence is written as ONNX and JavaScript", async () => {
  class Crossed extends Module {
    readonly queries = new Parameter(randn([1, 2, 6]).data, [1, 2, 6]);
    readonly attention = new MultiheadAttention(6, 2, { batchFirst: true, kdim: 4, vdim: 3 });
    readonly again = new MultiheadAttention(6, 3, { batchFirst: true });

    override forward(x: Tensor): Tensor {
      const sequence = x.reshape([-1, 5, 7]);
      const [key, value] = [sequence.slice(0, 4, { dim: 2 }), sequence.slice(4, 7, { dim: 2 })];
      const padding = sequence.slice(0, 1, { dim: 2 }).squeeze(2).mul(0).clamp(0, 1);
      const queries = this.queries.add(sequence.sum([1, 2], true).mul(0.1));
      const seen = this.attention.forward(queries, key, value, padding);
      return this.again.forward(seen, queries).reshape([-1, 12]);
    }
  }
  manualSeed(8);
  const network = new Crossed().eval();
  const x = randn([3, 35]);
  const { data } = noGrad(() => network.forward(x));
  const onnx = await run(exportOnnx(network, { features: 35 }), x.data, 35, 3);
  expect(relativeError(onnx.data, data, 12)).toBeLessThan(1e-5);
  const { forward } = exported(network, { features: 35 });
  const rows = [0, 1, 2].flatMap((i) => [...forward(x.data.slice(35 * i, 35 * i + 35))]);
  expect(relativeError(Float32Array.from(rows), data, 12)).toBeLessThan(1e-5);
});

describe("equals torch.nn.MultiheadAttention with an attn_mask", () => {
  test.each(masks.map((one) => [`of ${tensor(one.mask as number[][]).shape.join(" x ")}`, one] as const))(
    "%s",
    (_, one) => {
      const padding = one.padding === null ? undefined : tensor(one.padding);
      const layer = new MultiheadAttention(one.width, one.heads, camel(one.options));
      const mask = tensor(one.mask as number[][]);
      compare(layer, one, (layer, { query, key }) => layer.forward(query, key, key, padding, mask));
    },
  );
});

describe("equals torch.nn.TransformerEncoderLayer", () => {
  test.each(named(layers))("%s", (_, one) => {
    const padding = one.padding === null ? undefined : tensor(one.padding);
    const mask = one.mask && tensor(one.mask);
    const layer = new TransformerEncoderLayer(one.width, one.heads, { ...camel(one.options), dropout: 0 });
    compare(layer, one, (layer, { src }) => layer.forward(src, mask, padding));
  });

  test("in its initial values and what it drops", () => {
    manualSeed(5);
    const layer = new TransformerEncoderLayer(4, 2, { dimFeedforward: 3, dropout: 0.3, batchFirst: true });
    const x = randn([2, 3, 4]);
    expect([...x.data]).toEqual([...leaf(drawn.x).data]);
    for (const [key, { data }] of Object.entries(layer.stateDict())) {
      expectClose(Array.from(data, Number), drawn.state[key].data, { rel: 1e-6 }, key);
    }
    close(layer.forward(x).data, drawn.out, "out");
  });
});

describe("equals torch.nn.TransformerEncoder", () => {
  const make = (norm: Module | null) => {
    const each = { dimFeedforward: 7, dropout: 0, activation: "gelu", batchFirst: true, normFirst: true } as const;
    return new TransformerEncoder(new TransformerEncoderLayer(6, 2, each), 2, { norm });
  };

  test.each(named(encoders))("%s", (_, one) => {
    const padding = one.padding === null ? undefined : tensor(one.padding);
    const mask = one.mask && tensor(one.mask);
    const encoder = make(one.options.norm === true ? new LayerNorm(6) : null);
    compare(encoder, one, (encoder, { src }) => encoder.forward(src, mask, padding));
  });

  test("its layers are copies, for which nothing is drawn", () => {
    const options = { dimFeedforward: 8, batchFirst: true, normFirst: true, activation: "gelu", bias: false } as const;
    manualSeed(3);
    const layer = new TransformerEncoderLayer(4, 2, options).eval();
    const expected = randn([2]).data;
    manualSeed(3);
    const encoder = new TransformerEncoder(new TransformerEncoderLayer(4, 2, options).eval(), 2);
    expect(randn([2]).data).toEqual(expected);
    const x = randn([2, 3, 4]);
    expect(encoder.forward(x).data).toEqual(layer.forward(layer.forward(x)).data);
    encoder.layers[0].linear1.weight.data.fill(0);
    expect(encoder.layers[1].stateDict()).toEqual(layer.stateDict());
    expect(String(encoder)).toContain("(layers): ModuleList(");
  });

  test("refuses what can't be copied", () => {
    class Own extends TransformerEncoderLayer {}
    expect(() => new TransformerEncoder(new Own(4, 2), 2)).toThrow("encoderLayer: expected a TransformerEncoderLayer");
    expect(() => new TransformerEncoder(null as never, 2)).toThrow("encoderLayer: expected a TransformerEncoderLayer");
    const layer = new TransformerEncoderLayer(4, 2);
    expect(() => new TransformerEncoder(layer, 0)).toThrow("numLayers: expected a whole number");
    expect(() => new TransformerEncoder(layer, 1, { norm: 4 as never })).toThrow("norm: expected a Module, got 4");
  });
});

test("gradients are the slopes, with a mask too", () => {
  manualSeed(2);
  const layer = new TransformerEncoderLayer(6, 2, { dimFeedforward: 5, dropout: 0, activation: "gelu" });
  const mask = tensor([
    [0, 0, 1],
    [0, 1, 1],
  ]);
  checkGradients((x) => layer.forward(x, undefined, mask), leaves([[3, 2, 6]]));
});

describe("the bits do not depend on the threads", () => {
  const threads = getNumThreads();
  afterAll(() => setNumThreads(threads));
  const run = (count: number) => {
    setNumThreads(count);
    manualSeed(3);
    const layer = new TransformerEncoderLayer(48, 4, { dimFeedforward: 96, batchFirst: true });
    const x = randn([9, 33, 48], { requiresGrad: true });
    const y = layer.forward(x);
    y.mul(y).sum().backward();
    return [y, x.grad, ...layer.parameters().map(({ grad }) => grad)].map((one) => one?.data);
  };
  test.each([2, 3])("%i", (count) => expect(run(count)).toEqual(run(1)));
});

test("what is padding does not matter, and a sequence of padding alone has numbers", () => {
  const layer = new TransformerEncoderLayer(4, 2, { batchFirst: true }).eval();
  const mask = tensor([
    [0, 0, 1],
    [1, 1, 1],
  ]);
  const x = randn([2, 3, 4]);
  const other = new Tensor(Float32Array.from(x.data), x.shape);
  other.data.set([9, -9, 9, -9], 8);
  const [one, two] = [x, other].map((x) => layer.forward(x, undefined, mask));
  expect([...one.data.subarray(0, 8)]).toEqual([...two.data.subarray(0, 8)]);
  expect(one.data.every(Number.isFinite)).toBe(true);
});

test("refuses widths that heads do not share, other shapes, and a mask that is to be added", () => {
  expect(() => new MultiheadAttention(6, 4)).toThrow("embedDim: expected a multiple of the 4 heads, got 6");
  expect(() => new MultiheadAttention(6, 2, { dropout: 2 })).toThrow("dropout: expected a chance from 0 to 1, got 2");
  expect(() => new TransformerEncoderLayer(6, 2, { activation: "tanh" as never })).toThrow("activation: expected");
  expect(() => new TransformerEncoderLayer(6, 2, { layerNormEps: -1 })).toThrow("layerNormEps: expected a number");
  expect(() => new MultiheadAttention(6, 2, [] as never)).toThrow(
    "MultiheadAttention: expected options by their names",
  );
  const layer = new MultiheadAttention(4, 2, { batchFirst: true });
  const x = randn([2, 3, 4]);
  expect(() => layer.forward(undefined as never)).toThrow(
    "MultiheadAttention: query: expected a Tensor, got undefined",
  );
  for (const normFirst of [false, true]) {
    expect(() => new TransformerEncoderLayer(4, 2, { normFirst }).forward(undefined as never)).toThrow(
      "TransformerEncoderLayer: src: expected a Tensor, got undefined",
    );
  }
  expect(() => layer.forward(randn([2, 3, 5]))).toThrow("MultiheadAttention: query: expected shape");
  expect(() => new MultiheadAttention(4, 2, { kdim: 0 })).toThrow("kdim: expected a whole number from 1");
  expect(() => new MultiheadAttention(4, 2, { kdim: 3, batchFirst: true }).forward(x)).toThrow(
    "MultiheadAttention: key: expected shape [*, *, 3], got [2, 3, 4]",
  );
  expect(() => layer.forward(x, randn([1, 3, 4]))).toThrow("MultiheadAttention: key: expected shape");
  expect(() => layer.forward(x, x, randn([2, 2, 4]))).toThrow("MultiheadAttention: value: expected shape");
  expect(() => layer.forward(x, x, x, tensor([[0, 0, 1]]))).toThrow("keyPaddingMask: expected shape");
  expect(() => layer.forward(x, x, x, undefined, tensor([[0, 0, 1]]))).toThrow(
    "attnMask: expected shape [3, 3], got [1, 3]",
  );
  expect(() => layer.forward(x, x, x, undefined, randn([2, 3, 3]))).toThrow("attnMask: expected shape [4, 3, 3]");
  expect(() => layer.forward(x, x, x, undefined, randn([3, 3]))).toThrow(
    "attnMask: expected 1 where a query does not attend to a key and 0 elsewhere",
  );
  const added = tensor([
    [0, 0, Number.NEGATIVE_INFINITY],
    [0, 0, 0],
  ]);
  expect(() => layer.forward(x, x, x, added)).toThrow(
    "keyPaddingMask: expected 1 where a key is padding and 0 elsewhere",
  );
});
