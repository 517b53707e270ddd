import { Command } from "commander";
import { inspectCheckpoint } from "../checkpoint/index.js";
import { dataSchema } from "../config/index.js";
import type { Dataset } from "../data/index.js";
import { printableInline } from "../log/index.js";
import { overlapOf } from "../models/overlap.js";
import { recordOf } from "../models/training_record.js";
import { type Evaluation, evaluate, measureLatency } from "../train/index.js";
import { evaluationData } from "./evaluation_data.js";
import {
  addLoading,
  addNetwork,
  addOptions,
  addShowing,
  givenFlags,
  type LoadFlags,
  partOptions,
  type ShowFlags,
} from "./flags.js";
import { percent } from "./printer.js";
import { expectFits, expectWeights, type NetworkOptions, Networks } from "./setup.js";
import { formatTable } from "./table.js";
import { print, printError } from "./terminal.js";

interface EvaluateFlags extends ShowFlags, LoadFlags, Pick<NetworkOptions, "network" | "teacherNetwork"> {
  file: string;
  teacher?: string;
}

/** `distillery evaluate FILE`. */
export function evaluateCommand(run: (flags: EvaluateFlags) => Promise<void>): Command {
  const command = new Command("evaluate").description(
    "accuracy, agreement with the teacher, figures by class, latency, size",
  );
  command.argument("<file>", "the network's weights, .pth or .safetensors");
  command.option("--teacher <file>", "teacher weights to compare with");
  addNetwork(addNetwork(command), "--teacher-network");
  return addLoading(addShowing(addOptions(command, dataSchema), "print a JSON object")).action((file: string) =>
    run({ ...givenFlags(command), file }),
  );
}

/** Evaluates a network on the test data, or on the reference script's data. */
export async function runEvaluate(flags: EvaluateFlags): Promise<void> {
  if (flags.teacher !== undefined) await expectWeights(flags.teacher, "evaluate takes");
  const networks = await Networks.open(flags);
  const model = await networks.read(flags.file, "network", flags);
  const { source, data, notes } = await evaluationData(flags.file, model, { ...flags });
  if (recordOf(model) === null || source.isSynthetic) expectFits(flags.file, model, source);
  const teacher = flags.teacher && (await networks.read(flags.teacher, "teacherNetwork", flags, source));
  for (const network of teacher ? [model, teacher] : [model]) {
    const overlap = overlapOf(network, data, "the network");
    if (overlap !== null) notes.push(overlap.text);
  }
  for (const note of notes) printError(note);
  const evaluation = evaluate(model, data, teacher ? { teacher } : {});
  const { bytes, parameters } = await inspectCheckpoint(flags.file, partOptions({ ...flags, quiet: true }));
  const latencyMs = measureLatency(model, data);
  if (flags.json) {
    print(JSON.stringify({ file: flags.file, data: data.name, parameters, bytes, latencyMs, ...evaluation }));
    return;
  }
  const size = `${parameters.toLocaleString("en-US")} parameters, ${(bytes / 1e6).toFixed(2)} MB`;
  print(`${printableInline(flags.file)}: ${model.constructor.name}, ${size}`);
  print(`${printableInline(data.name)}: ${evaluation.samples.toLocaleString("en-US")} samples\n`);
  print(`${summary(evaluation, latencyMs)}\n\n${classTable(evaluation, data)}`);
}

function summary(
  { accuracy, correct, samples, loss, calibration, teacherAccuracy, agreement }: Evaluation,
  latencyMs: number,
): string {
  const rows = [["accuracy", percent(accuracy), `${correct} of ${samples}`]];
  rows.push(["loss", loss.toFixed(4), "mean cross-entropy"]);
  rows.push(["calibration error", percent(calibration.error), "expected, over 15 bins"]);
  if (teacherAccuracy !== undefined) rows.push(["teacher's accuracy", percent(teacherAccuracy), ""]);
  if (agreement !== undefined) rows.push(["agreement with the teacher", percent(agreement), ""]);
  rows.push(["latency at batch 1", `${latencyMs.toFixed(3)} ms`, "median"]);
  return formatTable(rows);
}

function classTable({ perClass }: Evaluation, { classNames }: Dataset): string {
  const rows = perClass.map(({ precision, recall, f1, support }, i) => [
    classNames?.[i] ?? String(i),
    percent(precision),
    percent(recall),
    percent(f1),
    String(support),
  ]);
  return formatTable([["class", "precision", "recall", "F1", "support"], ...rows]);
}
