import { extname, join, parse, resolve } from "node:path";
import { Command, Option } from "commander";
import { dataSchema } from "../config/index.js";
import type { Dataset } from "../data/index.js";
import type { OnnxOptions, OnnxSummary, OnnxValue } from "../export/index.js";
import type { Module } from "../nn/module.js";
import { evaluate } from "../train/index.js";
import { UsageError } from "./error_boundary.js";
import { addLoading, addNetwork, addOptions, addShowing, givenFlags, type LoadFlags, type ShowFlags } from "./flags.js";
import { percent } from "./printer.js";
import { dataOptionsOf } from "./settings.js";
import { type NetworkOptions, Networks, type Source, setUp } from "./setup.js";
import { print } from "./terminal.js";

type ExportFlags = ShowFlags &
  LoadFlags &
  Pick<NetworkOptions, "network"> & {
    file: string;
    data?: string;
    onnx?: string | true;
    quantize?: "int8";
    embedNormalisation?: boolean;
  };

const DATA = "the images it was trained on: keeps their normalisation and reports the test accuracy";

/** `distillery export FILE`. */
export function exportCommand(run: (flags: ExportFlags) => Promise<void>): Command {
  const command = new Command("export")
    .description("write a network for other runtimes")
    .argument("<file>", "the network's weights, .pth or .safetensors")
    .option("--onnx [out]", "write ONNX (default: beside the file, with .onnx)")
    .addOption(new Option("--quantize <type>", "store the weights in 8 bits").choices(["int8"]))
    .option("--embed-normalisation", "normalise in the graph: its input is then the pixels, in bytes");
  return addNetwork(
    addLoading(addShowing(addOptions(command, dataSchema, { data: DATA }), "print a JSON object")),
  ).action((file: string) => run({ ...givenFlags(command), file }));
}

/** Writes the file, says what is in it, and with data what it costs in accuracy. */
export async function runExport(flags: ExportFlags): Promise<void> {
  const out = outFile(flags);
  const networks = await Networks.open(flags);
  const { source } = await setUp(dataOptionsOf({ ...flags }));
  const test = flags.data === undefined ? null : testOf(source, flags.data);
  const image = test?.image;
  if (flags.embedNormalisation && image === undefined) {
    throw new UsageError("--embed-normalisation: needs --data with images, whose normalisation it is");
  }
  const network = await networks.read(flags.file, "network", flags, test === null ? undefined : source);
  // Loaded late: the other commands start without it.
  const { saveOnnx } = await import("../export/index.js");
  const options: OnnxOptions = {
    ...(flags.quantize && { quantize: flags.quantize }),
    ...(image && { normalisation: image }),
    embedNormalisation: flags.embedNormalisation ?? false,
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
  if (accuracy === null) return;
  const { original, exported, lost, by } = accuracy;
  const change = `${lost < 0 ? "gained" : "lost"} ${Math.abs(100 * lost).toFixed(2)} points`;
  print(`Test accuracy: ${flags.file} ${percent(original)}, ${out} ${percent(exported)}, ${change}; by ${by}`);
}

function outFile({ file, onnx }: ExportFlags): string {
  if (onnx === undefined) throw new UsageError("--onnx: expected the format to write");
  const { dir, name } = parse(file);
  const out = onnx === true ? join(dir, `${name}.onnx`) : onnx;
  if (extname(out).toLowerCase() !== ".onnx") {
    throw new UsageError(`--onnx: expected a name that ends in .onnx, got ${JSON.stringify(out)}`);
  }
  if (resolve(out) === resolve(file)) throw new UsageError(`--onnx: ${out} is the file to read: give another name`);
  return out;
}

function testOf({ test }: Source, data: string): Dataset {
  if (test !== null) return test;
  throw new UsageError(`--data: expected data with a test part, got ${data}`);
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
  const original = evaluate(network, test).accuracy;
  const byRuntime = await accuracyByOnnxRuntime(file, summary, test);
  const exported = byRuntime?.accuracy ?? evaluate(new GraphModule(exportedGraph(network, options)), test).accuracy;
  const by = byRuntime
    ? `ONNX Runtime ${byRuntime.version}`
    : "Distillery's kernels, as onnxruntime-node is not installed";
  return { original, exported, lost: original - exported, by };
}

function described({ name, dtype, shape }: OnnxValue): string {
  return `${name} ${dtype} [${shape.join(", ")}]`;
}
