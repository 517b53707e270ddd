import { expect, test, vi } from "vitest";
import { exportedGraph } from "../../../src/export/index.js";
import { GraphModule } from "../../../src/graph/index.js";
import {
  Conv2d,
  Embedding,
  exportJs,
  Generator,
  Linear,
  Module,
  MultiheadAttention,
  ReLU,
  Sequential,
  Tensor,
  withGenerator,
} from "../../../src/index.js";
import { logitsOf, relativeError } from "../support.js";
import type { Exported } from "./support.js";

/** What the tests take of it: the library compiles without the types of browsers. */
interface WebAssemblyApi {
  readonly Memory: new (size: { initial: number }) => object;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: Record<string, (...numbers: number[]) => void> };
}
const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

/** A module as a runtime runs it whose WebAssembly is this. */
function evaluateWith(code: string, webAssembly: unknown): Exported {
  const body = `"use strict";\n${code.replaceAll(/^export /gm, "")}\nreturn { forward };`;
  return new Function("WebAssembly", body)(webAssembly) as Exported;
}

const refusing = () =>
  vi.fn(function refuse() {
    throw new Error("not allowed");
  });
const drawn = <T>(make: () => T): T => withGenerator(new Generator(3), make);
const numbers = (length: number) => Float32Array.from({ length }, (_, i) => (i % 3 === 0 ? 0 : Math.sin(i)));

/** The attention of a sequence to itself. */
class Attending extends Module {
  readonly attention = new MultiheadAttention(12, 3, { batchFirst: true });
  override forward(x: Tensor): Tensor {
    const sequence = x.reshape([x.shape[0], 10, 12]);
    return this.attention.forward(sequence, sequence, sequence).flatten(1);
  }
}

/** Rows of a table, several for a sample. */
class Rows extends Module {
  readonly table = new Embedding(21, 13);
  override forward(x: Tensor): Tensor {
    return this.table.forward(x).flatten(1);
  }
}

/** A convolution of two images that each sample has. */
class Images extends Module {
  readonly conv = new Conv2d(1, 3, 3);
  override forward(x: Tensor): Tensor {
    return this.conv.forward(x.reshape([-1, 1, 10, 12])).reshape([x.shape[0], 480]);
  }
}

const image = (inputs: number, conv: Conv2d, [height, width]: readonly [number, number]) =>
  new (class extends Module {
    readonly conv = conv;
    override forward(x: Tensor): Tensor {
      return this.conv.forward(x.reshape([x.shape[0], inputs, height, width])).flatten(1);
    }
  })();

const NETWORKS: Readonly<Record<string, readonly [features: number, () => Module]>> = {
  "linear layers, whatever is left of four": [
    103,
    () => new Sequential(new Linear(103, 45), new ReLU(), new Linear(45, 64), new Linear(64, 37, { bias: false })),
  ],
  attention: [120, () => new Attending()],
  "a convolution": [2 * 81, () => image(2, new Conv2d(2, 7, 3, { padding: 1 }), [9, 9])],
  "one in groups, with steps": [
    4 * 99,
    () => image(4, new Conv2d(4, 6, [3, 2], { stride: [2, 1], padding: [2, 1], dilation: [1, 2], groups: 2 }), [9, 11]),
  ],
  "one of several images of a sample": [240, () => new Images()],
  "one by channel": [5 * 77, () => image(5, new Conv2d(5, 5, 3, { groups: 5, bias: false }), [7, 11])],
  "one of an image whose patches are too many for once": [
    3 * 64 * 50,
    () => image(3, new Conv2d(3, 4, 5, { stride: 1, padding: 2 }), [64, 50]),
  ],
};

