import { afterEach, describe, expect, test, vi } from "vitest";
import {
  BatchNorm1d,
  Dropout,
  F,
  Generator,
  Linear,
  Module,
  noGrad,
  ReLU,
  rand,
  randn,
  Sequential,
  TeacherNet,
  type Tensor,
  tensor,
  withGenerator,
  withPrecision,
} from "../../src/index.js";
import { native } from "../../src/native.js";
import { defineOp } from "../../src/ops/define_op.js";
import { withArena } from "../../src/tensor/step.js";
import { inArena } from "./support.js";

const [ROWS, INPUTS, FEATURES] = [20, 13, 37];

afterEach(() => vi.restoreAllMocks());

interface Layers {
  linear: Linear;
  norm: BatchNorm1d;
  dropout: Dropout;
}

const layers = (p: number, bias = true): Layers => ({
  linear: new Linear(INPUTS, FEATURES, { bias }),
  norm: new BatchNorm1d(FEATURES),
  dropout: new Dropout(p),
});

const chained = (x: Tensor, { linear, norm, dropout }: Layers) =>
  dropout.forward(norm.forward(linear.forward(x)).relu());

/** The same calls, none of which is fused: each output is read before the next one. */
function apart(x: Tensor, { linear, norm, dropout }: Layers): Tensor {
  return read(dropout.forward(read(read(norm.forward(read(linear.forward(x)))).relu())));
}

function read(x: Tensor): Tensor {
  x.data;
  return x;
}

/**
 * Runs a forward pass three times (the first one is never fused) and its backward pass after the second and the third;
 * gives everything that changes, and the stream's place.
 */
function run<L extends Layers>(make: () => L, forward: (x: Tensor, own: L) => Tensor) {
  const generator = new Generator(11);
  return withGenerator(generator, () => {
    const own = make();
    own.norm.weight.data.set(randn([FEATURES]).data);
    own.norm.bias.data.set(randn([FEATURES]).data);
    const x = randn([ROWS, INPUTS]);
    x.requiresGrad = true;
    const first = forward(x, own).data.slice();
    const outputs = [1, 2].map(() => {
      const out = forward(x, own);
      out
        .mul(randn([...out.shape]))
        .sum()
        .backward();
      return out.data.slice();
    });
    const { linear, norm } = own;
    const parameters = [linear.weight, ...(linear.bias ? [linear.bias] : []), norm.weight, norm.bias];
    return {
      values: [first, ...outputs, norm.runningMean.data, norm.runningVar.data],
      grads: [x, ...parameters].map((tensor) => tensor.grad?.data ?? null),
      count: norm.numBatchesTracked,
      stream: [...generator.state],
    };
  });
}

const MODES: [string, () => Layers][] = [
  ["train", () => layers(0.3)],
  ["no bias", () => layers(0.3, false)],
  ["nothing dropped", () => layers(0)],
  ["all dropped", () => layers(1)],
  ["eval", () => withModes(layers(0.5), false, false)],
  ["dropout alone in train mode", () => withModes(layers(0.5), false, true)],
  ["BatchNorm alone in train mode", () => withModes(layers(0.5), true, false)],
  ["partly frozen", () => partlyFrozen(layers(0.3), ({ linear, norm }) => [...linear.parameters(), norm.weight])],
  ["all frozen", () => partlyFrozen(layers(0.3), ({ linear, norm }) => [linear, norm].flatMap((l) => l.parameters()))],
];

function withModes(own: Layers, norm: boolean, dropout: boolean): Layers {
  own.norm.train(norm);
  own.dropout.train(dropout);
  return own;
}

function partlyFrozen(own: Layers, frozen: (own: Layers) => { requiresGrad: boolean }[]): Layers {
  for (const parameter of frozen(own)) parameter.requiresGrad = false;
  return own;
}

/** A call that reads nothing, so that it runs nothing that was put off; its gradient is `factor` times what came. */
const silent = defineOp<number, null>({
  name: "silent",
  forward: ([x]) => ({ data: new Float32Array(x.size), shape: x.shape, saved: null }),
  backward: (grad, [into], { attributes: factor }) => into?.set(grad.map((value) => factor * value)),
});

