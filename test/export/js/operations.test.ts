import { expect, test } from "vitest";
import { exportJs, Linear, noGrad, Tensor } from "../../../src/index.js";
import { CASES, Computes, GIVE_INTEGERS, inputsOf } from "../../ops/support.js";
import { Of } from "../networks.js";
import { exported } from "./support.js";

/** The functions without a form in JavaScript, and why. */
const WITHOUT: Readonly<Record<string, string>> = {
  where: "its mask may depend on the sample",
  topk: "its places may depend on the sample",
  ...Object.fromEntries(GIVE_INTEGERS.map((name) => [name, "it gives whole numbers"])),
};

const FUNCTIONS = [...new Set(CASES.map(({ op }) => op))];

test.each(FUNCTIONS.filter((name) => WITHOUT[name] === undefined))("%s gives what forward does", (name) => {
  for (const one of CASES.filter(({ op, outputs }) => op === name && outputs.some((output) => "float" in output))) {
    const inputs = inputsOf(one).filter((input) => input instanceof Tensor);
    const values = Float32Array.from(inputs.flatMap(({ data }) => [...data]));
    if (values.length === 0) continue;
    const network = new Computes(one, inputs).eval();
    const expected = noGrad(() => network.forward(new Tensor(values, [1, values.length]))).data;
    const { forward } = exported(network, { features: values.length });
    const got = forward(values);
    expect(got.length).toBe(expected.length);
    const size = expected.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
    for (const [i, x] of expected.entries()) {
      const error = Math.abs((got[i] as number) - x);
      const isSame = Object.is(got[i], x) || error <= 1e-6 * Math.max(size, 1e-3) || error <= 1e-6 * Math.abs(x);
      expect(isSame, `${JSON.stringify(one.args)} [${i}]: ${got[i]}, expected ${x}`).toBe(true);
    }
  }
});

test.each(Object.entries(WITHOUT))("%s is refused: %s", (name) => {
  for (const one of CASES.filter(({ op }) => op === name)) {
    const inputs = inputsOf(one).filter((input) => input instanceof Tensor);
    const size = inputs.reduce((sum, input) => sum + input.size, 0);
    if (size === 0 || !one.outputs.some((output) => "float" in output && output.float.length > 0)) continue;
    expect(() => exportJs(new Computes(one, inputs), { features: size })).toThrow(
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
