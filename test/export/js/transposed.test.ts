import { expect, test } from "vitest";
import { TRANSPOSED, transposed } from "../../../src/export/js/transposed.js";
import { exportJs, F, Linear, Module, Parameter, type Tensor, tensor } from "../../../src/index.js";
import { evaluate } from "./support.js";

const inModule = new Function(`${TRANSPOSED.source}; return transposed;`)() as (
  matrix: Float32Array,
  columns: number,
) => Float32Array;

test("columns become rows", () => {
  const matrix = Float32Array.of(11, 12, 13, 21, 22, 23);
  expect([...transposed(matrix, 2)]).toEqual([11, 21, 12, 22, 13, 23]);
  expect([...inModule(matrix, 3)]).toEqual([11, 21, 12, 22, 13, 23]);
});

test("a weight that is also read by rows is transposed when the module is loaded, any other one is stored so", () => {
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
  expect(code).toContain("matmul(x, shared_weight_transposed, 2, 2)");
  expect(code).toContain("const shared_weight = Float32Array.of(1, 2, 3, 4); // [2, 2]\n");
  expect(code).toContain("const shared_weight_transposed = transposed(shared_weight, 2); // [2, 2]\n");
  expect(code).toContain("const own_weight = Float32Array.of(5, 7, 6, 8); // [2, 2]\n");
  expect([...evaluate(code).forward(Float32Array.of(1, -1))]).toEqual([...network.forward(tensor([[1, -1]])).data]);
});

test("a matrix that is computed is transposed where it is", () => {
  class Computed extends Module {
    readonly weight = new Parameter(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    override forward(x: Tensor): Tensor {
      return F.linear(x, this.weight.add(x.sum()));
    }
  }
  const network = new Computed();
  const { code } = exportJs(network, { features: 3 });
  const x = Float32Array.of(1, -2, 3);
  expect([...evaluate(code).forward(x)]).toEqual([...network.forward(tensor([[...x]])).data]);
});
