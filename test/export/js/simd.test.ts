import { expect, test, vi } from "vitest";
import {
  exportJs,
  Generator,
  Linear,
  Module,
  ReLU,
  Sequential,
  type Tensor,
  tensor,
  withGenerator,
} from "../../../src/index.js";
import type { Exported } from "./support.js";

/** What the tests take of it: the library compiles without the types of browsers. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: { product(...numbers: number[]): void } };
}
const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

/** A module as a runtime runs it whose WebAssembly is this. */
function evaluateWith(code: string, webAssembly: unknown): Exported {
  const body = `"use strict";\n${code.replaceAll(/^export /gm, "")}\nreturn { forward };`;
  return new Function("WebAssembly", body)(webAssembly) as Exported;
}

function expectClose(got: Float32Array, want: Float32Array): void {
  expect(got).toHaveLength(want.length);
  for (const [i, x] of got.entries()) expect(x).toBeCloseTo(want[i], 6);
}

const drawn = <T>(make: () => T): T => withGenerator(new Generator(3), make);
const input = Float32Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? 0 : Math.sin(i)));

test("WebAssembly and JavaScript multiply alike, whatever is left of a panel", () => {
  const network = drawn(() => new Sequential(new Linear(100, 45), new ReLU(), new Linear(45, 64), new Linear(64, 37)));
  const { code } = exportJs(network, { features: 100 });
  const want = network.forward(tensor([[...input]])).data;
  const refused = {
    Module: vi.fn(() => {
      throw new Error("not allowed");
    }),
  };
  for (const webAssembly of [WebAssembly, refused, undefined]) {
    expectClose(evaluateWith(code, webAssembly).forward(input), want);
  }
  expect(refused.Module).toHaveBeenCalledTimes(1);
});

test("its module is compiled once, and its functions are asked for each weight that pays", () => {
  const network = drawn(() => new Sequential(new Linear(100, 45), new Linear(45, 64), new Linear(64, 3)));
  const products = vi.fn();
  const asked = {
    Module: WebAssembly.Module,
    Instance: class {
      readonly exports;
      constructor(module: object) {
        const { product, ...others } = new WebAssembly.Instance(module).exports;
        this.exports = {
          ...others,
          product: (...numbers: number[]) => {
            products(...numbers);
            product(...numbers);
          },
        };
      }
    },
  };
  evaluateWith(exportJs(network, { features: 100 }).code, asked).forward(input);
  // Four bytes a number of x, where the weight lies, one behind the other from the second page on, and panels of 8 rows.
  expect(products.mock.calls).toEqual([
    [400, 65536, 5],
    [180, 65536 + 4 * 4500, 8],
  ]);
});

test("each row of a matrix has its product, and a weight that is too wide for a page has none", () => {
  class Rows extends Module {
    readonly fc = new Linear(50, 48);
    override forward(x: Tensor): Tensor {
      return this.fc.forward(x.reshape([x.shape[0], 2, 50])).flatten(1);
    }
  }
  const rows = drawn(() => new Rows());
  const want = rows.forward(tensor([[...input]])).data;
  expectClose(evaluateWith(exportJs(rows, { features: 100 }).code, WebAssembly).forward(input), want);
  const wide = drawn(() => new Linear(8193, 8));
  expect(exportJs(wide, { features: 8193 }).code).not.toContain("simd");
  const x = Float32Array.from({ length: 8193 }, (_, i) => Math.cos(i));
  const [first] = evaluateWith(exportJs(wide, { features: 8193 }).code, WebAssembly).forward(x);
  expect(first).toBeCloseTo(wide.forward(tensor([[...x]])).data[0], 5);
});
