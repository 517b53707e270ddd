import { describe, expect, test } from "vitest";
import { GraphModule, traceModule } from "../../src/graph/index.js";
import { cat, crossEntropy, freezeGraph, kdLoss, matmul, rand, tensor, zeros } from "../../src/index.js";
import {
  BatchNorm1d,
  currentState,
  Dropout,
  F,
  Linear,
  Module,
  ones,
  ReLU,
  randn,
  Sequential,
  StudentNet,
  TeacherNet,
  type Tensor,
} from "./support.js";

const teacher = () => new TeacherNet({ inFeatures: 6, hidden: [5, 4, 3], classes: 2 });
const ops = (module: Module, sample: readonly number[], training?: boolean) =>
  traceModule(module, sample, training === undefined ? {} : { training }).nodes.map(({ op }) => op.name);

/** The result of a forward that computes something else too. */
const beside = (_: Tensor, result: Tensor) => result;

describe("the nodes of a module are the operations of its forward", () => {
  test("in eval mode and in train mode", () => {
    const layer = ["linear", "batchNorm", "relu"];
    expect(ops(teacher(), [6], false)).toEqual([...layer, ...layer, ...layer, "linear"]);
    const dropping = [...layer, "dropout"];
    expect(ops(teacher(), [6], true)).toEqual([...dropping, ...dropping, ...dropping, "linear"]);
  });

  test("in the modes that its layers are in, if none is asked for", () => {
    const network = teacher();
    network.bn1.eval();
    network.dropout2.eval();
    const { nodes } = traceModule(network, [6]);
    const normalized = nodes.filter(({ op }) => op.name === "batchNorm");
    expect(normalized.map(({ attributes }) => attributes.training)).toEqual([false, true, true]);
    expect(nodes.filter(({ op }) => op.name === "dropout").map(({ attributes }) => attributes.p)).toEqual([0.3, 0.2]);
  });

  test("for samples of any shape", () => {
    class Images extends Module {
      readonly fc = new Linear(12, 3);
      override forward(x: Tensor): Tensor {
        return this.fc.forward(x.relu().reshape([x.shape[0], -1]));
      }
    }
    const { input, nodes, output } = traceModule(new Images(), [3, 2, 2]);
    expect(input.shape).toEqual(["batch", 3, 2, 2]);
    expect(nodes.map(({ op, shape }) => [op.name, shape])).toEqual([
      ["relu", ["batch", 3, 2, 2]],
      ["reshape", ["batch", 12]],
      ["linear", ["batch", 3]],
    ]);
    expect(output).toBe(nodes[2]);
  });

  test("constants have their names in the state dict and its memory", () => {
    const network = new StudentNet({ inFeatures: 4, hidden: [3, 3], classes: 2 });
    const constants = traceModule(network, [4]).nodes.flatMap(({ inputs }) =>
      inputs.flatMap((value) => (value.kind === "constant" ? [value] : [])),
    );
    expect(constants.map(({ name }) => name)).toEqual(Object.keys(network.stateDict()));
    expect(constants[0]?.data).toBe(network.fc1.weight.data);
  });
});

describe("taps are outputs of the graph", () => {
  test("by the paths of their modules", () => {
    const network = new Sequential(new Linear(4, 3), new ReLU(), new Sequential(new Linear(3, 2)));
    const { nodes, taps, output } = traceModule(network, [4], { taps: ["1", "2.0", "0"] });
    expect(taps).toEqual({ "1": nodes[1], "2.0": nodes[2], "0": nodes[0] });
    expect(output).toBe(nodes[2]);
  });

  test("a path without a module, or of one that does not run", () => {
    class Half extends Module {
      readonly used = new Linear(2, 2);
      readonly unused = new Linear(2, 2);
      override forward(x: Tensor): Tensor {
        return this.used.forward(x);
      }
    }
    expect(() => traceModule(new Half(), [2], { taps: ["fc"] })).toThrow('no module "fc"');
    expect(() => traceModule(new Half(), [2], { taps: ["unused"] })).toThrow("unused");
  });
});

test("a trace leaves modes, running statistics, counters and the random stream as they are", () => {
  const network = teacher();
  network.bn2.eval();
  const before = JSON.stringify([...Object.values(network.stateDict())].map(({ data }) => Array.from(data, Number)));
  const stream = currentState();
  traceModule(network, [6], { training: true });
  expect(JSON.stringify([...Object.values(network.stateDict())].map(({ data }) => Array.from(data, Number)))).toBe(
    before,
  );
  expect(currentState()).toEqual(stream);
  expect([network.bn1.training, network.bn2.training, network.bn1.numBatchesTracked]).toEqual([true, false, 0]);
  expect(Object.hasOwn(network.fc1, "forward")).toBe(false);
});

