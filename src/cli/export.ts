import { extname, join, parse, resolve } from "node:path";
import { Command, Option } from "commander";
import { openNetwork } from "../checkpoint/index.js";
import { dataSchema } from "../config/index.js";
import { type Dataset, type Preprocessing, preprocessingOf } from "../data/index.js";
import { hasTargets } from "../data/task_name.js";
import type { ExportFormat, JsOptions, OnnxValue } from "../export/index.js";
import { WEIGHT_TYPES, type WeightType } from "../graph/index.js";
import { printableInline } from "../log/index.js";
import { recordOf, type TrainingRecord } from "../models/training_record.js";
import type { Module } from "../nn/module.js";
import { showBytes } from "../show.js";
import { mainMetric, metricsOf, showChange, showMetric, unitOf } from "../tasks/metrics.js";
import { setNumThreads } from "../threads.js";
import { evaluate } from "../train/index.js";
import { without } from "../without.js";
import { errorBoundary, UsageError } from "./error_boundary.js";
import { type EvaluationData, evaluationData } from "./evaluation_data.js";
import { flagOf } from "./flag_names.js";
import { PTH_IMAGE_SIZE } from "./flag_table.js";
import {
  addLoading,
  addNetwork,
  addOptions,
  addShowing,
  givenFlags,
  type LoadFlags,
  loadOptions,
  type ShowFlags,
} from "./flags.js";
import { expectFits, type NetworkOptions, Networks, sidesFor } from "./networks.js";
import { only, optionsOf } from "./settings.js";
import { print, printError } from "./terminal.js";

type ExportFlags = ShowFlags &
  LoadFlags &
  Pick<NetworkOptions, "network"> & {
    file: string;
    data?: string;
    onnx?: string | true;
    js?: string | true;
    html?: string | true;
    quantize?: WeightType;
    embedNormalisation?: boolean;
    imageSize?: number | readonly number[];
  };

const DATA =
  "reports the test accuracy; if the network's file does not say how its inputs are made, give the data that it was trained on, whose preprocessing the export takes";
/** No random numbers are drawn. */
const DATA_FLAGS = { entries: without(dataSchema.entries, ["seed"]) };
/** Options of `dataSchema` that say how the command runs. */
const RUNNING: readonly string[] = ["threads", "forceThreads"];
const IMAGE_SIZE = `${PTH_IMAGE_SIZE}; with --data, what the images of a folder are resized to`;

/** `distillery export FILE`. */
export function makeCommand(): Command {
  const command = new Command("export")
    .description("write a network for other runtimes")
    .argument("<file>", "the network's weights, .pth or .safetensors")
    .option("--onnx [out]", "write ONNX (default: beside the file, with .onnx)")
    .option("--js [out]", "write one JavaScript module (default: beside the file, with .mjs)")
    .option("--html [out]", "write a page to try the network (default: beside the file, with .html)")
    .addOption(new Option("--quantize <type>", "store the weights in 8 or 16 bits").choices(WEIGHT_TYPES))
    .option(
      "--embed-normalisation",
      "include the normalisation in the graph: a network of images then takes pixels in bytes",
    )
    .option(
      "--no-embed-normalisation",
      "take normalised inputs, as the network does (default for images; for tables the default is raw numbers)",
    );
  return addNetwork(
    addLoading(
      addShowing(addOptions(command, DATA_FLAGS, { data: DATA, imageSize: IMAGE_SIZE }), "print a JSON object"),
    ),
  ).action((file: string) => errorBoundary(runExport)({ ...givenFlags(command), file }));
}