describe("layers called one after another have the bits of the operations one by one", () => {
  test.each(MODES)(
    "%s",
    inArena((_, make) => {
      const fused = vi.spyOn(native, "linearNormReluDropoutForward");
      const got = run(make, chained);
      expect(fused).toHaveBeenCalledTimes(2);
      expect(got).toEqual(run(make, apart));
      expect(fused).toHaveBeenCalledTimes(2);
    }),
  );

  test.each(MODES)(
    "%s, in bfloat16",
    inArena((_, make) => {
      const rounded = (forward: typeof chained): typeof chained => {
        return (x, own) => withPrecision("bfloat16", () => forward(x, own));
      };
      const fused = vi.spyOn(native, "linearNormReluDropoutForward");
      const got = run(make, rounded(chained));
      expect(fused).toHaveBeenCalledTimes(2);
      expect(got).toEqual(run(make, rounded(apart)));
      expect(got).not.toEqual(run(make, chained));
    }),
  );

  test(
    "gradients of calls inside of the chain are added in the order of the calls",
    inArena(() => {
      const between =
        (use: (x: Tensor) => Tensor) =>
        (x: Tensor, { linear, norm, dropout }: Layers) => {
          const h = use(linear.forward(x));
          const others = [silent([x], 1 / 3), silent([x], 1e4 / 7)];
          const out = dropout.forward(use(norm.forward(h)).relu());
          return others.reduce((sum, other) => sum.add(other.mean()), out);
        };
      const fused = vi.spyOn(native, "linearNormReluDropoutForward");
      const got = run(
        () => layers(0.3),
        between((x) => x),
      );
      expect(fused).toHaveBeenCalledTimes(2);
      expect(got).toEqual(run(() => layers(0.3), between(read)));
    }),
  );

  test.each(MODES)(
    "%s, linear and ReLU",
    inArena((_, make) => {
      const got = run(make, (x, { linear }) => linear.forward(x).relu());
      expect(got).toEqual(run(make, (x, { linear }) => read(linear.forward(x)).relu()));
    }),
  );
});

/** Everything that a chain's outputs may be used for besides the next call. */
const USES: [string, (x: Tensor, own: Layers, after: (x: Tensor) => Tensor) => Tensor][] = [
  [
    "the product, as a residual",
    (x, { linear, norm, dropout }, after) => {
      const h = after(linear.forward(x));
      return dropout.forward(after(after(norm.forward(h)).relu())).add(h);
    },
  ],
  [
    "the normalized product",
    (x, { linear, norm, dropout }, after) => {
      const h = after(norm.forward(after(linear.forward(x))));
      return dropout.forward(after(h.relu())).add(h.mul(0.5));
    },
  ],
  [
    "what dropout reads",
    (x, { linear, norm, dropout }, after) => {
      const h = after(after(norm.forward(after(linear.forward(x)))).relu());
      return h.mul(dropout.forward(h));
    },
  ],
  [
    "all of them, last one first",
    (x, { linear, norm, dropout }, after) => {
      const a = after(linear.forward(x));
      const b = after(norm.forward(a));
      const c = after(b.relu());
      return dropout.forward(c).add(c.mul(0.1)).add(b.mul(0.2)).add(a.mul(0.3));
    },
  ],
  [
    "the product under a ReLU",
    (x, { linear }, after) => {
      const h = after(linear.forward(x));
      return h.relu().add(h.mul(0.25));
    },
  ],
  [
    "the product twice, by two layers",
    (x, { linear, norm, dropout }, after) => {
      const h = after(linear.forward(x));
      return dropout.forward(after(after(norm.forward(h)).relu())).add(after(norm.forward(h)).relu());
    },
  ],
  [
    "the product, twice by ReLU",
    (x, { linear }, after) => {
      const h = after(linear.forward(x));
      return h.relu().add(h.relu());
    },
  ],
  [
    "a chain without ReLU",
    (x, { linear, norm, dropout }, after) => dropout.forward(after(norm.forward(after(linear.forward(x))))),
  ],
  [
    "a chain without BatchNorm",
    (x, { linear, dropout }, after) => dropout.forward(after(after(linear.forward(x)).relu())),
  ],
  ["ReLU twice", (x, { linear, norm }, after) => after(after(norm.forward(after(linear.forward(x)))).relu()).relu()],
];

