import { describe, expect, test } from "vitest";
import { preprocessingOf } from "../../src/data/preprocessing/spec.js";
import {
  createNetwork,
  freezeGraph,
  noGrad,
  predict,
  randn,
  StudentNet,
  synthetic,
  TeacherNet,
  withPrecision,
} from "../../src/index.js";
import { recordOf, setRecord } from "../../src/models/training_record.js";
import { Module } from "../../src/nn/module.js";
import type { Tensor } from "../../src/tensor/tensor.js";

const evaluated = (network: Module, x: Tensor) => noGrad(() => network.eval().forward(x)).data;

describe("a frozen network", () => {
  test.each([1, 3, 8, 16, 65])("gives %i samples the bits of its network", (rows) => {
    for (const network of [new StudentNet(), new TeacherNet()]) {
      const x = randn([rows, 784]);
      const frozen = freezeGraph(network, [784]);
      expect(frozen.forward(x).data).toEqual(evaluated(network, x));
      const inBfloat16 = withPrecision("bfloat16", () => freezeGraph(network, [784]));
      expect(inBfloat16.forward(x).data).toEqual(withPrecision("bfloat16", () => evaluated(network, x)));
    }
  });

  test("takes images", () => {
    const network = createNetwork("resnet8", { shape: [3, 8, 8], classes: 5 });
    const frozen = freezeGraph(network, [3, 8, 8]);
    for (const rows of [1, 5]) {
      const x = randn([rows, 3, 8, 8]);
      expect(predict(frozen, x)).toEqual(predict(network, x));
    }
  });

  test("is its network at the time, with what that was trained with", () => {
    const network = new StudentNet();
    setRecord(network, { file: null, preprocessing: preprocessingOf(synthetic()), origin: () => null });
    const x = randn([2, 784]);
    const before = predict(network, x);
    const frozen = freezeGraph(network, [784]);
    for (const { data } of network.parameters()) data.fill(0);
    expect(predict(frozen, x)).toEqual(before);
    expect(recordOf(frozen)).toBe(recordOf(network));
    expect([frozen.parameters(), frozen.training]).toEqual([[], false]);
  });

  test("refuses what it can't be", () => {
    class Scaled extends Module {
      override forward(x: Tensor) {
        return x.mul(x.data[0] as number);
      }
    }
    expect(() => freezeGraph(new Scaled(), [3])).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    expect(() => freezeGraph(new StudentNet(), 784 as never)).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining("sampleShape") }),
    );
    expect(() => freezeGraph({} as never, [784])).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining("network") }),
    );
    expect(() => freezeGraph(new StudentNet(), [784]).forward(randn([2, 783]))).toThrow(
      expect.objectContaining({ code: "SHAPE_MISMATCH", message: expect.stringContaining("[*, 784]") }),
    );
  });
});
