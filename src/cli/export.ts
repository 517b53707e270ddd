import { extname, join, parse, resolve } from "node:path";
import { Command, Option } from "commander";
import { ImageDataset } from "../data/index.js";
import type { OnnxOptions, OnnxSummary, OnnxValue } from "../export/index.js";
import type { StudentNet } from "../models/student_net.js";
import type { TeacherNet } from "../models/teacher_net.js";
import { evaluate } from "../train/index.js";
import { UsageError } from "./errors.js";
import { addLoading, type CommonFlags, type LoadFlags } from "./flags.js";
import { percent } from "./printer.js";
import { expectFits, readNetwork, type Source, setUp } from "./setup.js";

type ExportFlags = Partial<Omit<CommonFlags, "seed">> &
  LoadFlags & {
    file: string;
    onnx?: string | true;
    quantize?: "int8";
    embedNormalisation?: boolean;
  };

/** `distillery export FILE`. */
export function exportCommand(run: (flags: ExportFlags) => Promise<void>): Command {
  const command = new Command("export")
    .description("write a network for other runtimes")
    .argument("<file>", "the network's weights, .pth or .safetensors")
    .option("--onnx [out]", "write ONNX (default: beside the file, with .onnx)")
    .addOption(new Option("--quantize <type>", "store the weights in 8 bits").choices(["int8"]))
    .option("--data <name>", "the images it was trained on: keeps their normalisation, and tells the test accuracy")
    .option("--embed-normalisation", "normalise in the graph: its input is then the pixels, in bytes")
    .option("--threads <number>", "for the arithmetic (default: the cores)")
    .option("--json", "print a JSON object")
    .option("--debug", "print the stack trace of a failure")
    .action((file: string, flags: Omit<ExportFlags, "file">) => run({ ...flags, file }));
  return addLoading(command);
}

/** Writes the file, says what is in it, and with data what it costs in accuracy. */
export async function runExport(flags: ExportFlags): Promise<void> {
  const out = outFile(flags);
  const { source } = await setUp({ data: "synthetic", seed: "0", ...flags });
  const images = flags.data === undefined ? null : imagesOf(source, flags.data);
  if (flags.embedNormalisation && images === null) {
    throw new UsageError("--embed-normalisation: needs --data, whose normalisation it is");
  }
  const network = await readNetwork(flags.file, flags);
  if (images !== null) expectFits(flags.file, network, source, images.name);
  // Only here: the other commands start without it.
  const { saveOnnx } = await import("../export/index.js");
  const options: OnnxOptions = {
    ...(flags.quantize && { quantize: flags.quantize }),
    ...(images && { normalisation: images }),
    embedNormalisation: flags.embedNormalisation ?? false,
  };
  const summary = await saveOnnx(network, out, options);
  const accuracy = images && (await compare(network, out, summary, options, images));
  if (flags.json) {
    const { quantize = null } = flags;
    console.log(JSON.stringify({ file: flags.file, onnx: out, ...summary, quantize, data: flags.data, accuracy }));
    return;
  }
  const [input, output] = [summary.input, summary.output].map(described);
  const weights = flags.quantize ? ", weights in 8 bits" : "";
  console.log(
    `${out}: ${(summary.bytes / 1e6).toFixed(2)} MB, opset ${summary.opset}, ${input} to ${output}${weights}`,
  );
  if (accuracy === null) return;
  const { original, exported, lost, by } = accuracy;
  const change = `${lost < 0 ? "gained" : "lost"} ${Math.abs(100 * lost).toFixed(2)} points`;
  console.log(`Test accuracy: ${flags.file} ${percent(original)}, ${out} ${percent(exported)}, ${change}; by ${by}`);
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

function imagesOf({ test }: Source, data: string): ImageDataset {
  if (test instanceof ImageDataset) return test;
  throw new UsageError(`--data: expected images, got ${data}`);
}

/** The accuracy of the network and of the file, by ONNX Runtime where it is installed. */
async function compare(
  network: TeacherNet | StudentNet,
  file: string,
  summary: OnnxSummary,
  options: OnnxOptions,
  images: ImageDataset,
): Promise<{ original: number; exported: number; lost: number; by: string }> {
  const { accuracyByOnnxRuntime, exportedGraph, GraphNetwork } = await import("../export/index.js");
  const original = evaluate(network, images).accuracy;
  const byRuntime = await accuracyByOnnxRuntime(file, summary, images);
  const exported = byRuntime?.accuracy ?? evaluate(new GraphNetwork(exportedGraph(network, options)), images).accuracy;
  const by = byRuntime
    ? `ONNX Runtime ${byRuntime.version}`
    : "Distillery's kernels, as onnxruntime-node is not installed";
  return { original, exported, lost: original - exported, by };
}

function described({ name, dtype, shape }: OnnxValue): string {
  return `${name} ${dtype} [${shape.join(", ")}]`;
}
