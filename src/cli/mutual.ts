import { Command } from "commander";
import { countTestEvaluation } from "../checkpoint/index.js";
import { SCHEMAS, trainingOptions } from "../config/index.js";
import { MODELS } from "../models/index.js";
import type { Module } from "../nn/module.js";
import { epochKey, mainMetric, metricsOf, testKey } from "../tasks/metrics.js";
import { Generator } from "../tensor/random.js";
import { TEST_SET } from "../train/evaluate_run.js";
import { evaluate, mutual } from "../train/index.js";
import { cohortOf, expectClasses, MUTUAL_LOSS, termOf } from "../train/mutual.js";
import { dryRun } from "./dry_run.js";
import { expectBatches } from "./expect_batches.js";
import { addOptions, addRunning, givenFlags, type TrainingFlags } from "./flags.js";
import { networkTable } from "./network_table.js";
import { expectReadable, Networks } from "./networks.js";
import { openingLines } from "./opening.js";
import { RunPrinter } from "./printer.js";
import { controlsOf } from "./run_controls.js";
import { testEvaluationsText, writeReportOf } from "./run_summary.js";
import { configured, type Settings } from "./settings.js";
import { setUp } from "./source.js";
import { stoppableRun } from "./stoppable_run.js";

const STUDENT = `network that is trained, ${MODELS.names.join(", ")} or a class of your own; once for each student (default: student, twice)`;
const LOSS = `what each student learns with from each other one (default: ${MUTUAL_LOSS})`;

/** `distillery mutual`. */
export function makeCommand(): Command {
  const command = new Command("mutual").description(
    "train students that teach each other, without a teacher (deep mutual learning)",
  );
  return addRunning(addOptions(command, SCHEMAS.mutual, { student: STUDENT, loss: LOSS })).action(() =>
    configured("mutual", runMutual)(givenFlags(command)),
  );
}

/**
 * Trains, prints a line per epoch, and reports where the students are and how accurate each of them and their ensemble
 * are.
 */
async function runMutual({ config, userOptions }: Settings<"mutual">, flags: TrainingFlags): Promise<void> {
  const { out } = config;
  const source = await setUp(config, undefined, flags);
  const students: Module[] = [];
  for (const student of config.student) {
    students.push((await Networks.open({ student })).make("student", source.context));
  }
  const input = {
    ...trainingOptions(config),
    loss: config.loss,
    data: source.train(),
    validation: source.validation ?? undefined,
  };
  expectClasses(input.data);
  for (const student of students) {
    expectReadable("student", student, input.data);
    expectBatches(student, input, input.data);
  }
  const model = cohortOf(students);
  if (flags.dryRun) {
    await termOf(config.loss, { ...input, students, generator: new Generator() });
    // Estimated with the labels alone: compared with the passes, what the students cost each other is small.
    const { loss: _, ...own } = input;
    return dryRun(
      { teacher: null, student: model },
      [{ name: "the training", input: { ...own, model }, times: 1 }],
      source,
      flags,
    );
  }
  const controls = await controlsOf({ config, userOptions }, flags);
  const opening = (width: number) =>
    openingLines(
      { source, training: input.data, validation: source.validation },
      Object.fromEntries(students.map((student, i) => [`student ${i + 1}`, student])),
      width,
    );
  const printer = new RunPrinter(flags, { lossName: "Loss", epochs: config.epochs, details: false, opening });
  try {
    const train = (signal: AbortSignal) => mutual({ ...input, ...controls, students, signal, ...printer.controls });
    await stoppableRun(printer, out, train, async ({ best, files, history, steps }, expectGoing) => {
      if (best !== null) model.loadStateDict(best.state);
      const [metric] = metricsOf(input.data);
      const names = students.map((_, i) => `student-${i + 1}`);
      const networks = [...students, model];
      const tell = (done: number) => printer.controls.onWork?.({ work: TEST_SET, done, total: networks.length });
      const onTest = (network: Module, done: number) => {
        if (source.test === null) return null;
        if (done === 1) tell(0);
        const value = mainMetric(source.test, evaluate(network, source.test));
        tell(done);
        return value;
      };
      const results = networks.map((network, i) => ({
        name: names[i] ?? "together",
        network: config.student[i] ?? "mean of the probabilities",
        parameters: network.parameterCount(),
        [epochKey(metric)]: source.validation && mainMetric(source.validation, evaluate(network, source.validation)),
        [testKey(metric)]: onTest(network, i + 1),
      }));
      const testEvaluations = source.test && (await countTestEvaluation(out, source.test.fingerprint()));
      const kept = files.filter((file) => file.endsWith(".safetensors")).slice(-students.length);
      if (config.report) await expectGoing("the report");
      const report = config.report
        ? await writeReportOf({ network: model, result: { history, steps, best }, source, out }, null)
        : null;
      const lines = ["", networkTable(metric, results), "", `Students saved to ${kept.join(", ")}`];
      if (best !== null) lines.push(`Best epoch, of all together: ${best.epoch} of ${history.length}`);
      if (testEvaluations !== null) lines.push(testEvaluationsText(testEvaluations, best !== null));
      if (report !== null) lines.push(`Report: ${report}`);
      printer.end({ students: results, files, ...(testEvaluations !== null && { testEvaluations }), report }, lines);
    });
  } finally {
    printer.close();
  }
}
