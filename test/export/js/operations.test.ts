import { expect, test } from "vitest";
import { quantizeWeights, traceModule } from "../../../src/graph/index.js";
import { defineOp, Embedding, exportJs, F, Linear, Module, type Tensor } from "../../../src/index.js";
import { expectAsForward, GIVE_INTEGERS, networksOf, OPERATIONS } from "../../ops/support.js";
import { Of } from "../networks.js";
import { exported } from "./support.js";

/** The functions without a form in JavaScript, and why. */
const WITHOUT: Readonly<Record<string, string>> = {
  where: "its mask may depend on the sample",
  cosineEmbeddingLoss: "it is of where",
  topk: "its places may depend on the sample",
  ...Object.fromEntries(GIVE_INTEGERS.map((name) => [name, "it gives whole numbers"])),
};

test.each(OPERATIONS.filter((name) => WITHOUT[name] === undefined))("%s gives what forward does", (name) => {
  for (const one of networksOf(name)) {
    const { forward } = exported(one.network, { features: one.x.size });
    expectAsForward(forward(one.x.data), one);
  }
});

test.each(Object.entries(WITHOUT))("%s is refused: %s", (name) => {
  for (const { network, x } of networksOf(name)) {
    expect(() => exportJs(network, { features: x.size })).toThrow(
      /^network: expected one that JavaScript can express; in forward\(\), /,
    );
  }
});

test("a slice of the batch is refused", () => {
  const layer = new Linear(3, 3);
  expect(() => exportJs(new Of((x) => layer.forward(x.slice(0, 1)), layer))).toThrow(
    "network: expected one that JavaScript can express; in forward(), slice() takes rows out of the batch",
  );
});

test("outputs that are no row for each sample have a name each, as many as forward gives for one sample", async () => {
  for (const forward of [(x: Tensor) => x.reshape([-1, 3]), (x: Tensor) => x.transpose(0, 1)]) {
    const { code } = exportJs(new Of(forward), { features: 6 });
    const { classNames, classify } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
    expect(classNames).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(classify(Float32Array.of(0, 1, 2, 3, 9, 4))).toMatchObject({ class: 4, className: "4" });
  }
});

test.each(["finite", "forward", "logits", "Float32Array"])("an operation's function called %s is refused", (name) => {
  const own = defineOp<null, null>({
    name: "own",
    forward: ([x]) => ({ data: x.data.slice(), shape: x.shape, saved: null }),
    js: ({ inputs: [x] }, { call }) => call({ name, source: `function ${name}(x) { return x; }` }, x),
  });
  expect(() => exportJs(new Of((x) => own([x], null)), { features: 3 })).toThrow(
    `the function "${name}" of an operation has a name that the module needs`,
  );
});

test.each(["int8", "float16"] as const)("a table that is the output layer too is stored once, %s", (quantize) => {
  class Tied extends Module {
    readonly table = new Embedding(40, 8);
    override forward(ids: Tensor): Tensor {
      return F.linear(this.table.forward(ids).mean(1), this.table.weight);
    }
  }
  const { code } = exportJs(new Tied(), { features: 2, quantize });
  expect(code.match(/^const (table_)?weight = /gm)).toHaveLength(1);
  expect(
    quantizeWeights(traceModule(new Tied(), [2], { training: false }), quantize).nodes.flatMap(({ inputs }) =>
      inputs.filter(({ kind }) => kind === "constant"),
    ),
  ).toSatisfy((weights: unknown[]) => new Set(weights).size === 1);
});
