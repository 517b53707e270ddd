import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { expect } from "vitest";
import {
  AdamW,
  argmax,
  crossEntropy,
  DataLoader,
  type Dataset,
  ImageDataset,
  type Module,
  noGrad,
  randint,
  type Tensor,
  tensor,
} from "../../src/index.js";

const RUNTIME: string = "onnxruntime-node";
const { InferenceSession, Tensor: OrtTensor } = (await import(RUNTIME)) as typeof import("onnxruntime-common");

const description = readFileSync(new URL("fixtures/onnx.desc", import.meta.url));
const file = fromBinary(FileDescriptorProtoSchema, description);
const Model = createFileRegistry(file, () => undefined).getMessage("onnx.ModelProto");

interface Node {
  op_type: string;
}

interface Initializer {
  name: string;
  dims?: string[];
  data_type: number;
  raw_data: string;
}

/** An ONNX file as protobuf's JSON, read by ONNX's own description of its messages. */
export function readModel(bytes: Uint8Array): { graph: { node?: Node[]; initializer?: Initializer[] } } {
  if (Model === undefined) throw new Error("the description lacks ModelProto");
  const json = toJson(Model, fromBinary(Model, bytes), { useProtoFieldName: true });
  return json as unknown as ReturnType<typeof readModel>;
}

export type Initializers = Map<string, { dims: number[]; dataType: number; raw: Uint8Array }>;

/** The initializers of a file, by name. */
export function initializers(bytes: Uint8Array): Initializers {
  return new Map(
    (readModel(bytes).graph.initializer ?? []).map(({ name, dims = [], data_type, raw_data }) => [
      name,
      { dims: dims.map(Number), dataType: data_type, raw: Uint8Array.from(Buffer.from(raw_data, "base64")) },
    ]),
  );
}

/** What an initializer of single precision holds. */
export function floats(bytes: Uint8Array, name: string): Float32Array {
  const raw = initializers(bytes).get(name)?.raw;
  expect(raw, name).toBeDefined();
  return new Float32Array((raw as Uint8Array).buffer);
}

/** The types of a file's nodes, in their order. */
export const opTypes = (bytes: Uint8Array): string[] =>
  readModel(bytes).graph.node?.map(({ op_type }) => op_type) ?? [];

/**
 * Runs a file by ONNX Runtime on samples of so many values or of a shape, `batch` at a time, and gives all its outputs.
 */
export async function run(
  bytes: Uint8Array,
  rows: Float32Array | Uint8Array,
  sample: number | readonly number[],
  batch: number,
): Promise<{ data: Float32Array; dims: readonly number[] }> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const [input, output] = [session.inputNames[0], session.outputNames[0]] as [string, string];
  const parts: Float32Array[] = [];
  let dims: readonly number[] = [];
  const lengths = typeof sample === "number" ? [sample] : sample;
  const features = lengths.reduce((product, length) => product * length, 1);
  for (let start = 0; start < rows.length; start += batch * features) {
    const part = rows.subarray(start, start + batch * features);
    const shape = [part.length / features, ...lengths];
    const fed =
      part instanceof Uint8Array ? new OrtTensor("uint8", part, shape) : new OrtTensor("float32", part, shape);
    const result = (await session.run({ [input]: fed }))[output] as { data: unknown; dims: readonly number[] };
    parts.push(result.data as Float32Array);
    dims = result.dims;
  }
  await session.release();
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return { data, dims };
}

/** A network's own logits in eval mode. */
export function logitsOf(network: Module, x: Tensor): Tensor {
  network.eval();
  return noGrad(() => network.forward(x));
}

/** The largest difference in a row, by the row's largest value, of all rows. */
export function relativeError(got: Float32Array, expected: Float32Array, columns: number): number {
  expect(got.length).toBe(expected.length);
  let worst = 0;
  for (let start = 0; start < expected.length; start += columns) {
    const row = expected.subarray(start, start + columns);
    const size = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    row.forEach((value, i) => {
      // Not Math.max, which would hide a NaN of one side.
      const error = Math.abs(got[start + i] - value) / size;
      if (!(error <= worst)) worst = error;
    });
  }
  return worst;
}

/** The share of rows whose largest logit is that of the label. */
export function accuracy(logits: Float32Array, labels: Int32Array): number {
  const predicted = argmax(tensor(logits, { shape: [labels.length, logits.length / labels.length] }), 1).data;
  return labels.filter((label, i) => label === predicted[i]).length / labels.length;
}

/** Random pixels and labels in the shape of Fashion-MNIST, with its usual normalisation. */
export function standIn(samples: number): ImageDataset {
  return new ImageDataset(Uint8Array.from(randint(0, 256, [samples * 784]).data), randint(0, 10, [samples]), {
    features: 784,
    classes: 10,
    mean: 0.286,
    std: 0.353,
  });
}

/** Some steps of training, after which no statistics, weights or biases are those of the start. */
export function teach(network: Module, data: Dataset, steps: number): void {
  const optimizer = new AdamW(network.parameters(), { lr: 1e-3 });
  let step = 0;
  for (const { inputs, labels } of new DataLoader(data, { batchSize: 256, shuffle: true })) {
    if (step++ === steps) break;
    optimizer.zeroGrad();
    crossEntropy(network.forward(inputs), labels).backward();
    optimizer.step();
  }
}
