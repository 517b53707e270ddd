import { badArgument, expectExtension } from "../checks.js";
import type { ValueLayout } from "../data/dataset.js";
import { PREPROCESSING_KEY, type Preprocessing } from "../data/preprocessing/spec.js";
import { DistilleryError } from "../errors.js";
import { writeWhole } from "../files/index.js";
import { recordOf } from "../models/training_record.js";
import type { Module } from "../nn/module.js";
import { DATA_TYPE, int } from "../tensor/onnx_node.js";
import { perChannel } from "./constants.js";
import { expectFit, exportedGraph, recordedFeatures } from "./exported_graph.js";
import { OnnxGraph, onnxShape } from "./onnx_graph.js";
import { MODEL, type VALUE_INFO } from "./onnx_schema.js";
import { checkOnnxOptions, type OnnxOptions } from "./options.js";
import { expectPrecise, expectPreciseTargets, inputNames, standardisationOf, standardise } from "./preprocessing.js";
import { encode, type Message } from "./protobuf.js";

/**
 * An input or output of an ONNX file. A length is a number, `batch` for the number of rows, or null if it depends on
 * that in another way.
 */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: "float32" | "uint8";
  readonly shape: readonly (number | "batch" | null)[];
}

/** What was written. */
export interface OnnxSummary {
  readonly bytes: number;
  readonly opset: number;
  readonly input: OnnxValue;
  readonly output: OnnxValue;
  /** Whether the graph makes the network's inputs out of pixels, or of numbers as they are. */
  readonly embedded: boolean;
  /** The names of a row's values, `colour=red` for 0 or 1, and of the logits; null if they are unknown. */
  readonly inputNames: readonly string[] | null;
  readonly classNames: readonly string[] | null;
}

/**
 * A network in eval mode as an ONNX file, for any number of rows. BatchNorm is folded into the linear layer before it,
 * dropout is left out; any Module can be written whose forward consists of the library's operations, but for `cumsum`,
 * and for masks and places that it computes itself (`where`, `topk`, `argmax`). The network's mode and the random
 * stream stay as they are.
 *
 * The format is that of `torch.onnx.export`. Its bytes depend only on the network and the options. The file of a
 * network that was trained on a table gives the targets of a regression in the unit of their columns, and takes its
 * numbers as they are, as those of scikit-learn do; the names of inputs and classes are in `metadata_props`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a wrong option, or a network whose forward does something that ONNX can't
 * express, or whose operations depend on the batch; `SHAPE_MISMATCH` for a preprocessing of another network;
 * `NON_FINITE` for weights with NaN or infinity.
 * @example
 * ```ts
 * import { InferenceSession, Tensor } from "onnxruntime-node";
 *
 * const session = await InferenceSession.create(exportOnnx(student));
 * const row = new Tensor("float32", new Float32Array(784), [1, 784]);
 * const { logits } = await session.run({ input: row }); // logits.dims: [1, 10]
 * ```
 */
export function exportOnnx(network: Module, options: OnnxOptions = {}): Uint8Array {
  return writeModel(network, options).model;
}

/**
 * Writes what {@link exportOnnx} gives into a file, whole or not at all.
 *
 * @throws DistilleryError as {@link exportOnnx}; `BAD_ARGUMENT` for another extension than .onnx, `IO_ERROR` if the
 * file can't be written; what was there before then stays.
 * @example
 * ```ts
 * const { bytes } = await saveOnnx(student, "student.onnx", { quantize: "int8" });
 * ```
 */
export async function saveOnnx(network: Module, file: string, options: OnnxOptions = {}): Promise<OnnxSummary> {
  expectExtension("file", file, [".onnx"]);
  const { model, ...summary } = writeModel(network, options);
  await writeWhole(file, model);
  return summary;
}

function writeModel(network: Module, given: OnnxOptions): OnnxSummary & { model: Uint8Array } {
  const options = withRecord(network, checkOnnxOptions(given));
  const { opset, preprocessing, normalisation } = options;
  const standardisation = standardisationOf(preprocessing);
  const embedded = options.embedNormalisation ?? (standardisation !== null && normalisation === undefined);
  if (embedded && normalisation === undefined && standardisation === null) {
    throw badArgument("normalisation", "{ mean, std }, which embedNormalisation puts into the graph", normalisation);
  }
  const graph = exportedGraph(network, options, "ONNX");
  if (preprocessing !== null) expectFit(preprocessing, graph);
  if (embedded && preprocessing !== null && standardisation !== null) expectPrecise(preprocessing, standardisation);
  if (preprocessing !== null) expectPreciseTargets(preprocessing);
  const shape = graph.input.shape.slice(1) as number[];
  if (normalisation !== undefined && shape.length === 3) expectChannels(normalisation, shape[0]);
  const ofPixels = embedded ? normalisation : undefined;
  const input: OnnxValue = {
    name: options.input,
    dtype: ofPixels === undefined ? "float32" : "uint8",
    shape: onnxShape(graph.input.shape),
  };
  const output: OnnxValue = { name: options.output, dtype: "float32", shape: onnxShape(graph.output.shape) };
  const onnx = new OnnxGraph(opset, [input.name, output.name, STANDARDISED]);
  const scaled = () => (standardisation === null ? input.name : standardise(onnx, input.name, standardisation));
  const made = () => (ofPixels === undefined ? scaled() : normalise(onnx, input.name, shape, ofPixels));
  const targets = preprocessing?.targets;
  onnx.add(graph, embedded ? made() : input.name, targets === undefined ? output.name : STANDARDISED);
  if (targets !== undefined) inUnits(onnx, targets, output.name);
  const model = encode(MODEL, {
    // The version of the format that brought what is used here, so that older runtimes read it.
    irVersion: opset < 15 ? 7 : 8,
    producerName: "distillery",
    graph: {
      node: onnx.nodes,
      name: network.constructor.name || "network",
      initializer: onnx.initializers,
      input: [valueInfo(input)],
      output: [valueInfo(output)],
    },
    opsetImport: [{ domain: "", version: opset }],
    metadataProps: metadata(options, embedded),
  });
  const names = {
    inputNames: preprocessing && inputNames(preprocessing),
    classNames: preprocessing?.classNames ?? null,
  };
  return { bytes: model.length, opset, input, output, embedded, ...names, model };
}