/** Writes the files, describes their content and, with data, the cost in accuracy. */
async function runExport(flags: ExportFlags): Promise<void> {
  const outs = outFiles(flags);
  const { embedNormalisation } = flags;
  if (embedNormalisation !== undefined && flags.onnx === undefined) {
    const flag = flagOf("embedNormalisation", embedNormalisation);
    throw new UsageError(`${flag}: needs --onnx: JavaScript takes samples as they are`);
  }
  const networks = await Networks.open(flags);
  const opened = await openNetwork(flags.file, loadOptions(flags));
  const { record } = opened;
  const { source, data: test, notes } = await testOf(flags, record);
  const shape = source === null ? sidesFor(flags.file, record, flags.imageSize) : source.context.shape;
  const network = networks.of(opened, "network", shape);
  if (source !== null && record === null) expectFits(flags.file, network, source);
  for (const note of notes) printError(note);
  if (embedNormalisation && record === null && test === null) {
    throw new UsageError("--embed-normalisation: needs --data, whose normalisation it is");
  }
  // For a network that does not say how its inputs were made: the preprocessing of the data.
  const known = test !== null && record === null ? preprocessingOf(test) : undefined;
  const original = test && mainMetric(test, evaluate(network, test));
  for (const { format, out } of outs) {
    const written = await FORMATS[format](network, out, flags, known, test);
    const { lines, values, accuracy } = written;
    const lost = original !== null && accuracy !== null ? original - accuracy.exported : 0;
    if (flags.json) {
      const { file, quantize = null, data } = flags;
      const compared = accuracy && { original, exported: accuracy.exported, lost, by: accuracy.by };
      print(JSON.stringify({ file, [format]: out, ...values, quantize, data, accuracy: compared }));
      continue;
    }
    for (const line of lines) print(line);
    if (accuracy === null || original === null) continue;
    const [metric] = metricsOf(test ?? undefined);
    const change = `${lost < 0 ? "gained" : "lost"} ${showChange(metric, Math.abs(lost))}${unitOf(metric)}`;
    const [own, there] = [original, accuracy.exported].map((value) => showMetric(metric, value));
    print(`Test ${metric.label}: ${flags.file} ${own}, ${out} ${there}, ${change}; by ${accuracy.by}`);
  }
}

/** What an export wrote, for people and for programs, and its metric on the test samples. */
interface Written {
  lines: string[];
  values: object;
  accuracy: { exported: number; by: string } | null;
}

type Write = (
  network: Module,
  out: string,
  flags: ExportFlags,
  known: Preprocessing | undefined,
  test: Dataset | null,
) => Promise<Written>;

/** The formats by flag; each is loaded when it is written. */
const FORMATS = { onnx: writeOnnx, js: writeJs, html: writeHtml } satisfies Record<string, Write>;
type Format = keyof typeof FORMATS;
const ENDINGS: Readonly<Record<Format, string>> = { onnx: ".onnx", js: ".mjs", html: ".html" };

function outFiles(flags: ExportFlags): { format: Format; out: string }[] {
  const { dir, name } = parse(flags.file);
  const outs = (Object.keys(FORMATS) as Format[]).flatMap((format) => {
    const given = flags[format];
    if (given === undefined) return [];
    const out = given === true ? join(dir, `${name}${ENDINGS[format]}`) : given;
    // Node.js recognises modules by a lower-case extension.
    const isJs = format === "js";
    const endings = isJs ? [".mjs", ".js"] : [ENDINGS[format]];
    if (!endings.includes(isJs ? extname(out) : extname(out).toLowerCase())) {
      throw new UsageError(
        `--${format}: expected a name that ends in ${endings.join(" or ")}, got ${JSON.stringify(out)}`,
      );
    }
    if (resolve(out) === resolve(flags.file)) {
      throw new UsageError(`--${format}: ${out} is the file to read: give another name`);
    }
    return [{ format, out }];
  });
  if (outs.length > 0) return outs;
  throw new UsageError(
    "export: needs the format to write: --onnx, --js or --html (NAME.onnx, NAME.mjs, NAME.html beside the file), or --onnx OUT.onnx and the like",
  );
}

