import { describe, expect, it } from "vitest";
import { BatchNorm1d, F, Linear, noGrad, randn, SGD, step, type Tensor, tensor } from "../../src/index.js";
import { loadInto } from "../../src/nn/state_dict.js";
import { isRecording } from "../../src/tensor/autograd.js";
import { checkGradients, leaves } from "./finite_differences.js";

// By PyTorch, of the network in `setup` below.
const FIRST = [-0.00275319, -0.00137734, -0.04687876, 0.18751277, 0.02676167, 0.013381];
const SECOND = [-0.00839724, -0.00420089, -0.03437601, 0.13750622, 0.0229979, 0.01149931];
const THIRD = SECOND.map((g) => 2 * g);
const NORM = [1.34537864, 0.29984689, 0.80061519];

const leaf = (values: number[]) => tensor(values, { requiresGrad: true });

describe("gradients of graphs", () => {
  it("a tensor used twice by one operation", () => {
    checkGradients((x) => x.mul(x), leaves([[3, 5]]));
    checkGradients((x) => x.add(x), leaves([[3, 5]]));
  });

  it("a tensor used by two operations, before and after a broadcast", () => {
    checkGradients((x, row) => x.mul(row).add(row), leaves([[3, 5], [5]]));
  });

  it("a diamond: both ways from one result meet again", () => {
    checkGradients(
      (x) => {
        const top = x.mul(x);
        return top.softmax().mul(top.mul(0.5).add(1));
      },
      leaves([[3, 5]]),
    );
  });

  it("diamond upon diamond counts every path: 2^10 of them", () => {
    const x = leaf([1]);
    let y: Tensor = x;
    for (let i = 0; i < 10; i++) y = y.add(y);
    y.sum().backward();
    expect(x.grad?.toArray()).toEqual([1024]);
  });

  it("a chain of 20000 operations needs no stack", () => {
    const x = leaf([1]);
    let y: Tensor = x;
    for (let i = 0; i < 20_000; i++) y = y.add(1);
    y.sum().backward();
    expect([y.item(), x.grad?.item()]).toEqual([20_001, 1]);
  });

  it("what asks for no gradient gets none, and does not break the way of others", () => {
    const [x, constant] = [leaf([2, 3]), tensor([5, 7])];
    constant.mul(x).mul(constant).sum().backward();
    expect(x.grad?.toArray()).toEqual([25, 49]);
    expect(constant.grad).toBeNull();
  });

  it("detach cuts the way", () => {
    const x = leaf([2, 3]);
    const y = x.mul(x);
    y.detach().mul(x).sum().backward();
    expect(x.grad?.toArray()).toEqual([4, 9]);
    expect(y.detach().requiresGrad).toBe(false);
  });
});

describe("backward() that can't be", () => {
  it("a second time", () => {
    const x = leaf([1, 2]);
    const loss = x.mul(x).sum();
    loss.backward();
    expect(() => loss.backward()).toThrow(expect.objectContaining({ code: "NO_GRADIENT" }));
    expect(x.grad?.toArray()).toEqual([2, 4]);
  });

  it("a second time through a part of the graph", () => {
    const x = leaf([1, 2]);
    const shared = x.mul(x);
    shared.sum().backward();
    expect(() => shared.mul(3).sum().backward()).toThrow(/second time/);
  });

  it("of a tensor without an input that requires a gradient", () => {
    expect(() => tensor([1]).backward()).toThrow(expect.objectContaining({ code: "NO_GRADIENT" }));
    const constant = noGrad(() => leaf([1]).sum());
    expect(() => constant.backward()).toThrow(expect.objectContaining({ code: "NO_GRADIENT" }));
  });

  it("of what is no scalar; one element is enough, in any shape", () => {
    expect(() => leaf([1, 2]).mul(2).backward()).toThrow(/expected a scalar .*got shape \[2\]/);
    expect(() => leaf([]).mul(2).backward()).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
    const x = tensor([[3]], { requiresGrad: true });
    x.mul(2).backward();
    expect(x.grad?.toArray()).toEqual([[2]]);
  });

  it("of a leaf is a gradient of one", () => {
    const x = leaf([5]);
    x.backward();
    x.backward();
    expect(x.grad?.toArray()).toEqual([2]);
  });
});

