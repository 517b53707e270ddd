import { constants } from "node:buffer";
import { extname } from "node:path";
import { argumentError, badArgument, expectOneOf, expectOptions, expectPath } from "../../checks.js";
import { expectPreprocessing, type Preprocessing } from "../../data/preprocessing/spec.js";
import { writeWhole } from "../../files/index.js";
import { WEIGHT_TYPES } from "../../graph/index.js";
import { recordOf } from "../../models/training_record.js";
import type { Module } from "../../nn/module.js";
import { expectFit, exportedGraph, type GraphOptions, recordedFeatures, sizeOfSample } from "../exported_graph.js";
import { inputJs } from "./inputs.js";
import { ModuleCode } from "./module_code.js";
import { outputJs } from "./outputs.js";

/** The options of {@link exportJs}. */
export interface JsOptions extends GraphOptions {
  /**
   * How samples become the network's inputs, and the names of the classes. Default: what the network was trained with,
   * if that is known; null: its inputs are what the module takes.
   */
  preprocessing?: Preprocessing | null;
}

/** A network as JavaScript. */
export interface JsModule {
  /** The ES module, and its declarations for TypeScript. */
  readonly code: string;
  readonly types: string;
  /** The function that takes a sample, and what a sample is. */
  readonly name: "classify" | "predict" | "embed";
  readonly input: string;
  /** How samples become inputs, if that is known, and how many values a sample becomes. */
  readonly preprocessing: Preprocessing | null;
  readonly features: number;
}

/** What was written. */
export interface JsSummary extends Pick<JsModule, "name" | "input"> {
  readonly bytes: number;
  /** The file of the declarations, beside the module. */
  readonly types: string;
}

const EXTENSIONS: Readonly<Record<string, string>> = { ".mjs": ".d.mts", ".js": ".d.ts" };

/**
 * Exports a network in eval mode as one ES module for any JavaScript runtime: Node.js 18 and later, browsers, Deno,
 * Bun, edge workers. The module contains the weights, has no dependencies, reads no file and evaluates no text. It
 * makes the network's inputs from raw samples as `encodeSamples` does, and returns what `predict` returns, one sample a
 * call: `classify(input)` for classes, `predict(input)` for a regression, `embed(input)` for vectors. BatchNorm is
 * folded, dropout is left out. An operation over the rows of a batch, such as `x.mean(0)`, sees a single sample. The
 * text depends only on the network and the options.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a wrong option, or a network whose forward has an operation without a form
 * in JavaScript, which the message names, or whose operations depend on the batch; `SHAPE_MISMATCH` for a preprocessing
 * of another network; `NON_FINITE` for weights with NaN or infinity.
 * @example
 * ```ts
 * const { code, types } = exportJs(student, { quantize: "int8" });
 * ```
 */
export function exportJs(network: Module, options: JsOptions = {}): JsModule {
  return withinText(() => moduleOf(network, options));
}

/** Runs `body`, which makes a text out of a network's weights; `BAD_ARGUMENT` if that is longer than a text can be. */
export function withinText<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_STRING_TOO_LONG" && message !== "Invalid string length") throw error;
    const text = `its weights are longer as text than the ${constants.MAX_STRING_LENGTH} characters of one in Node.js`;
    throw argumentError("network", `${text}: quantize them (quantize: "int8"), or export ONNX`, { cause: error });
  }
}

function moduleOf(network: Module, options: JsOptions): JsModule {
  expectOptions("options", options, ["preprocessing", "quantize", "features"]);
  const { quantize } = options;
  if (quantize !== undefined) expectOneOf("quantize", quantize, WEIGHT_TYPES);
  if (options.preprocessing != null) expectPreprocessing(options.preprocessing);
  const preprocessing =
    options.preprocessing === undefined ? (recordOf(network)?.preprocessing ?? null) : options.preprocessing;
  const features = options.features ?? recordedFeatures(network, preprocessing);
  const graph = exportedGraph(network, { quantize, features }, "JavaScript");
  if (preprocessing !== null) expectFit(preprocessing, graph);
  const size = sizeOfSample(graph.input);
  const input = inputJs(preprocessing, size);
  const output = outputJs(preprocessing, sizeOfSample(graph.output));
  const module = new ModuleCode(graph, [output.code, input.code, INPUT_ERROR].join("\n"));
  const parts = [
    `// A network that Distillery exported. ${output.name}(input) takes ${input.text}.`,
    output.code,
    input.code,
    module.forward,
    INPUT_ERROR,
    module.functions,
    module.numbers,
  ];
  const types = [INPUT_TYPES, input.types, output.types.replaceAll("INPUT", input.type)];
  return {
    code: `${parts.filter((part) => part !== "").join("\n\n")}\n`,
    types: `${types.filter((part) => part !== undefined).join("\n\n")}\n`,
    name: output.name,
    input: input.text,
    preprocessing,
    features: size,
  };
}

const INPUT_ERROR = `/** What is thrown for an input that the network can't take. */
function inputError(code, message) {
  return Object.assign(new TypeError(message), { code });
}`;

const INPUT_TYPES = `/** What is thrown for an input that the network can't take. */
export interface InputError extends TypeError {
  code: "SHAPE_MISMATCH" | "BAD_DTYPE" | "BAD_ARGUMENT" | "NON_FINITE";
}`;

/**
 * Writes what {@link exportJs} gives into a file, and its declarations beside it, as `student.d.mts` for `student.mjs`.
 *
 * @throws DistilleryError as {@link exportJs}; `BAD_ARGUMENT` for another extension than .mjs or .js, `IO_ERROR` if a
 * file can't be written, the module first, each whole or not at all.
 * @example
 * ```ts
 * const { bytes } = await saveJs(student, "student.mjs", { quantize: "int8" });
 * ```
 */
export async function saveJs(network: Module, file: string, options: JsOptions = {}): Promise<JsSummary> {
  const expected = "a name that ends in .mjs or .js";
  // Node.js knows modules by their ending, in small letters.
  const ending = EXTENSIONS[extname(expectPath("file", file, expected))];
  if (ending === undefined) throw badArgument("file", expected, file);
  const { code, types, name, input } = exportJs(network, options);
  const declarations = `${file.slice(0, -extname(file).length)}${ending}`;
  const bytes = Buffer.from(code);
  await writeWhole(file, bytes);
  await writeWhole(declarations, Buffer.from(types));
  return { bytes: bytes.length, types: declarations, name, input };
}