/** The nodes from pixels in bytes to the network's own input: (pixel / 255 - mean) / std, rounded as in training. */
function normalise(
  onnx: OnnxGraph,
  pixels: string,
  shape: readonly number[],
  { mean, std }: NonNullable<OnnxOptions["normalisation"]>,
): string {
  const constant = (name: string, value: number | readonly number[]) =>
    onnx.constant(perChannel(`normalisation.${name}`, value, shape));
  const floats = onnx.node({ type: "Cast", inputs: [pixels], attributes: [int("to", DATA_TYPE.float)] });
  const scaled = onnx.node({ type: "Div", inputs: [floats, constant("white", 255)] });
  const centred = onnx.node({ type: "Sub", inputs: [scaled, constant("mean", mean)] });
  return onnx.node({ type: "Div", inputs: [centred, constant("std", std)] });
}

/** The output of the network of a regression, before it is in the unit of its columns. */
const STANDARDISED = "targets.standardised";

/** The nodes from outputs to values in the unit of their columns: output * std + mean. */
function inUnits(onnx: OnnxGraph, { mean, std }: ValueLayout, output: string): void {
  const constant = (name: string, values: readonly number[]) =>
    onnx.constant(perChannel(`targets.${name}`, values, [values.length]));
  const scaled = onnx.node({ type: "Mul", inputs: [STANDARDISED, constant("std", std)] });
  onnx.node({ type: "Add", inputs: [scaled, constant("mean", mean)] }, output);
}

/** The options, with what the network was trained with if they do not say it. */
function withRecord<O extends OnnxOptions>(network: Module, options: O): O & { preprocessing: Preprocessing | null } {
  const { preprocessing = recordOf(network)?.preprocessing ?? null, normalisation, features } = options;
  const image = preprocessing?.kind === "image" ? preprocessing : undefined;
  if (normalisation !== undefined && preprocessing !== null) {
    if (image === undefined) {
      throw badArgument(
        "normalisation",
        `none: it is of images, and the preprocessing of ${preprocessing.kind === "table" ? "a table" : "values"}`,
        normalisation,
      );
    }
    expectChannels(normalisation, image.channels);
  }
  return {
    ...options,
    preprocessing,
    normalisation: normalisation ?? (image && { mean: image.mean, std: image.std }),
    features: features ?? recordedFeatures(network, preprocessing),
  };
}

/** Refuses means and deviations that are neither one for all channels nor one for each. */
function expectChannels(normalisation: NonNullable<OnnxOptions["normalisation"]>, channels: number): void {
  for (const [name, value] of Object.entries(normalisation)) {
    const { length } = [value].flat();
    if (length === 1 || length === channels) continue;
    const text = `expected a number, or ${channels} of them, one a channel; got ${length}`;
    throw new DistilleryError("SHAPE_MISMATCH", `normalisation.${name}: ${text}`);
  }
}

type Prop = { key: string; value: string };

function metadata(
  { normalisation, preprocessing }: OnnxOptions & { preprocessing: Preprocessing | null },
  embedded: boolean,
): Prop[] {
  const props: Prop[] = [];
  const add = (key: string, value: unknown) => props.push({ key, value: String(value) });
  if (normalisation !== undefined) {
    const { mean, std } = normalisation;
    const entries = { mean, std, formula: "(pixel / 255 - mean) / std", embedded };
    for (const [key, value] of Object.entries(entries)) add(`normalisation.${key}`, value);
  }
  if (preprocessing === null) return props;
  const names = inputNames(preprocessing);
  if (names !== null) add("inputs", JSON.stringify(names));
  if (standardisationOf(preprocessing) !== null) add("standardisation.embedded", embedded);
  if (preprocessing.classNames !== null) add("classes", JSON.stringify(preprocessing.classNames));
  add(PREPROCESSING_KEY, JSON.stringify(preprocessing));
  return props;
}

function valueInfo({ name, dtype, shape }: OnnxValue): Message<typeof VALUE_INFO> {
  const dim = shape.map((length) =>
    typeof length === "number" ? { dimValue: length } : length === null ? {} : { dimParam: length },
  );
  return {
    name,
    type: { tensorType: { elemType: dtype === "uint8" ? DATA_TYPE.uint8 : DATA_TYPE.float, shape: { dim } } },
  };
}