describe("backward({ retainGraph: true })", () => {
  /** A loss of labels and one of values behind layers that run as one kernel within a step. */
  const setup = () => {
    const [linear, norm] = [new Linear(2, 3), new BatchNorm1d(3)];
    linear.weight.data.set([0.5, -1, 1, 0.25, -0.75, 1.5]);
    linear.bias?.data.fill(0);
    const x = tensor([[1, 2], [3, -1], [0, 0.5], [-2, 1]]); // biome-ignore format: rows
    const forward = () => norm.forward(linear.forward(x)).relu();
    return { linear, norm, forward };
  };
  const losses = (z: Tensor) => [F.crossEntropy(z, Int32Array.of(0, 1, 2, 1)), z.mul(z).mean()];

  it("gives the gradient of each term from one forward pass, which adds up: PyTorch's values", () => {
    const { linear, norm, forward } = setup();
    const close = (got: Tensor, expected: number[]) =>
      expect(got.grad?.data.every((g, i) => Math.abs(g - expected[i]) < 1e-6)).toBe(true);
    for (let pass = 0; pass < 3; pass++) {
      for (const parameter of [...linear.parameters(), ...norm.parameters()]) parameter.zeroGrad();
      step(() => {
        const [labels, values] = losses(forward());
        labels.backward({ retainGraph: true });
        close(linear.weight, FIRST);
        values.backward({ retainGraph: true });
        close(linear.weight, SECOND);
        labels.add(values).backward();
        close(linear.weight, THIRD);
        close(norm.weight, NORM);
        expect(() => labels.backward()).toThrow("call backward({ retainGraph: true }) the first time");
      });
    }
    expect(norm.numBatchesTracked).toBe(3);
  });

  it("has the bits of a pass of its own, also if an output inside of the fused layers is read in between", () => {
    const { linear, norm, forward } = setup();
    step(() => losses(forward())[0].backward());
    const once = linear.weight.grad?.data.slice();
    linear.weight.zeroGrad();
    step(() => {
      const inside = linear.forward(tensor([[1, 2], [3, -1], [0, 0.5], [-2, 1]])); // biome-ignore format: rows
      const [loss] = losses(norm.forward(inside).relu());
      loss.backward({ retainGraph: true });
      expect(linear.weight.grad?.data).toEqual(once);
      linear.weight.zeroGrad();
      expect(inside.data.length).toBe(12);
      loss.backward();
    });
    expect(linear.weight.grad?.data).toEqual(once);
  });

  it("keeps no values that an optimizer changed in between", () => {
    const [w, x] = [2, 3].map((value) => tensor([value], { requiresGrad: true }));
    const loss = w.mul(x).sum();
    loss.backward({ retainGraph: true });
    new SGD([w], { lr: 1 }).step();
    expect(() => loss.backward()).toThrow("was changed after the forward pass");
  });

  it("is the only option", () => {
    const loss = leaf([1]).sum();
    expect(() => loss.backward({ retain: true } as never)).toThrow("did you mean retainGraph?");
    expect(() => loss.backward({ retainGraph: 1 } as never)).toThrow("retainGraph: expected true or false, got 1");
    expect(() => loss.backward(loss as never)).toThrow("expected no gradient (multiply the loss first)");
  });
});

describe("between forward and backward", () => {
  const setup = () => {
    const [w, x] = [2, 3].map((value) => tensor([value], { requiresGrad: true }));
    w.mul(1).sum().backward();
    return { w, x };
  };

  it("a step or a state dict that changes what the backward pass reads is refused; what it does not read may change", () => {
    for (const change of [
      (w: Tensor) => new SGD([w], { lr: 1 }).step(),
      (w: Tensor) => loadInto("w", { w }, { w: tensor([5]) }, true),
    ]) {
      const { w, x } = setup();
      const [product, sum] = [w.mul(x).sum(), w.add(x).sum()];
      change(w);
      expect(() => product.backward()).toThrow("a tensor of shape [1] was changed after the forward pass");
      sum.backward();
      expect(x.grad?.item()).toBe(1);
    }
  });

  it.each<[string, (w: Tensor) => Tensor]>([
    ["reshape", (w) => w.reshape([1, 2])],
    ["rows", (w) => w.slice(1, 2)],
    ["detach", (w) => w.detach()],
    ["a view of a view", (w) => w.unsqueeze(0).slice(0, 1).detach()],
  ])("so is a change that is read through a view: %s", (_, view) => {
    const w = tensor([2, 3], { requiresGrad: true });
    const x = tensor([5], { requiresGrad: true });
    w.sum().backward();
    const product = x.mul(view(w)).sum();
    new SGD([w], { lr: 1 }).step();
    expect(() => product.backward()).toThrow("was changed after the forward pass");
    x.mul(view(w)).sum().backward();
    expect(x.grad?.item()).toBe(
      view(tensor([1, 2]))
        .sum()
        .item(),
    );
  });

  it("what was frozen in the forward pass gets no gradient, in a fused chain either", () => {
    const { w, x } = setup();
    x.requiresGrad = false;
    const y = w.mul(x).sum();
    x.requiresGrad = true;
    y.backward();
    expect([w.grad?.item(), x.grad]).toEqual([4, null]);
    const [linear, norm] = [new Linear(2, 3), new BatchNorm1d(3)];
    const forward = () =>
      norm
        .forward(linear.forward(randn([4, 2])))
        .relu()
        .sum();
    step(() => {
      forward();
      linear.freeze();
      const loss = forward();
      linear.unfreeze();
      loss.backward();
    });
    expect([linear.weight.grad, norm.weight.grad?.shape]).toEqual([null, [3]]);
  });

  it("requiresGrad is a flag, and of what an operation made stays true", () => {
    const { w } = setup();
    expect(() => {
      w.requiresGrad = "no" as never;
    }).toThrow("requiresGrad: expected true or false");
    expect(() => {
      w.mul(2).requiresGrad = false;
    }).toThrow("use detach()");
  });

  it("a loss that is kept does not keep what it was computed from", () => {
    const { w, x } = setup();
    const loss = w.mul(x).sum();
    loss.backward();
    expect(loss.node?.inputs).toEqual([]);
  });
});

describe("noGrad", () => {
  const x = leaf([1]);
  const recording = () => isRecording([x]);

  it("nests, and ends with its body", () => {
    expect(recording()).toBe(true);
    const seen = noGrad(() => [noGrad(recording), recording(), x.mul(2).requiresGrad]);
    expect(seen).toEqual([false, false, false]);
    expect(recording()).toBe(true);
  });

  it("ends where its body throws", () => {
    const fail = () => {
      throw new RangeError("of the body");
    };
    expect(() => noGrad(() => noGrad(fail))).toThrow(RangeError);
    expect(recording()).toBe(true);
  });

  it("leaves a graph that began before it whole", () => {
    const y = x.mul(3);
    noGrad(() => y.mul(5));
    y.backward();
    expect(x.grad?.toArray()).toEqual([3]);
  });
});
