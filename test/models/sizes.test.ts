import { expect, test } from "vitest";
import { trace } from "../../src/graph/tracer.js";
import { createNetwork, MODELS } from "../../src/index.js";

const SIZED = MODELS.entries.flatMap(({ name, help, size }) => (size === undefined ? [] : [{ name, help, size }]));

test("every network says what it costs, but those of texts, whose encodings have sizes of their own", () => {
  for (const { name, size } of MODELS.entries) expect(size !== undefined || /^(text|bert)/.test(name), name).toBe(true);
});

test.each(SIZED)("$name costs what its help says", ({ name, help, size }) => {
  const { shape = [3, 32, 32], classes = 100 } = size;
  const network = createNetwork(name, { shape, classes });
  let products = 0;
  for (const { op, output, inputs } of trace(network.eval(), shape, 1, []).ops) {
    if (op.name !== "conv2d" && op.name !== "linear") continue;
    const lengths = [...output.shape.slice(1), ...inputs[1].shape.slice(1)];
    products += lengths.reduce((product, length) => product * length, 1);
  }
  expect([network.parameterCount(), products]).toEqual([size.parameters, size.multiplyAdds]);
  const [parameters, multiplyAdds] = [size.parameters, products].map((count) => count.toLocaleString("en-US"));
  expect(help).toContain(
    `${parameters} parameters and ${multiplyAdds} multiply-adds for ${shape.join("x")} in ${classes}`,
  );
});