describe("an output inside of a chain may be used, with the same bits and gradients", () => {
  test.each(USES)(
    "%s",
    inArena((_, forward) => {
      for (const [, make] of MODES) {
        const got = run(make, (x, own) => forward(x, own, (h) => h));
        expect(got).toEqual(run(make, (x, own) => forward(x, own, read)));
      }
    }),
  );

  test(
    "after the backward pass and after the weights changed",
    inArena(() => {
      const [own, x] = withGenerator(new Generator(1), () => [layers(0.3), randn([ROWS, INPUTS])]);
      chained(x, own);
      const product = own.linear.forward(x);
      const normalized = own.norm.forward(product);
      const rectified = normalized.relu();
      const out = own.dropout.forward(rectified);
      out.sum().backward();
      const { data } = product;
      for (const parameter of [...own.linear.parameters(), ...own.norm.parameters()]) parameter.data.fill(0.5);
      expect(product.data).toBe(data);
      expect(rectified.data).toEqual(normalized.data.map((value) => Math.max(value, 0)));
      expect(normalized.data.some((value) => value < 0)).toBe(true);
      expect(() => normalized.sum().backward()).toThrow("a second time through the same graph");
    }),
  );

  test(
    "the product under a ReLU, also after the weights changed",
    inArena(() => {
      const [linear, x] = withGenerator(new Generator(1), () => [new Linear(INPUTS, FEATURES), randn([ROWS, INPUTS])]);
      linear.forward(x).relu();
      const [product, late] = [linear.forward(x), linear.forward(x)];
      const expected = read(linear.forward(x));
      expect(product.relu().data).toEqual(expected.data.map((value) => Math.max(value, 0)));
      expect(product.data).toEqual(expected.data);
      const product2 = linear.forward(x);
      read(product2.relu());
      linear.weight.data.fill(0);
      expect(product2.data).toEqual(expected.data);
      expect(late.data).toEqual(expected.data);
    }),
  );
});

describe("what was put off is computed in time", () => {
  const setup = () => {
    const [own, x] = withGenerator(new Generator(1), () => [layers(0), randn([ROWS, INPUTS])]);
    const forward = () => chained(x, own);
    forward();
    return { own, x, forward };
  };

  test(
    "before the data of any tensor are read or written",
    inArena(() => {
      for (const change of [
        ({ x }: ReturnType<typeof setup>) => x.data.fill(1),
        ({ own }: ReturnType<typeof setup>) => own.linear.weight.data.fill(1),
        ({ own }: ReturnType<typeof setup>) => own.norm.bias.data.fill(1),
      ]) {
        const [expected, got] = [setup(), setup()];
        const wanted = expected.forward().data.slice();
        const out = got.forward();
        change(got);
        expect(out.data).toEqual(wanted);
      }
    }),
  );

  test(
    "before the running statistics are read",
    inArena(() => {
      const [expected, got] = [setup(), setup()];
      expected.forward().data;
      got.forward();
      expect(got.own.norm.runningMean.data).toEqual(expected.own.norm.runningMean.data);
    }),
  );

  test("before an arena ends, and in the arena in which it was called", () => {
    const { forward } = setup();
    const before = forward();
    const values = withArena(() => {
      const inside = forward();
      return [inside, forward().data.slice()] as const;
    });
    withArena(() => forward().data.fill(7));
    expect(before.data.every(Number.isFinite)).toBe(true);
    expect(values[1]).toHaveLength(ROWS * FEATURES);
    expect(before.data).not.toContain(7);
  });

  test(
    "when forward returns, if the network ends in a linear layer: the caller may fill its array anew",
    inArena(() => {
      const network = withGenerator(
        new Generator(3),
        () => new TeacherNet({ inFeatures: 4, hidden: [8, 8, 8], classes: 3 }),
      );
      network.eval();
      const array = new Float32Array(20);
      const x = withGenerator(new Generator(4), () => randn([5, 4]));
      const input = F.relu(x).reshape([5, 4]);
      array.set(input.data);
      const expected = network.forward(input).data.slice();
      for (let i = 0; i < 3; i++) {
        array.set(input.data);
        const logits = network.forward(new (input.constructor as typeof Tensor)(array, [5, 4]));
        array.fill(9);
        expect(logits.data).toEqual(expected);
      }
    }),
  );

  test.each([
    ["ReLU", () => new Sequential(new Linear(2, 2), new ReLU())],
    ["BatchNorm and ReLU", () => new Sequential(new Linear(2, 2), new BatchNorm1d(2), new ReLU())],
    ["dropout in eval mode", () => new Sequential(new Linear(2, 2), new BatchNorm1d(2), new ReLU(), new Dropout(0.5))],
    ["BatchNorm", () => new Sequential(new Linear(2, 2), new BatchNorm1d(2))],
  ])(
    "when forward returns, if the network ends in %s",
    inArena((_, make) => {
      const network = withGenerator(new Generator(3), make);
      for (let i = 0; i < 3; i++) read(network.forward(randn([4, 2])));
      network.eval();
      const [x, weight] = [new Float32Array(6), network.parameters()[0].data];
      const kept = weight.slice();
      const outputs = [1, 2, 3, 4].map((value) => {
        x.fill(value);
        const out = network.forward(tensor(x, { shape: [3, 2] }));
        weight.fill(0);
        x.fill(0);
        const got = out.data.slice();
        weight.set(kept);
        return got;
      });
      const expected = [1, 2, 3, 4].map(
        (value) => read(network.forward(tensor(x.fill(value), { shape: [3, 2] }))).data,
      );
      expect(outputs).toEqual(expected);
    }),
  );

  test(
    "when forward returns, if the network has dropout in train mode only",
    inArena(() => {
      const [own, x] = withGenerator(new Generator(3), () => [layers(0.5), new Float32Array(2 * INPUTS)]);
      const input = tensor(x, { shape: [2, INPUTS] });
      for (let i = 0; i < 3; i++) read(chained(randn([4, INPUTS]), own));
      own.norm.eval();
      const forward = () => own.norm.forward(own.linear.forward(input)).relu();
      x.fill(2);
      const out = forward();
      x.fill(0);
      const got = out.data.slice();
      x.fill(2);
      expect(got).toEqual(read(forward()).data);
    }),
  );

  test(
    "the mask is drawn when dropout is called",
    inArena(() => {
      const [fused, single] = [chained, apart].map((forward) =>
        withGenerator(new Generator(5), () => {
          const own = layers(0.5);
          const x = randn([ROWS, INPUTS]);
          return [1, 2, 3].map(() => {
            const out = forward(x, own);
            const after = rand([3]);
            return [out.data, after.data];
          });
        }),
      );
      expect(fused).toEqual(single);
    }),
  );
});