test.each(Object.entries(NETWORKS))(
  "WebAssembly and JavaScript give the library's numbers: %s",
  (_, [features, make]) => {
    const network = drawn(make).eval();
    const x = numbers(features);
    for (const quantize of ["float32", "float16", "int8"] as const) {
      const options = quantize === "float32" ? { features } : { features, quantize };
      const want = logitsOf(
        new GraphModule(exportedGraph(network, options, "JavaScript")),
        new Tensor(x, [1, features]),
      );
      const { code } = exportJs(network, options);
      expect(code).toContain("product(");
      for (const webAssembly of [WebAssembly, undefined]) {
        const got = evaluateWith(code, webAssembly).forward(x);
        expect(got).toHaveLength(want.data.length);
        expect(relativeError(got, want.data, want.data.length)).toBeLessThan(1e-6);
      }
    }
  },
);

test("a table is read the same way from its 8 bits and from its 16", () => {
  const network = drawn(() => new Rows()).eval();
  const ids = Float32Array.of(20, 0, 7);
  for (const quantize of ["float16", "int8"] as const) {
    const options = { features: 3, quantize };
    const want = logitsOf(new GraphModule(exportedGraph(network, options, "JavaScript")), new Tensor(ids, [1, 3]));
    const { code } = exportJs(network, options);
    for (const webAssembly of [WebAssembly, undefined]) {
      expect([...evaluateWith(code, webAssembly).forward(ids)]).toEqual([...want.data]);
    }
  }
});

test("where a runtime refuses to compile, or has too little memory, JavaScript multiplies", () => {
  const { code } = exportJs(
    drawn(() => new Linear(100, 45)),
    { features: 100 },
  );
  const x = numbers(100);
  const want = [...evaluateWith(code, undefined).forward(x)];
  for (const wrong of [{ Memory: refusing() }, { Module: refusing() }, { Instance: refusing() }]) {
    expect([...evaluateWith(code, { ...builtins(), ...wrong }).forward(x)]).toEqual(want);
    expect(Object.values(wrong)[0]).toHaveBeenCalledTimes(1);
  }
});

function builtins(): WebAssemblyApi {
  const { Memory, Module, Instance } = WebAssembly;
  return { Memory, Module, Instance };
}

test("weights are in its memory, what they are multiplied by comes behind them, and a short product is none of its", () => {
  const network = drawn(() => new Sequential(new Linear(100, 45), new Linear(45, 64), new Linear(64, 3)));
  const multiply = vi.fn();
  const asked = {
    ...builtins(),
    Instance: class {
      readonly exports;
      constructor(module: object, imports: object) {
        const { exports } = new WebAssembly.Instance(module, imports);
        this.exports = {
          ...exports,
          multiply: (...args: number[]) => {
            multiply(...args);
            exports.multiply(...args);
          },
        };
      }
    },
  };
  const { code } = exportJs(network, { features: 100 });
  evaluateWith(code, asked).forward(numbers(100));
  // Of each weight, four numbers more than it has.
  const [second, end] = [4 * 4504, 4 * (4504 + 2884)];
  expect(multiply.mock.calls).toEqual([
    [end, 0, end + 4 * 100, 1, 100, 45],
    [end, second, end + 4 * 48, 1, 45, 64],
  ]);
  expect(code).toContain("matmul(");
});

test("sums of 20,000 numbers are as exact as the logits of a network have to be", () => {
  const [inputs, outputs] = [20_000, 5];
  const network = drawn(() => new Linear(inputs, outputs));
  const forward = evaluateWith(exportJs(network, { features: inputs }).code, WebAssembly).forward;
  // Of one sign, so that sums grow, and of both.
  for (const shift of [1.5, 0]) {
    const x = Float32Array.from({ length: inputs }, (_, i) => Math.sin(i) + shift);
    const { weight, bias } = network;
    const want = Float32Array.from({ length: outputs }, (_, o) =>
      x.reduce((sum, v, i) => sum + v * weight.data[o * inputs + i], bias?.data[o] ?? 0),
    );
    expect(relativeError(forward(x), want, outputs)).toBeLessThan(1e-5);
  }
});
