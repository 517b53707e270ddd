import { badArgument, expectFlags, expectInteger, expectNumber, expectOneOf, optionsOf } from "../checks.js";
import { expectPreprocessing, type Preprocessing } from "../data/preprocessing/spec.js";
import { WEIGHT_TYPES, type WeightType } from "../graph/index.js";

/** How an ONNX file is written. */
export interface OnnxOptions {
  /** The name of the graph's input. Default `input`. */
  input?: string;
  /** The name of the graph's output. Default `logits`. */
  output?: string;
  /**
   * How the network's inputs were made of pixels: (pixel / 255 - mean) / std, one number for all or one for each
   * channel, channel after channel. Kept in the file's metadata.
   */
  normalisation?: { readonly mean: number | readonly number[]; readonly std: number | readonly number[] };
  /**
   * Whether the graph computes what made the inputs: it then takes pixels, uint8 from 0 to 255, or the numbers of a
   * table or matrix as they are (texts as 0 or 1 for each category). Default: true for tables and matrices, false for
   * images.
   */
  embedNormalisation?: boolean;
  /**
   * How the inputs were made, and the names of the classes: kept in the file's metadata, with the names of the inputs.
   * Default: what the network was trained with, if that is known; null: none.
   */
  preprocessing?: Preprocessing | null;
  /**
   * `int8`: the weights of matrix products in 8 bits, a scale for each output; `float16`: in half precision; all else
   * in single precision. The file is a quarter or half of the size. ONNX Runtime makes floats of them at each call,
   * unless its session option `session.disable_quant_qdq` is 1: then once, when it loads the file.
   */
  quantize?: WeightType;
  /** The version of ONNX's operators, from 13 to 24. Default 17, which ONNX Runtime reads since 1.12. */
  opset?: number;
  /**
   * The number of values in a row of the input, or [channels, height, width] for a network that reads images. Default:
   * that of `preprocessing`, the shape that {@link createNetwork} made the network for, or what the first Linear or
   * BatchNorm1d takes.
   */
  features?: number | readonly number[];
}

const DEFAULTS = { input: "input", output: "logits", opset: 17 } as const;

const MORE = ["embedNormalisation", "normalisation", "preprocessing", "quantize", "features"] as const;

/** The options with their defaults; `BAD_ARGUMENT` names the one that is wrong. */
export function checkOnnxOptions(
  options: OnnxOptions,
): OnnxOptions & Required<Pick<OnnxOptions, keyof typeof DEFAULTS>> {
  const checked = optionsOf("options", DEFAULTS, options, MORE);
  const { input, output, opset, normalisation, preprocessing, embedNormalisation, quantize } = checked;
  for (const [name, value] of Object.entries({ input, output })) {
    if (typeof value !== "string" || value === "") throw badArgument(name, "a name", value);
  }
  if (input === output) throw badArgument("output", "another name than the input's", output);
  expectInteger("opset", opset, 13, 24);
  if (quantize !== undefined) expectOneOf("quantize", quantize, WEIGHT_TYPES);
  if (embedNormalisation !== undefined) expectFlags({ embedNormalisation });
  if (preprocessing != null) expectPreprocessing(preprocessing);
  if (normalisation !== undefined) {
    if (typeof normalisation !== "object" || normalisation === null) {
      throw badArgument("normalisation", "{ mean, std }", normalisation);
    }
    expectNumbers("normalisation.mean", normalisation.mean, () => true, "a finite number");
    expectNumbers("normalisation.std", normalisation.std, (x) => Math.fround(x) > 0, "a number above 0");
    const [mean, std] = [normalisation.mean, normalisation.std].map((value) => [value].flat().length);
    if (mean !== std && mean > 1 && std > 1) {
      throw badArgument("normalisation.std", `${mean} numbers, as many as the mean's`, normalisation.std);
    }
  }
  return checked;
}

function expectNumbers(name: string, value: unknown, ok: (x: number) => boolean, expected: string): void {
  if (!Array.isArray(value)) return void expectNumber(name, value, ok, expected);
  if (value.length === 0) throw badArgument(name, "a number for each channel", value);
  for (const [channel, x] of value.entries()) expectNumber(`${name}[${channel}]`, x, ok, expected);
}