async function writeOnnx(
  network: Module,
  out: string,
  { quantize, embedNormalisation }: ExportFlags,
  known: Preprocessing | undefined,
  test: Dataset | null,
): Promise<Written> {
  // Loaded late, so that other commands start without it.
  const { accuracyByOnnxRuntime, saveOnnx } = await import("../export/index.js");
  const summary = await saveOnnx(network, out, { quantize, preprocessing: known, embedNormalisation });
  const [input, output] = [summary.input, summary.output].map(described);
  const size = `${showBytes(summary.bytes)}, opset ${summary.opset}, ${input} to ${output}`;
  const lines = [`${out}: ${size}${weightsText(quantize)}`];
  const { inputNames, classNames } = summary;
  const spec = known ?? recordOf(network)?.preprocessing;
  if (spec?.kind === "table" && spec.columns.some((column) => "text" in column)) {
    lines.push("Left to the caller: the ids of each text, by the encoding in the metadata (distillery.preprocessing)");
  }
  if (inputNames !== null) {
    lines.push(`Inputs: ${shortList(inputNames)}${summary.embedded ? ", as in the table" : ", standardised"}`);
    // ONNX Runtime takes numbers: turning a text into its category is left to the caller.
    if (spec?.kind === "table" && spec.columns.some((column) => "categories" in column)) {
      lines.push("Left to the caller: for each text 1 at its category (column=text), 0 at the column's others");
    }
  }
  const ofTargets = hasTargets(spec ?? {});
  if (classNames !== null) lines.push(`${ofTargets ? "Outputs" : "Classes"}: ${shortList(classNames)}`);
  const byRuntime = test && (await accuracyByOnnxRuntime(out, summary, test));
  const accuracy = byRuntime
    ? { exported: byRuntime.accuracy, by: `ONNX Runtime ${byRuntime.version}` }
    : test && (await byKernels(network, test, "ONNX", quantize, ", as onnxruntime-node is not installed"));
  return { lines, values: summary, accuracy };
}

async function writeJs(...args: Parameters<Write>): Promise<Written> {
  const { saveJs } = await import("../export/index.js");
  return writeJavaScript(args, saveJs, ({ name, input, types }, weights) => {
    return `${name}(input) takes ${input}${weights}; types in ${types}`;
  });
}

async function writeHtml(...args: Parameters<Write>): Promise<Written> {
  const { saveHtml } = await import("../export/index.js");
  return writeJavaScript(args, saveHtml, (_, weights) => `a page to try the network${weights}`);
}

/** Writes a file with the network as JavaScript, and describes its content. */
async function writeJavaScript<S extends { bytes: number }>(
  [network, out, { quantize }, known, test]: Parameters<Write>,
  save: (network: Module, out: string, options: JsOptions) => Promise<S>,
  content: (summary: S, weights: string) => string,
): Promise<Written> {
  const summary = await save(network, out, { quantize, preprocessing: known });
  return {
    lines: [`${out}: ${showBytes(summary.bytes)}, ${content(summary, weightsText(quantize))}`],
    values: summary,
    accuracy: test && (await byKernels(network, test, "JavaScript", quantize, ", with its weights")),
  };
}

/** The metric of the exported graph, computed by Distillery's own kernels. */
async function byKernels(
  network: Module,
  test: Dataset,
  format: ExportFormat,
  quantize: WeightType | undefined,
  why: string,
) {
  const { exportedGraph } = await import("../export/index.js");
  const { GraphModule } = await import("../graph/index.js");
  const features = network.readsImages ? undefined : test.features;
  const graph = exportedGraph(network, { quantize, features }, format);
  return { exported: mainMetric(test, evaluate(new GraphModule(graph), test)), by: `Distillery's kernels${why}` };
}

function weightsText(quantize: ExportFlags["quantize"]): string {
  if (quantize === undefined) return "";
  return quantize === "int8" ? ", weights in 8 bits" : ", weights in float16";
}

/** The samples to test the file with; null without `--data`. */
async function testOf(
  flags: ExportFlags,
  record: TrainingRecord | null,
): Promise<EvaluationData | { source: null; data: null; notes: [] }> {
  const options = optionsOf(dataSchema, { ...flags });
  if (flags.data === undefined) {
    const given = Object.entries(only(dataSchema.entries, { ...flags }));
    const [name, value] = given.find(([option]) => option !== "imageSize" && !RUNNING.includes(option)) ?? [];
    if (name !== undefined) {
      throw new UsageError(`${flagOf(name, value)}: is an option of --data: give it too, or leave this out`);
    }
    if (options.threads !== undefined) setNumThreads(options.threads);
    return { source: null, data: null, notes: [] };
  }
  const { source, data, notes } = await evaluationData(flags.file, record, options, { ...flags });
  if (source.isSynthetic) throw new UsageError(`--data: expected data with a test part, got ${flags.data}`);
  return { source, data, notes };
}

/** The first few names, in a line. */
function shortList(names: readonly string[]): string {
  const most = 12;
  const shown = names.slice(0, most).map(printableInline).join(", ");
  return names.length <= most ? shown : `${shown} and ${names.length - most} more`;
}

function described({ name, dtype, shape }: OnnxValue): string {
  return `${name} ${dtype} [${shape.join(", ")}]`;
}
