import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FrozenModel } from "../../src/graph/index.js";
import { Modes } from "../../src/nn/modes.js";
import { Taps } from "../../src/nn/taps.js";
import {
  BatchNorm1d,
  cat,
  Dropout,
  F,
  Generator,
  getNumThreads,
  Linear,
  Module,
  noGrad,
  ReLU,
  randn,
  Sequential,
  StudentNet,
  setNumThreads,
  TeacherNet,
  type Tensor,
  withGenerator,
} from "./support.js";

const threads = getNumThreads();
beforeEach(() => setNumThreads(2));
afterEach(() => setNumThreads(threads));

/** Sums, a gate, a layer that is used twice, operations that broadcast. */
class Residual extends Module {
  readonly in = new Linear(6, 8, { bias: false });
  readonly bn = new BatchNorm1d(8);
  readonly block = new Sequential(new Linear(8, 8), new BatchNorm1d(8), new ReLU(), new Dropout(0.4));
  readonly shared = new Linear(8, 8);
  readonly dropout = new Dropout(0.2);
  readonly scale = randn([8]);
  readonly out = new Linear(8, 3);

  override forward(x: Tensor): Tensor {
    const h = this.bn.forward(this.in.forward(x));
    const a = this.block.forward(h).add(h);
    const b = this.dropout.forward(this.shared.forward(a).relu()).mul(this.scale).add(0.5);
    const gate = F.softmax(this.shared.forward(b)).mul(2).mean(1, true);
    const pooled = b.mul(gate).reshape([-1, 2, 4]).sum(1, true).reshape([-1, 4]);
    return this.out.forward(b.detach()).add(pooled.matmul(randnOnce));
  }
}

/** LayerNorm in its parts, attention over the features, activations, and operations that move the batch's axis. */
class Attention extends Module {
  readonly in = new Linear(6, 12);
  readonly query = new Linear(4, 4);
  readonly out = new Linear(12, 3);
  readonly dropout = new Dropout(0.3);
  readonly scale = randn([12]);

  override forward(x: Tensor): Tensor {
    const h = this.in.forward(x);
    const centred = h.sub(h.mean(1, true));
    const deviation = centred.mul(centred).mean(1, true).add(1e-5).rsqrt();
    const tokens = centred.mul(deviation).mul(this.scale).reshape([-1, 3, 4]);
    const scores = this.query.forward(tokens).matmul(tokens.transpose(1, 2)).div(2);
    const mixed = this.dropout.forward(F.softmax(scores, 1)).matmul(tokens).add(tokens);
    const joined = F.gelu(cat([mixed.slice(1, 3, { dim: 1 }), mixed.max(1, true).values.tanh()], 1));
    const turned = joined.permute([1, 0, 2]);
    const pooled = turned.mul(turned.sigmoid()).sum([0, 2]).unsqueeze(1);
    const ones = pooled.expand([-1, 12]).clamp(-1, 1).maximum(F.silu(h)).div(h.abs().add(1).pow(1.5));
    return this.out.forward(this.dropout.forward(ones)).add(joined.std([1, 2]).unsqueeze(-1));
  }
}

const randnOnce = withGenerator(new Generator(8), () => randn([4, 3]));

const NETWORKS: [string, () => Module][] = [
  ["TeacherNet", () => new TeacherNet({ inFeatures: 6, hidden: [12, 10, 8], classes: 3 })],
  ["StudentNet", () => new StudentNet({ inFeatures: 6, hidden: [12, 10], classes: 3 })],
  [
    "a Sequential",
    () =>
      new Sequential(
        ...[new Linear(6, 9), new BatchNorm1d(9), new ReLU(), new Dropout(0.4)],
        ...[new Linear(9, 9), new BatchNorm1d(9), new ReLU(), new Dropout(1), new Linear(9, 5, { bias: false })],
        ...[new ReLU(), new Dropout(0.1), new Linear(5, 3), new BatchNorm1d(3)],
      ),
  ],
  ["residual sums, a gate, a shared layer", () => new Residual()],
  ["LayerNorm in its parts, attention", () => new Attention()],
  ["one BatchNorm used twice", () => twice()],
];

function twice(): Module {
  const [linear, bn] = [new Linear(6, 6), new BatchNorm1d(6)];
  return new Sequential(linear, bn, new ReLU(), linear, bn, new ReLU(), new Dropout(0.3));
}

const make = (network: () => Module) =>
  withGenerator(new Generator(3), () => {
    const own = network();
    for (const { data } of own.parameters()) data.set(randn([data.length]).data.map((x) => 0.5 * x));
    own.forward(randn([30, 6]));
    return own.freeze();
  });

/** A last batch that is short, as at the end of an epoch. */
const batches = withGenerator(new Generator(4), () => [16, 16, 16, 5].map((rows) => randn([rows, 6])));
const state = (network: Module) =>
  Object.entries(network.stateDict()).map(([key, { data }]) => [key, Array.from(data, Number)]);

/** Runs all batches, so many passes ahead. */
function runFrozen(network: Module, training: boolean | undefined, ahead: number, taps: string[] = []) {
  const frozen = FrozenModel.from(network, [6], { ...(training !== undefined && { training }), taps });
  const generator = new Generator(9);
  const later = new Generator(9);
  const results = batches.map((inputs, i) => {
    for (let k = i + frozen.inFlight; k < Math.min(i + ahead, batches.length); k++) frozen.enqueue(batches[k], later);
    const { output, taps } = frozen.take(inputs, generator);
    return [output.toArray(), Object.entries(taps).map(([path, tensor]) => [path, tensor.toArray()])];
  });
  frozen.release();
  return { results, state: state(network), stream: [...generator.state] };
}