test("a constant that forward() repeats over the rows is a node of its own, which follows the batch", () => {
  const token = randn([1, 1, 2]);
  const mixing = randn([4, 1]);
  const forwards: [(x: Tensor) => Tensor, string[]][] = [
    [(x) => cat([token.expand([x.shape[0], -1, -1]), x], 1), ["expand", "cat"]],
    [(x) => matmul(mixing, x.reshape([-1, 1, 4])).sum(2), ["reshape", "reshape", "expand", "bmm", "reshape", "sum"]],
    [(x) => cat([zeros([x.shape[0], 3, 2]), x], 1), ["expand", "cat"]],
    [(x) => x.transpose(0, 1).add(token.expand([2, x.shape[0], 2])), ["permute", "expand", "add"]],
    [
      (x) =>
        x.reshape([-1, 2]).add(
          tensor([[1], [2]])
            .expand([2, x.shape[0]])
            .t()
            .reshape([-1, 1]),
        ),
      [],
    ],
  ];
  class Repeating extends Module {
    constructor(readonly body: (x: Tensor) => Tensor) {
      super();
    }
    override forward(x: Tensor): Tensor {
      return this.body(x);
    }
  }
  const x = randn([5, 2, 2]);
  for (const [body, names] of forwards) {
    const network = new Repeating(body);
    const graph = traceModule(network, [2, 2], { training: false });
    if (names.length > 0) expect(graph.nodes.map(({ op }) => op.name)).toEqual(names);
    expect(new GraphModule(graph).forward(x)).toEqual(body(x));
    expect(freezeGraph(network, [2, 2]).forward(x)).toEqual(body(x));
  }
});

describe("a forward that is no graph is refused", () => {
  class Of extends Module {
    readonly dropout = new Dropout(0.5);
    readonly bn = new BatchNorm1d(3);
    readonly one = new Linear(3, 3);
    readonly two = new Linear(3, 3);
    constructor(readonly body: (x: Tensor, own: Of) => Tensor) {
      super();
    }
    override forward(x: Tensor): Tensor {
      return this.body(x, this);
    }
  }
  test.each([
    ["draws random numbers by itself", (x) => x.add(randn([3])), "a tensor changes with the batch"],
    ["multiplies by the number of rows", (x) => x.mul(x.shape[0]), "a tensor changes with the batch"],
    ["branches by a value", (x) => (x.sum().item() > 1e9 ? x.relu() : x), "values of the batch are read"],
    ["branches by the rows", (x) => (x.shape[0] === 2 ? x.relu() : x.add(1)), "what is computed depends on the batch"],
    ["branches by many rows", (x, { one, two }) => (x.shape[0] > 8 ? one : two).forward(x), "a tensor changes with"],
    ["branches by a draw", (x) => (rand([1]).item() < 1e-9 ? x.relu() : x.add(1)), "random numbers are drawn"],
    ["gives a constant", () => ones([3]), "the result does not come from the input"],
    [
      "drops what it does not use",
      (x, { dropout }) => beside(dropout.forward(x), x.relu()),
      "a layer in train mode runs",
    ],
    ["normalizes what it does not use", (x, { bn }) => beside(bn.forward(x), x.relu()), "a layer in train mode runs"],
    ["drops a constant", (x, { dropout }) => x.add(dropout.forward(ones([3]))), "a layer in train mode runs"],
  ] as [string, (x: Tensor, own: Of) => Tensor, string][])("%s", (_, body, reason) => {
    expect(() => traceModule(new Of(body), [3])).toThrow(
      `network: expected one that can be traced; in forward(), ${reason}`,
    );
  });

  test("but not for a loss that is one operation", () => {
    const labels = new Int32Array(2);
    const losses = [(x: Tensor) => crossEntropy(x, labels), (x: Tensor) => kdLoss(x, x.mul(2), labels)];
    for (const loss of losses) {
      const network = new Of((x) => beside(loss(x.slice(0, 2)), x.relu()));
      expect(ops(network, [3], false)).toEqual(["relu"]);
    }
  });

  test("but not in eval mode if only dropout and statistics are in the way", () => {
    const network = new Of((x, { dropout, bn }) => beside(dropout.forward(bn.forward(x)), F.relu(x)));
    expect(ops(network, [3], false)).toEqual(["relu"]);
  });

  test("what is no module", () => {
    expect(() => traceModule({} as Module, [3])).toThrow("module: expected a Module, got a value of type Object");
  });
});
