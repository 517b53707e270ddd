import { expect, test } from "vitest";
import { byPanels, PANELS } from "../../../src/export/js/panels.js";
import { exportJs, Linear, Module, type Tensor, tensor } from "../../../src/index.js";
import { evaluate } from "./support.js";

const panels = new Function(`${PANELS.source}; return panels;`)() as (
  matrix: Float32Array,
  columns: number,
) => Float32Array;

test("eight rows side by side, column after column, and the rest so", () => {
  // Row r, column c is 10 r + c.
  const matrix = Float32Array.from({ length: 20 }, (_, i) => 10 * Math.floor(i / 2) + (i % 2));
  const packed = [0, 10, 20, 30, 40, 50, 60, 70, 1, 11, 21, 31, 41, 51, 61, 71, 80, 90, 81, 91];
  expect([...byPanels(matrix, 10, 8)]).toEqual(packed);
  expect([...panels(matrix, 2)]).toEqual(packed);
  expect(byPanels(matrix, 10, 1)).toBe(matrix);
});

test("a weight that is also read by rows is stored by rows, any other one by panels", () => {
  class Both extends Module {
    readonly shared = new Linear(2, 2, { bias: false });
    readonly own = new Linear(2, 2, { bias: false });
    override forward(x: Tensor): Tensor {
      return this.own.forward(this.shared.forward(x).matmul(this.shared.weight));
    }
  }
  const network = new Both();
  network.shared.weight.data.set([1, 2, 3, 4]);
  network.own.weight.data.set([5, 6, 7, 8]);
  const { code } = exportJs(network, { features: 2 });
  expect(code).toContain("linear(x, panels(shared_weight, 2), null, 2)");
  expect(code).toContain("const shared_weight = Float32Array.of(1, 2, 3, 4); // [2, 2]\n");
  expect(code).toContain("const own_weight = Float32Array.of(5, 7, 6, 8); // [2, 2], 8 rows at a time\n");
  expect([...evaluate(code).forward(Float32Array.of(1, -1))]).toEqual([...network.forward(tensor([[1, -1]])).data]);
});