function runLive(network: Module, training: boolean | undefined, taps: string[] = []) {
  const generator = new Generator(9);
  const tapped = new Taps(network, taps, "taps");
  const results = batches.map((inputs) => {
    const forward = () => noGrad(() => withGenerator(generator, () => tapped.record(() => network.forward(inputs))));
    const { value, taps } = training === undefined ? forward() : new Modes([[network, training]]).run(forward);
    return [value.toArray(), Object.entries(taps).map(([path, tensor]) => [path, tensor.toArray()])];
  });
  return { results, state: state(network), stream: [...generator.state] };
}

describe("a frozen model gives the bits of its module's forward, and moves what that moves", () => {
  for (const [name, network] of NETWORKS) {
    test.each([
      ["train", true],
      ["eval", false],
    ] as const)(`${name}, in %s mode`, (_, training) => {
      const live = runLive(make(network), training);
      for (const ahead of [0, 1, 3]) expect(runFrozen(make(network), training, ahead)).toEqual(live);
    });
  }

  test("on one thread", () => {
    const live = runLive(
      make(() => new Residual()),
      true,
    );
    setNumThreads(1);
    expect(
      runFrozen(
        make(() => new Residual()),
        true,
        3,
      ),
    ).toEqual(live);
  });

  test("with layers in different modes", () => {
    const mixed = () => {
      const network = make(NETWORKS[0][1]) as TeacherNet;
      network.bn1.eval();
      network.dropout3.eval();
      return network;
    };
    expect(runFrozen(mixed(), undefined, 3)).toEqual(runLive(mixed(), undefined));
  });

  test("at taps", () => {
    const taps = ["block", "bn", "shared", "block.0", "in"];
    const network = () => make(() => new Residual());
    expect(runFrozen(network(), true, 2, taps)).toEqual(runLive(network(), true, taps));
  });
});

describe("what is in flight counts only for what it was started with", () => {
  const setup = () => FrozenModel.from(make(NETWORKS[0][1]), [6], { training: true });
  const expected = (from: Generator) => {
    const network = make(NETWORKS[0][1]).train();
    return noGrad(() => withGenerator(from, () => network.forward(batches[0]))).toArray();
  };

  test("another place in the random stream", () => {
    const frozen = setup();
    for (const batch of batches) frozen.enqueue(batch, new Generator(1));
    const generator = new Generator(2);
    expect(frozen.take(batches[0], generator).output.toArray()).toEqual(expected(new Generator(2)));
    expect(frozen.inFlight).toBe(0);
  });

  test("another input", () => {
    const frozen = setup();
    frozen.enqueue(batches[1], new Generator(2));
    expect(frozen.take(batches[0], new Generator(2)).output.toArray()).toEqual(expected(new Generator(2)));
  });

  test("passes that are discarded", () => {
    const frozen = setup();
    frozen.enqueue(batches[0], new Generator(1));
    frozen.discard();
    expect(frozen.take(batches[0], new Generator(2)).output.toArray()).toEqual(expected(new Generator(2)));
  });
});

test("it is a snapshot: weights that change afterwards do not matter", () => {
  const live = runLive(make(NETWORKS[3][1]), false);
  const network = make(NETWORKS[3][1]);
  const frozen = FrozenModel.from(network, [6], { training: false });
  for (const { data } of Object.values(network.stateDict())) if (data instanceof Float32Array) data.fill(0);
  expect(batches.map((inputs) => [frozen.take(inputs, new Generator(9)).output.toArray(), []])).toEqual(live.results);
});

describe("errors", () => {
  test("a forward that is no graph, and operations without a native form", () => {
    class Own extends Module {
      constructor(readonly body: (x: Tensor) => Tensor) {
        super();
      }
      override forward(x: Tensor): Tensor {
        return this.body(x);
      }
    }
    const freeze = (body: (x: Tensor) => Tensor) => FrozenModel.from(new Own(body), [6]);
    expect(() => freeze((x) => x.mul(x.shape[0]))).toThrow("expected one that can be traced");
    expect(() => freeze((x) => x.slice(0, 1))).toThrow("has no native form");
    expect(() => freeze((x) => cat([x, x.sum(0, true)]))).toThrow("a length follows the batch in another way");
  });

  test("a batch of one in train mode, when its outputs are taken", () => {
    const frozen = FrozenModel.from(make(NETWORKS[0][1]), [6], { training: true });
    frozen.enqueue(batches[0].slice(0, 1), new Generator(1));
    expect(() => frozen.take(batches[0].slice(0, 1), new Generator(1))).toThrow("more than 1 value per channel");
  });

  test("use after its release", () => {
    const frozen = FrozenModel.from(make(NETWORKS[0][1]), [6], { training: true });
    frozen.release();
    expect(() => frozen.enqueue(batches[0], new Generator(1))).toThrow("expected one that was not released");
  });

  test("the memory of a pass", () => {
    const frozen = FrozenModel.from(make(NETWORKS[0][1]), [6], { training: true });
    expect(frozen.activationBytes(100)).toBe(4 * 100 * (6 + 3 * 12));
    expect([frozen.fits(batches[0]), frozen.fits(randn([2, 7]))]).toEqual([true, false]);
  });
});
