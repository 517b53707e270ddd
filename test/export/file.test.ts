import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  exportOnnx,
  Linear,
  Module,
  manualSeed,
  Parameter,
  ReLU,
  Sequential,
  saveOnnx,
  TeacherNet,
  type Tensor,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { Everything, lived } from "./networks.js";
import { initializers, readModel } from "./support.js";

const folder = temporaryFolder();
const raw = (values: readonly number[]) => Buffer.from(Float32Array.from(values).buffer).toString("base64");
const int64 = (values: readonly number[]) => Buffer.from(BigInt64Array.from(values, BigInt).buffer).toString("base64");
const tensorType = (elem_type: number, ...dim: object[]) => ({ tensor_type: { elem_type, shape: { dim } } });
const BATCH = { dim_param: "batch" };

/** 2 to 3 to 1, with weights that are whole. */
function small(): Sequential {
  const [first, second] = [new Linear(2, 3), new Linear(3, 1, { bias: false })];
  first.weight.data.set([1, 2, 3, 4, 5, 6]);
  first.bias?.data.set([-1, 0, 1]);
  second.weight.data.set([127, -254, 0.5]);
  return new Sequential(first, new ReLU(), second);
}

describe("a file, field by field, read by ONNX's own description", () => {
  test("layers", () => {
    expect(readModel(exportOnnx(small()))).toEqual({
      ir_version: "8",
      producer_name: "distillery",
      opset_import: [{ domain: "", version: "17" }],
      graph: {
        name: "Sequential",
        node: [
          {
            name: "gemm",
            op_type: "Gemm",
            input: ["input", "0.weight", "0.bias"],
            output: ["gemm"],
            attribute: [{ name: "transB", i: "1", type: "INT" }],
          },
          { name: "relu", op_type: "Relu", input: ["gemm"], output: ["relu"] },
          {
            name: "gemm_1",
            op_type: "Gemm",
            input: ["relu", "2.weight"],
            output: ["logits"],
            attribute: [{ name: "transB", i: "1", type: "INT" }],
          },
        ],
        initializer: [
          { name: "0.weight", data_type: 1, dims: ["3", "2"], raw_data: raw([1, 2, 3, 4, 5, 6]) },
          { name: "0.bias", data_type: 1, dims: ["3"], raw_data: raw([-1, 0, 1]) },
          { name: "2.weight", data_type: 1, dims: ["1", "3"], raw_data: raw([127, -254, 0.5]) },
        ],
        input: [{ name: "input", type: tensorType(1, BATCH, { dim_value: "2" }) }],
        output: [{ name: "logits", type: tensorType(1, BATCH, { dim_value: "1" }) }],
      },
    });
  });

  test("8 bits, other names, another opset, the normalisation inside", () => {
    const { ir_version, opset_import, metadata_props, graph } = readModel(
      exportOnnx(small(), {
        input: "pixels",
        output: "0.weight",
        opset: 13,
        quantize: "int8",
        normalisation: { mean: 0.25, std: 0.5 },
        embedNormalisation: true,
      }),
    ) as unknown as Record<string, object>;
    expect([ir_version, opset_import]).toEqual(["7", [{ domain: "", version: "13" }]]);
    expect(metadata_props).toEqual([
      { key: "normalisation.mean", value: "0.25" },
      { key: "normalisation.std", value: "0.5" },
      { key: "normalisation.formula", value: "(pixel / 255 - mean) / std" },
      { key: "normalisation.embedded", value: "true" },
    ]);
    const int = (name: string, i: number) => [{ name, i: String(i), type: "INT" }];
    const node = (op_type: string, name: string, input: string[], output = name, attribute?: object[]) => ({
      op_type,
      name,
      input,
      output: [output],
      ...(attribute && { attribute }),
    });
    expect(graph).toEqual({
      name: "Sequential",
      node: [
        node("Cast", "cast", ["pixels"], "cast", int("to", 1)),
        node("Div", "div", ["cast", "normalisation.white"]),
        node("Sub", "sub", ["div", "normalisation.mean"]),
        node("Div", "div_1", ["sub", "normalisation.std"]),
        node("DequantizeLinear", "dequantizelinear", ["0.weight.int8", "0.weight.scale"], undefined, int("axis", 0)),
        node("Gemm", "gemm", ["div_1", "dequantizelinear", "0.bias"], undefined, int("transB", 1)),
        node("Relu", "relu", ["gemm"]),
        node("DequantizeLinear", "dequantizelinear_1", ["2.weight.int8", "2.weight.scale"], undefined, int("axis", 0)),
        node("Gemm", "gemm_1", ["relu", "dequantizelinear_1"], "0.weight", int("transB", 1)),
      ],
      initializer: [
        { name: "normalisation.white", data_type: 1, raw_data: raw([255]) },
        { name: "normalisation.mean", data_type: 1, raw_data: raw([0.25]) },
        { name: "normalisation.std", data_type: 1, raw_data: raw([0.5]) },
        {
          name: "0.weight.int8",
          data_type: 3,
          dims: ["3", "2"],
          raw_data: Buffer.from([64, 127, 95, 127, 106, 127]).toString("base64"),
        },
        { name: "0.weight.scale", data_type: 1, dims: ["3"], raw_data: raw([2 / 127, 4 / 127, 6 / 127]) },
        { name: "0.bias", data_type: 1, dims: ["3"], raw_data: raw([-1, 0, 1]) },
        {
          name: "2.weight.int8",
          data_type: 3,
          dims: ["1", "3"],
          raw_data: Buffer.from(Int8Array.of(64, -127, 0)).toString("base64"),
        },
        { name: "2.weight.scale", data_type: 1, dims: ["1"], raw_data: raw([2]) },
      ],
      input: [{ name: "pixels", type: tensorType(2, BATCH, { dim_value: "2" }) }],
      output: [{ name: "0.weight", type: tensorType(1, BATCH, { dim_value: "1" }) }],
    });
  });

  test("constants of reductions and shapes, by opset", () => {
    const network = lived(new Everything(), 12);
    const [older, newer] = [17, 18].map((opset) => readModel(exportOnnx(network, { opset })).graph);
    const means = [older, newer].map((graph) => graph?.node?.find(({ op_type }) => op_type === "ReduceMean"));
    expect(means).toMatchObject([
      {
        input: ["add"],
        attribute: [
          { name: "keepdims", i: "1" },
          { name: "axes", ints: ["1"], type: "INTS" },
        ],
      },
      { input: ["add", "axes"], attribute: [{ name: "keepdims", i: "1" }] },
    ]);
    const shapes = older?.initializer?.filter(({ data_type }) => data_type === 7);
    expect(shapes?.map(({ raw_data }) => raw_data)).toEqual([[-1, 2, 4], [2], [-1, 1], [1]].map(int64));
    expect(older?.node?.[0]).toMatchObject({
      op_type: "BatchNormalization",
      input: ["input", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"],
      attribute: [{ name: "epsilon", f: expect.closeTo(1e-5, 12), type: "FLOAT" }],
    });
    expect(older?.node?.find(({ op_type }) => op_type === "Softmax")).toMatchObject({
      attribute: [{ name: "axis", i: "-1" }],
    });
  });

  test("names are made unique, a weight that two layers share is there once", () => {
    class Names extends Module {
      readonly input = new Parameter(Float32Array.of(1, 2));
      readonly gemm = new Parameter(Float32Array.of(3, 4));
      readonly fc = new Linear(2, 2, { bias: false });
      override forward(x: Tensor): Tensor {
        return this.fc.forward(this.fc.forward(x).add(this.input)).mul(this.gemm);
      }
    }
    const bytes = exportOnnx(new Names());
    const { graph } = readModel(bytes) as unknown as { graph: { node: { input: string[]; output: string[] }[] } };
    expect(graph.node.map(({ input, output }) => [...input, ...output])).toEqual([
      ["input", "fc.weight", "gemm"],
      ["gemm", "input_1", "add"],
      ["add", "fc.weight", "gemm_1"],
      ["gemm_1", "gemm_2", "logits"],
    ]);
    expect([...initializers(bytes).keys()]).toEqual(["fc.weight", "input_1", "gemm_2"]);
  });
});

describe("exporting", () => {
  test("the same network gives the same bytes, and is left as it was", () => {
    const network = lived(new TeacherNet({ inFeatures: 5, hidden: [4, 4, 4], classes: 3 }), 5);
    network.bn2.eval();
    const state = () => JSON.stringify(Object.values(network.stateDict()).map((tensor) => tensor.toArray()));
    const modes = () => [network, network.bn1, network.bn2, network.dropout1].map(({ training }) => training);
    const before = state();
    manualSeed(3);
    const bytes = exportOnnx(network, { quantize: "int8" });
    expect(exportOnnx(network, { quantize: "int8" })).toEqual(bytes);
    expect(state()).toBe(before);
    expect(modes()).toEqual([true, true, false, true]);
    const drawn = new Linear(3, 3);
    manualSeed(3);
    const fresh = new Linear(3, 3);
    expect(drawn.weight.data).toEqual(fresh.weight.data);
  });

  test("saveOnnx writes what exportOnnx gives, and says what it is", async () => {
    const file = join(folder, "small.onnx");
    const summary = await saveOnnx(small(), file, { output: "y" });
    const bytes = new Uint8Array(readFileSync(file));
    expect(bytes).toEqual(exportOnnx(small(), { output: "y" }));
    expect(summary).toEqual({
      embedded: false,
      inputNames: null,
      classNames: null,
      bytes: bytes.length,
      opset: 17,
      input: { name: "input", dtype: "float32", shape: ["batch", 2] },
      output: { name: "y", dtype: "float32", shape: ["batch", 1] },
    });
  });

  test("what can't be written leaves what was there", async () => {
    const file = join(folder, "kept.onnx");
    writeFileSync(file, "kept");
    const before = readdirSync(folder);
    await failure(saveOnnx(small(), file, { opset: 1 }), "BAD_ARGUMENT");
    await failure(saveOnnx(small(), join(folder, "missing", "a.onnx")), "IO_ERROR");
    await failure(saveOnnx(small(), join(folder, "a.pth")), "BAD_ARGUMENT");
    await failure(saveOnnx(small(), 3 as never), "BAD_ARGUMENT");
    expect(readFileSync(file, "utf8")).toBe("kept");
    expect(readdirSync(folder)).toEqual(before);
  });
});
