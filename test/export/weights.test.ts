import { describe, expect, test } from "vitest";
import {
  BatchNorm1d,
  exportOnnx,
  Linear,
  Module,
  manualSeed,
  Parameter,
  randn,
  Sequential,
  StudentNet,
  TeacherNet,
  type Tensor,
  zeros,
} from "../../src/index.js";
import { lived } from "./networks.js";
import { floats, initializers } from "./support.js";

manualSeed(5);

/** W gamma / sqrt(var + eps) and (b - mean) gamma / sqrt(var + eps) + beta, plainly, in double precision. */
function reference(fc: Linear, bn: BatchNorm1d): { weight: Float64Array; bias: Float64Array } {
  const factor = (i: number) => bn.weight.data[i] / Math.sqrt(bn.runningVar.data[i] + bn.eps);
  return {
    weight: Float64Array.from(fc.weight.data, (w, i) => w * factor(Math.floor(i / fc.inFeatures))),
    bias: Float64Array.from(
      bn.bias.data,
      (beta, i) => ((fc.bias?.data[i] ?? 0) - bn.runningMean.data[i]) * factor(i) + beta,
    ),
  };
}

describe("BatchNorm, folded", () => {
  test("weights and biases are the doubles of the formula, rounded once", () => {
    const network = lived(new TeacherNet({ inFeatures: 30, hidden: [20, 17, 9], classes: 4 }), 30);
    const bytes = exportOnnx(network);
    for (const [name, fc, bn] of [
      ["fc1", network.fc1, network.bn1],
      ["fc2", network.fc2, network.bn2],
      ["fc3", network.fc3, network.bn3],
    ] as const) {
      const { weight, bias } = reference(fc, bn);
      expect(bn.runningMean.data.some((mean) => Math.abs(mean) > 0.05)).toBe(true);
      // Twice half a unit in the last place: sums of three terms may be grouped in another way.
      floats(bytes, `${name}.weight`).forEach((w, i) => {
        expect(Math.abs(w - weight[i])).toBeLessThanOrEqual(2 ** -23 * Math.abs(weight[i]));
      });
      floats(bytes, `${name}.bias`).forEach((b, i) => {
        expect(Math.abs(b - bias[i])).toBeLessThanOrEqual(2 ** -23 * Math.abs(bias[i]));
      });
    }
    expect(floats(bytes, "fc4.weight")).toEqual(network.fc4.weight.data);
    expect([...initializers(bytes).keys()]).toEqual(
      ["fc1", "fc2", "fc3", "fc4"].flatMap((name) => [`${name}.weight`, `${name}.bias`]),
    );
  });

  test("a layer without bias gets one", () => {
    const [fc, bn] = [new Linear(3, 2, { bias: false }), new BatchNorm1d(2, { eps: 0.5 })];
    const network = lived(new Sequential(fc, bn), 3);
    const bytes = exportOnnx(network);
    expect([...initializers(bytes).keys()]).toEqual(["0.weight", "0.bias"]);
    expect(floats(bytes, "0.bias")).toEqual(Float32Array.from(reference(fc, bn).bias));
    expect(floats(bytes, "0.weight")).toEqual(Float32Array.from(reference(fc, bn).weight));
  });
});

describe("weights in 8 bits", () => {
  test("are w / scale, rounded, with max|w| of a row at 127", () => {
    const network = new StudentNet({ inFeatures: 50, hidden: [40, 30], classes: 5 });
    const bytes = exportOnnx(network, { quantize: "int8" });
    for (const [name, fc] of Object.entries({ fc1: network.fc1, fc2: network.fc2, fc3: network.fc3 })) {
      const q = new Int8Array(initializers(bytes).get(`${name}.weight.int8`)?.raw ?? []);
      const scales = floats(bytes, `${name}.weight.scale`);
      expect(q.length).toBe(fc.weight.size);
      for (let row = 0; row < fc.outFeatures; row++) {
        const range = [row * fc.inFeatures, (row + 1) * fc.inFeatures] as const;
        const [weights, values] = [fc.weight.data.subarray(...range), q.subarray(...range)];
        const scale = scales[row];
        expect(scale).toBe(Math.fround(Math.max(...weights.map(Math.abs)) / 127));
        expect(Math.max(...values.map(Math.abs))).toBe(127);
        weights.forEach((w, i) => {
          expect(Math.abs(w - values[i] * scale)).toBeLessThanOrEqual(scale / 2 + 1e-9);
        });
      }
      expect(floats(bytes, `${name}.bias`)).toEqual(fc.bias?.data);
    }
  });

  test("rows of zeros, and of what is too small for a scale", () => {
    const fc = new Linear(3, 3);
    fc.weight.data.set([0, 0, 0, 1e-45, -1e-45, 0, 1, -1, 0.5]);
    const bytes = exportOnnx(fc, { quantize: "int8" });
    expect(Array.from(new Int8Array(initializers(bytes).get("weight.int8")?.raw ?? []))).toEqual([
      0, 0, 0, 0, 0, 0, 127, -127, 64,
    ]);
    expect(floats(bytes, "weight.scale")).toEqual(Float32Array.of(1, 1, 1 / 127));
  });

  test("the right side of matmul has a scale for each column", () => {
    class Product extends Module {
      readonly weight = new Parameter(Float32Array.of(0.9, 20, -2, 5, 0.5, -9), [3, 2]);
      override forward(x: Tensor): Tensor {
        return x.matmul(this.weight);
      }
    }
    const bytes = exportOnnx(new Product(), { quantize: "int8", features: 3 });
    const stored = initializers(bytes).get("weight.int8");
    expect(stored?.dims).toEqual([2, 3]);
    expect(Array.from(new Int8Array(stored?.raw ?? []))).toEqual([57, -127, 32, 127, 32, -57]);
    expect(floats(bytes, "weight.scale")).toEqual(Float32Array.of(2 / 127, 20 / 127));
  });

  test("what is no weight of a product stays in single precision", () => {
    class Scaled extends Module {
      readonly scale = new Parameter(randn([3]).data);
      override forward(x: Tensor): Tensor {
        return x.mul(this.scale).matmul(
          x
            .sum(0)
            .reshape([3, 1])
            .add(zeros([3, 1])),
        );
      }
    }
    const bytes = exportOnnx(new Scaled(), { quantize: "int8", features: 3 });
    expect([...initializers(bytes).values()].map(({ dataType }) => dataType)).not.toContain(3);
  });
});
