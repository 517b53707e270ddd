import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import {
  AdamW,
  BatchNorm1d,
  Linear,
  Module,
  manualSeed,
  Parameter,
  predict,
  randn,
  Sequential,
  TeacherNet,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";
import { Block, MODULES, Stack, Tied, torchText } from "./networks.js";

describe.each(Object.entries(MODULES))("%s is PyTorch's", (name, make) => {
  const module = make();
  const expected = torchText.modules[name];

  it("printed form, with the number of parameters below", () => {
    const count = `${expected?.count.toLocaleString("en-US")} parameters`;
    expect(String(module)).toBe(`${expected?.printed}\n${count}`);
    expect(inspect(module)).toBe(String(module));
  });

  it("modules, children and order of apply()", () => {
    const paths = new Map(module.namedModules().map(([path, one]) => [one, path]));
    expect(module.modules().map((one) => paths.get(one))).toEqual(expected?.modules);
    expect([...paths.values()]).toEqual(expected?.modules);
    expect(module.namedModules({ removeDuplicate: false }).map(([path]) => path)).toEqual(expected?.withDuplicates);
    expect(module.children().map((one) => paths.get(one))).toEqual(expected?.children);
    const applied: Module[] = [];
    expect(module.apply((one) => void applied.push(one))).toBe(module);
    expect(applied.map((one) => paths.get(one))).toEqual(expected?.applied);
  });

  it("names of parameters and buffers, and the order of the state's keys", () => {
    expect(module.namedParameters().map(([key]) => key)).toEqual(expected?.parameters);
    expect(module.namedBuffers().map(([key]) => key)).toEqual(expected?.buffers);
    expect(Object.entries(module.stateDict()).map(([key, { shape }]) => [key, shape])).toEqual(
      Object.entries(expected?.state ?? {}),
    );
    expect(module.parameterCount()).toBe(expected?.count);
  });
});

describe("parameters", () => {
  it("are the tensors themselves, in the order of their names", () => {
    const stack = new Stack();
    expect(stack.parameters()).toEqual(stack.namedParameters().map(([, parameter]) => parameter));
    expect(stack.stateDict()["block.scale"]).toBe(stack.block.scale);
    expect(stack.parameters()[0]).toBe((stack.layers[0] as Linear).weight);
  });

  it("that are shared come once, gather both gradients, and an optimizer takes them", () => {
    manualSeed(1);
    const tied = new Tied();
    const optimizer = new AdamW(tied.parameters());
    expect(optimizer.parameters).toHaveLength(2);
    const x = tensor([[1, 2]]);
    tied.second.forward(x).sum().add(tied.first.forward(x).sum()).backward();
    expect(tied.first.weight.grad?.toArray()).toEqual([
      [2, 4],
      [2, 4],
    ]);
  });

  it("assigned later take part", () => {
    class Late extends Module {
      scale: Parameter | null = null;
      override forward(x: Tensor): Tensor {
        return this.scale === null ? x : x.mul(this.scale);
      }
    }
    const late = new Late();
    expect(late.parameters()).toEqual([]);
    late.scale = new Parameter(Float32Array.of(2));
    expect(late.namedParameters()).toEqual([["scale", late.scale]]);
  });
});

describe("a user's network", () => {
  it("computes and trains by the given operations", () => {
    manualSeed(2);
    const block = new Block();
    const [x, aim] = [randn([33, 3]), 2];
    const lossOf = () => {
      const off = block.forward(x).add(-aim);
      return off.mul(off).mean();
    };
    const optimizer = new AdamW(block.parameters(), { lr: 0.05 });
    const first = lossOf().item();
    for (let step = 0; step < 100; step++) {
      optimizer.zeroGrad();
      const loss = lossOf();
      loss.backward();
      optimizer.step();
    }
    expect(lossOf().item()).toBeLessThan(first / 10);
  });

  it("of several inputs", () => {
    class Gate extends Module {
      readonly gate = new Linear(2, 2, { bias: false });
      override forward(x: Tensor, y: Tensor): Tensor {
        return this.gate.forward(x).mul(y);
      }
    }
    const gate = new Gate();
    gate.gate.weight.data.set([1, 2, 3, 4]);
    expect(gate.forward(tensor([[1, 1]]), tensor([[10, 100]])).toArray()).toEqual([[30, 700]]);
  });

  it("Sequential is one after another", () => {
    const [first, second] = [new Linear(3, 4), new Linear(4, 2)];
    const x = randn([5, 3]);
    const expected = second.forward(first.forward(x));
    expectClose(new Sequential(first, second).forward(x).data, expected.data, {});
    expect(new Sequential().forward(x)).toBe(x);
  });
});

class Holding extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
  register(...args: unknown[]): void {
    (this.registerBuffer as (...args: unknown[]) => void)(...args);
  }
}

