import { argumentError, badDtype, expectLength } from "../checks.js";
import { inputFeatures, type Preprocessing, sampleShape } from "../data/preprocessing/spec.js";
import { DistilleryError } from "../errors.js";
import {
  foldBatchNorm,
  type Graph,
  lengthFor,
  quantizeWeights,
  traceModule,
  UntraceableError,
  type Value,
  type WeightType,
} from "../graph/index.js";
import { networkSpecOf } from "../models/create_network.js";
import { BatchNorm1d } from "../nn/batch_norm.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { taskOf } from "../tasks/index.js";
import { numel } from "../tensor/shape.js";
import { finiteGraph } from "./constants.js";

/** The export options that determine the graph. */
export interface GraphOptions {
  /** How weights of matrix products and convolutions are stored; default: in single precision. */
  quantize?: WeightType;
  /** The number of values of a sample, or [channels, height, width] for a network that reads images. */
  features?: number | readonly number[];
}

/** What a network is written as. */
export type ExportFormat = "ONNX" | "JavaScript";

/**
 * The largest 8-bit weight. A JavaScript module stores weights as text, which is shorter if there are fewer different
 * numbers: with 88 it is 8% shorter than with 127.
 */
const LARGEST: Readonly<Record<ExportFormat, number>> = { ONNX: 127, JavaScript: 88 };

/**
 * The graph that an exported file computes: BatchNorm is folded and, if chosen, weights are quantised.
 */
export function exportedGraph(network: Module, options: GraphOptions = {}, format: ExportFormat = "ONNX"): Graph {
  if (!(network instanceof Module)) throw badDtype("network", "a Module", network);
  const folded = finiteGraph(foldBatchNorm(finiteGraph(traced(network, options.features, format))));
  return options.quantize === undefined ? folded : quantizeWeights(folded, options.quantize, LARGEST[format]);
}

function traced(network: Module, given: GraphOptions["features"], format: ExportFormat): Graph {
  const features = given ?? (network.readsImages ? (networkSpecOf(network)?.shape ?? null) : featuresOf(network));
  if (features === null) {
    const what = network.readsImages ? "for images: [channels, height, width]" : "without Linear and BatchNorm1d";
    throw argumentError("features", `needed for a network ${what}`);
  }
  const shape = Array.isArray(features) ? features : [features];
  for (const length of shape) expectLength("features", length);
  try {
    return traceModule(network, shape, { training: false });
  } catch (error) {
    if (error instanceof UntraceableError) throw cannotExport(error.reason, format);
    if (given !== undefined || !(error instanceof DistilleryError) || error.code !== "SHAPE_MISMATCH") throw error;
    const guess = `${shape.join(" x ")} values a row, as its first layer takes, do not go through its forward: pass features`;
    throw new DistilleryError(
      error.code,
      `network: ${guess}, the number of values in a row of the input: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}

/** The inputs of the first layer that has a fixed number of them. */
function featuresOf(network: Module): number | null {
  for (const module of network.modules()) {
    if (module instanceof Linear) return module.inFeatures;
    if (module instanceof BatchNorm1d) return module.numFeatures;
  }
  return null;
}

/** The shape of a network's samples, as its training recorded it; undefined if that is not known. */
export function recordedFeatures(network: Module, preprocessing: Preprocessing | null): GraphOptions["features"] {
  if (preprocessing === null) return undefined;
  return network.readsImages ? sampleShape(preprocessing) : inputFeatures(preprocessing);
}

/** How many numbers a graph's input or output has for one sample; NaN if that is not known. */
export function sizeOfSample({ shape }: Value): number {
  return numel(shape.map((length) => lengthFor(length, 1)));
}

/** Refuses a preprocessing whose samples or outputs do not fit the network. */
export function expectFit(spec: Preprocessing, graph: Graph): void {
  const [inputs, outputs] = [graph.input, graph.output].map(sizeOfSample);
  const refuse = (text: string) => {
    throw new DistilleryError("SHAPE_MISMATCH", `preprocessing: ${text}`);
  };
  const values = inputFeatures(spec);
  if (values !== inputs) refuse(`gives ${values} values a sample, and the network takes ${inputs}`);
  const width = taskOf(spec).width(spec.classes);
  if (width >= 0 && width !== outputs) refuse(`is of ${width} outputs, and the network has ${outputs}`);
}

/** The error of a network that can't be exported. */
export function cannotExport(reason: string, format: ExportFormat): DistilleryError {
  return argumentError("network", `expected one that ${format} can express; in forward(), ${reason}`);
}
