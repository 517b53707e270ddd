import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/index.js";
import { preprocessingOf } from "../../src/data/preprocessing/spec.js";
import { FrozenModel } from "../../src/graph/index.js";
import {
  createNetwork,
  distill,
  Ensemble,
  freezeGraph,
  Linear,
  noGrad,
  predict,
  randn,
  Sequential,
  StudentNet,
  synthetic,
  TeacherCache,
  TeacherNet,
  withPrecision,
} from "../../src/index.js";
import { recordOf, setRecord } from "../../src/models/training_record.js";
import { Module } from "../../src/nn/module.js";
import { rowsFor } from "../../src/nn/rows_for.js";
import { Generator } from "../../src/tensor/random.js";
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
        return x.mul(x.data[0]);
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

  test("has no state dict, which would be that of every other one", async () => {
    const [network, other] = [new StudentNet(), new StudentNet()];
    const frozen = freezeGraph(network, [784]);
    const refused = expect.objectContaining({
      code: "BAD_ARGUMENT",
      message: expect.stringMatching(/frozen.*give the network/),
    });
    for (const holder of [frozen, new Sequential(frozen), new Ensemble([frozen, other])]) {
      expect(() => holder.stateDict()).toThrow(refused);
      expect(() => holder.loadStateDict({})).toThrow(refused);
    }
    const data = synthetic({ samples: 8 });
    await expect(TeacherCache.compute(frozen, data)).rejects.toThrow(refused);
    const cache = await TeacherCache.compute(network, data);
    expect(() => cache.expectOf(frozen, data)).toThrow(refused);
    for (const teacher of [frozen, new Ensemble([frozen, other])]) {
      await expect(distill({ teacher, student: other, data, epochs: 1 })).rejects.toThrow(refused);
      // It would compute in float32 in a run in bfloat16, too.
      const uncached = { teacherCache: false, precision: "bfloat16" } as const;
      await expect(distill({ teacher, student: other, data, epochs: 1, ...uncached })).rejects.toThrow(refused);
    }
    expect(() => freezeGraph(frozen, [784])).toThrow(refused);
    const state = new Sequential(network, new Sequential(other)).stateDict();
    expect(Object.keys(state).slice(5, 8)).toEqual(["0.fc3.bias", "1.0.fc1.weight", "1.0.fc1.bias"]);
    expect(fingerprint(network.stateDict())).not.toBe(fingerprint(other.stateDict()));
  });

  test("stays in eval mode and gives no gradients", () => {
    const frozen = freezeGraph(new StudentNet(), [784]);
    expect(frozen.eval()).toBe(frozen);
    for (const network of [frozen, new Sequential(frozen)]) {
      expect(() => network.train()).toThrow(
        expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining("stays in eval mode") }),
      );
    }
    const x = randn([2, 784]);
    const before = frozen.forward(x).data;
    x.requiresGrad = true;
    expect(() => frozen.forward(x)).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining("gives no gradients") }),
    );
    expect(noGrad(() => frozen.forward(x)).data).toEqual(before);
  });

  test("takes as many images at once as there is room for", () => {
    const shape = [3, 32, 32];
    const frozen = freezeGraph(createNetwork("resnet8", { shape, classes: 10 }), shape);
    const one = () => randn([1, ...shape]);
    const rows = rowsFor([frozen], one, 10_000);
    // Three arrays of 16 channels and the image, in 128 MB.
    expect(rows).toBe(Math.floor(2 ** 27 / (4 * (3 * 16 + 3) * 1024)));
    expect(rowsFor([new Ensemble([frozen, frozen])], one, 10_000)).toBeLessThanOrEqual(rows / 2);
  });

  test("has the bits of a model that runs ahead of a training, whose weights are not packed", () => {
    const model = FrozenModel.from(new Linear(1021, 301), [1021], { training: false });
    const x = randn([4, 1021]);
    const { output } = model.take(x, new Generator());
    for (let i = 0; i < 2; i++) expect(model.run(x, new Generator()).data).toEqual(output.data);
  });
});