describe("what properties hold", () => {
  it("in plain objects and nested arrays is part of the module, as ModuleDict, ModuleList and ParameterList have it", () => {
    class Net extends Holding {
      readonly heads = { left: new Linear(2, 1, { bias: false }), right: new BatchNorm1d(2) };
      readonly rows = [[new Linear(2, 2, { bias: false })]];
      readonly w = [new Parameter(new Float32Array(3))];
      readonly options: Record<string, unknown> = { sizes: [1, 2], none: null };
    }
    const net = new Net();
    net.options.itself = net.options;
    expect(Object.keys(net.eval().stateDict())).toEqual([
      "w.0",
      "heads.left.weight",
      ...["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map((key) => `heads.right.${key}`),
      "rows.0.0.weight",
    ]);
    expect(net.parameters()).toHaveLength(5);
    expect([net.heads.right.training, net.rows[0][0].training]).toEqual([false, false]);
    expect(String(net)).toContain("(heads): ModuleDict(\n    (left): Linear(");
  });

  it("is refused if two have one key, or a module holds itself", () => {
    const taken = Object.assign(new Holding(), { weight: new Parameter(new Float32Array(1)) });
    taken.register("weight", tensor([0]));
    expect(() => taken.stateDict()).toThrow('Holding: two of its tensors have the key "weight"');
    const parent = Object.assign(new Holding(), { fc: Object.assign(new Holding(), { parent: null as unknown }) });
    parent.fc.parent = parent;
    expect(() => parent.parameters()).toThrow("fc.parent: is a module that holds it");
    expect(() => parent.modules()).toThrow("fc.parent: is a module that holds it");
    expect(() => parent.apply(() => {})).toThrow("fc.parent: is a module that holds it");
  });

  it.each<[unknown[], string]>([
    [["m", [1, 2]], "registerBuffer: m: expected a Tensor, an IntTensor or a LongTensor, got"],
    [
      ["m", new Parameter(new Float32Array(1))],
      "registerBuffer: m: expected a Tensor, an IntTensor or a LongTensor, got",
    ],
    [[undefined, tensor([1])], "registerBuffer: name: expected a name without a dot, got undefined"],
    [["a.b", tensor([1])], "registerBuffer: name: expected a name without a dot, got"],
    [["m", tensor([1]), { persistent: false }], "one that is not stored is a plain property"],
  ])("as a buffer is refused: %#", (args, text) => {
    expect(() => new Holding().register(...args)).toThrow(text);
  });

  it("apply refuses what is no function, namedModules what is no flag", () => {
    expect(() => new Holding().apply(null as never)).toThrow("apply: fn: expected a function of a module, got null");
    expect(() => new Holding().namedModules({ removeDuplicate: 0 as never })).toThrow("removeDuplicate: expected true");
  });

  it("loadStateDict refuses a strict that is no flag", () => {
    expect(() => new Holding().loadStateDict({}, { strict: "no" as never })).toThrow("strict: expected true or false");
  });
});

describe("modes", () => {
  it("a train() of one's own is called when a run changes the mode, and when it sets it back", () => {
    class Noisy extends Module {
      readonly fc = new Linear(2, 2);
      noise = 1;
      override train(mode = true): this {
        super.train(mode);
        this.noise = mode ? 1 : 0;
        return this;
      }
      override forward(x: Tensor): Tensor {
        return this.fc.forward(x).mul(1 + this.noise);
      }
    }
    const inner = new Noisy();
    const net = new Sequential(inner);
    const x = randn([1, 2]);
    const [evaluated] = predict(net, x);
    expect([inner.noise, inner.training, inner.fc.training]).toEqual([1, true, true]);
    net.eval();
    expect(predict(net, x)).toEqual([evaluated]);
    expect(inner.noise).toBe(0);
  });

  it("train() and eval() reach every module inside, through arrays too", () => {
    class Net extends Module {
      readonly layers = [new Sequential(new BatchNorm1d(2)), new Stack()];
      override forward(x: Tensor): Tensor {
        return x;
      }
    }
    const net = new Net();
    const modes = (module: Module): boolean[] => module.modules().map(({ training }) => training);
    const count = modes(net).length;
    expect(count).toBe(3 + 1 + 5 + 1 + 1 + 3);
    expect(net.eval()).toBe(net);
    expect(modes(net)).toEqual(new Array(count).fill(false));
    expect(modes(net.train())).toEqual(new Array(count).fill(true));
    expect(modes(net.train(false))).toEqual(new Array(count).fill(false));
  });

  it("freeze() stops gradients, unfreeze() brings them back, and both leave the mode", () => {
    const teacher = new TeacherNet({ inFeatures: 3, hidden: [4, 5, 6], classes: 2 });
    expect(teacher.freeze()).toBe(teacher);
    expect(teacher.training).toBe(true);
    expect(teacher.forward(randn([7, 3])).requiresGrad).toBe(false);
    expect(teacher.parameters().some((parameter) => parameter.requiresGrad)).toBe(false);
    expect(teacher.parameters()).toHaveLength(14);
    expect(teacher.eval().freeze().training).toBe(false);
    expect(
      teacher
        .unfreeze()
        .parameters()
        .every(({ requiresGrad }) => requiresGrad),
    ).toBe(true);
  });
});

it.each<[string, unknown[], string]>([
  ["a list", [[new Linear(2, 2)]], "modules[0]: expected a Module, got "],
  ["an object behind a layer", [new Linear(2, 2), { b: 1 }], "modules[1]: expected a Module, got "],
  ["a function", [new Linear(2, 2), (x: Tensor) => x], "modules[1]: expected a Module, got "],
])("Sequential refuses %s when it is made", (_, modules, text) => {
  expect(() => new Sequential(...(modules as Module[]))).toThrow(text);
});