describe("errors are thrown by the call that is wrong", () => {
  const setup = () => {
    const own = layers(0.3);
    const x = randn([4, INPUTS]);
    chained(x, own);
    return { ...own, x };
  };

  test(
    "shapes",
    inArena(() => {
      const { linear, norm } = setup();
      expect(() => linear.forward(randn([4, INPUTS + 1]))).toThrow("linear: x: expected shape [*, 13], got [4, 14]");
      const h = linear.forward(randn([4, INPUTS]));
      expect(() => new BatchNorm1d(5).forward(h)).toThrow("batchNorm: x: expected shape [*, 5], got [4, 37]");
      expect(norm.forward(h).relu().shape).toEqual([4, FEATURES]);
    }),
  );

  test(
    "a batch of one in train mode",
    inArena(() => {
      const { linear, norm } = setup();
      const h = linear.forward(randn([1, INPUTS]));
      const count = norm.numBatchesTracked;
      expect(() => norm.forward(h)).toThrow("more than 1 value per channel");
      expect(norm.numBatchesTracked).toBe(count);
      expect(h.relu().shape).toEqual([1, FEATURES]);
    }),
  );

  test(
    "a chance that is none",
    inArena(() => {
      const { linear, norm, x } = setup();
      const h = norm.forward(linear.forward(x)).relu();
      expect(() => F.dropout(h, 1.5)).toThrow("p: expected a chance from 0 to 1, got 1.5");
    }),
  );
});

class Nested extends Module {
  readonly block = new Sequential(new Linear(INPUTS, FEATURES), new BatchNorm1d(FEATURES));
  readonly tail = new Sequential(new ReLU(), new Sequential(new Dropout(0.4)));
  override forward(x: Tensor): Tensor {
    return this.tail.forward(this.block.forward(x));
  }
}

test(
  "calls in nested modules are fused, with and without gradients",
  inArena(() => {
    withGenerator(new Generator(1), () => {
      const network = new Nested();
      const x = read(randn([ROWS, INPUTS]));
      const fused = vi.spyOn(native, "linearNormReluDropoutForward");
      for (let i = 0; i < 3; i++) noGrad(() => network.forward(x));
      expect(noGrad(() => network.forward(x)).requiresGrad).toBe(false);
      expect(fused).toHaveBeenCalledTimes(3);
      network.forward(x).sum().backward();
      expect(network.parameters().every(({ grad }) => grad !== null)).toBe(true);
      expect(fused).toHaveBeenCalledTimes(4);
    });
  }),
);

test(
  "a product without gradients under layers with gradients passes none on",
  inArena(() => {
    withGenerator(new Generator(1), () => {
      const { linear, norm, dropout } = layers(0.3);
      const x = randn([ROWS, INPUTS]);
      for (let i = 0; i < 2; i++) {
        const h = noGrad(() => linear.forward(x));
        dropout.forward(norm.forward(h).relu()).sum().backward();
      }
      expect(linear.weight.grad).toBeNull();
      expect(norm.weight.grad).not.toBeNull();
    });
  }),
);
