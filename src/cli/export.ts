import { extname, join, parse, resolve } from "node:path";
import { Command, Option } from "commander";
import { dataSchema } from "../config/index.js";
import type { Dataset } from "../data/index.js";
import type { OnnxOptions, OnnxSummary, OnnxValue } from "../export/index.js";
import { recordOf } from "../models/training_record.js";
import type { Module } from "../nn/module.js";
import { figuresOf, mainFigure, showChange, showFigure, unitOf } from "../tasks/figures.js";
import { evaluate } from "../train/index.js";
import { UsageError } from "./error_boundary.js";
import { evaluationData } from "./evaluation_data.js";
import { addLoading, addNetwork, addOptions, addShowing, givenFlags, type LoadFlags, type ShowFlags } from "./flags.js";
import { optionsOf } from "./settings.js";
import { expectFits, type NetworkOptions, Networks, setUp } from "./setup.js";
import { print, printError } from "./terminal.js";

type ExportFlags = ShowFlags &
  LoadFlags &
  Pick<NetworkOptions, "network"> & {
    file: string;
    data?: string;
    onnx?: string | true;
    quantize?: "int8";
    embedNormalisation?: boolean;
  };

const DATA =
  "reports the test accuracy; for a network that does not know it, the images it was trained on, whose normalisation is kept";

/** `distillery export FILE`. */
export function exportCommand(run: (flags: ExportFlags) => Promise<void>): Command {
  const command = new Command("export")
    .description("write a network for other runtimes")
    .argument("<file>", "the network's weights, .pth or .safetensors")
    .option("--onnx [out]", "write ONNX (default: beside the file, with .onnx)")
    .addOption(new Option("--quantize <type>", "store the weights in 8 bits").choices(["int8"]))
    .option(
      "--embed-normalisation",
      "compute in the graph what made the inputs: of images, it then takes pixels in bytes",
    )
    .option(
      "--no-embed-normalisation",
      "take inputs as the network does (default for images; tables: numbers as they are)",
    );
  return addNetwork(
    addLoading(addShowing(addOptions(command, dataSchema, { data: DATA }), "print a JSON object")),
  ).action((file: string) => run({ ...givenFlags(command), file }));
}

/** Writes the file, says what is in it, and with data what it costs in accuracy. */
export async function runExport(flags: ExportFlags): Promise<void> {
  const out = outFile(flags);
  const networks = await Networks.open(flags);
  const network = await networks.read(flags.file, "network", flags);
  const record = recordOf(network);
  const test = await testOf(flags, network);
  const image = test?.image;
  if (flags.embedNormalisation && record === null && image === undefined) {
    throw new UsageError("--embed-normalisation: needs --data with images, whose normalisation it is");
  }
  // Loaded late: the other commands start without it.
  const { saveOnnx } = await import("../export/index.js");
  const options: OnnxOptions = {
    ...(flags.quantize && { quantize: flags.quantize }),
    ...(image && record === null && { normalisation: image }),
    ...(flags.embedNormalisation !== undefined && { embedNormalisation: flags.embedNormalisation }),
  };
  const summary = await saveOnnx(network, out, options);
  const accuracy = test && (await compare(network, out, summary, options, test));
  if (flags.json) {
    const { quantize = null } = flags;
    print(JSON.stringify({ file: flags.file, onnx: out, ...summary, quantize, data: flags.data, accuracy }));
    return;
  }
  const [input, output] = [summary.input, summary.output].map(described);
  const weights = flags.quantize ? ", weights in 8 bits" : "";
  print(`${out}: ${(summary.bytes / 1e6).toFixed(2)} MB, opset ${summary.opset}, ${input} to ${output}${weights}`);
  const { inputNames, classNames } = summary;
  if (inputNames !== null)
    print(`Inputs: ${shortList(inputNames)}${summary.embedded ? ", as in the table" : ", standardised"}`);
  const task = record?.preprocessing.task ?? "classification";
  if (classNames !== null) print(`${task === "classification" ? "Classes" : "Outputs"}: ${shortList(classNames)}`);
  if (accuracy === null) return;
  const { original, exported, lost, by } = accuracy;
  const [figure] = figuresOf(test ?? undefined);
  const change = `${lost < 0 ? "gained" : "lost"} ${showChange(figure, Math.abs(lost))}${unitOf(figure)}`;
  const [own, there] = [original, exported].map((value) => showFigure(figure, value));
  print(`Test ${figure.label}: ${flags.file} ${own}, ${out} ${there}, ${change}; by ${by}`);
}

function outFile({ file, onnx }: ExportFlags): string {
  if (onnx === undefined)
    throw new UsageError(
      "export: needs the format to write: --onnx (writes NAME.onnx beside the file) or --onnx OUT.onnx",
    );
  const { dir, name } = parse(file);
  const out = onnx === true ? join(dir, `${name}.onnx`) : onnx;
  if (extname(out).toLowerCase() !== ".onnx") {
    throw new UsageError(`--onnx: expected a name that ends in .onnx, got ${JSON.stringify(out)}`);
  }
  if (resolve(out) === resolve(file)) throw new UsageError(`--onnx: ${out} is the file to read: give another name`);
  return out;
}

/** The samples that the file is tried on; null without `--data`. */
async function testOf(flags: ExportFlags, network: Module): Promise<Dataset | null> {
  if (flags.data === undefined) {
    await setUp(optionsOf(dataSchema, { ...flags }));
    return null;
  }
  const { source, data, notes } = await evaluationData(flags.file, network, optionsOf(dataSchema, { ...flags }), {
    ...flags,
  });
  if (source.isSynthetic) throw new UsageError(`--data: expected data with a test part, got ${flags.data}`);
  if (recordOf(network) === null) expectFits(flags.file, network, source);
  for (const note of notes) printError(note);
  return data;
}

/** Names in a line, the first few. */
function shortList(names: readonly string[]): string {
  const most = 12;
  return names.length <= most ? names.join(", ") : `${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}

/** The accuracy of the network and of the file, by ONNX Runtime if it is installed. */
async function compare(
  network: Module,
  file: string,
  summary: OnnxSummary,
  options: OnnxOptions,
  test: Dataset,
): Promise<{ original: number; exported: number; lost: number; by: string }> {
  const { accuracyByOnnxRuntime, exportedGraph } = await import("../export/index.js");
  const { GraphModule } = await import("../graph/index.js");
  const original = mainFigure(test, evaluate(network, test));
  const byRuntime = await accuracyByOnnxRuntime(file, summary, test);
  const exported =
    byRuntime?.accuracy ?? mainFigure(test, evaluate(new GraphModule(exportedGraph(network, options)), test));
  const by = byRuntime
    ? `ONNX Runtime ${byRuntime.version}`
    : "Distillery's kernels, as onnxruntime-node is not installed";
  return { original, exported, lost: original - exported, by };
}

function described({ name, dtype, shape }: OnnxValue): string {
  return `${name} ${dtype} [${shape.join(", ")}]`;
}
