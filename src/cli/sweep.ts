import { join } from "node:path";
import { Command } from "commander";
import type { SweepResult } from "../compare/index.js";
import { runMetadata, SCHEMAS, trainingOptions } from "../config/index.js";
import { epochKey, metricsOf, showChange, showMetric, testKey } from "../tasks/metrics.js";
import { interruptible } from "./error_boundary.js";
import { dryRunExperiment, experimentControls, networksOf, openExperiment } from "./experiment.js";
import { REAL_DATA } from "./flag_table.js";
import { addLoading, addOptions, givenFlags, type LoadFlags, type TrainingFlags } from "./flags.js";
import { withTeacherNetwork } from "./networks.js";
import { ExperimentPrinter } from "./printer.js";
import { commandLine } from "./run_summary.js";
import type { Settings } from "./settings.js";
import { addExperiment, type ShareFlags, shareLine, shareOf } from "./share.js";
import { formatTable } from "./table.js";

type SweepFlags = TrainingFlags & LoadFlags & ShareFlags;

/** `distillery sweep`. */
export function sweepCommand(run: (flags: SweepFlags) => Promise<void>): Command {
  const command = new Command("sweep").description(
    "the best temperature and alpha: a student of each pair, chosen by the validation set",
  );
  addLoading(addExperiment(addOptions(command, SCHEMAS.sweep, REAL_DATA)));
  return command.action(() => run(givenFlags(command)));
}

/** Tries every temperature with every alpha, prints a line a run, and at the end the grid and the best. */
export async function runSweep(settings: Settings<"sweep">, flags: SweepFlags): Promise<void> {
  const { config, userOptions } = settings;
  const share = shareOf(flags);
  const experiment = { ...settings, flags };
  const opened = await openExperiment(experiment);
  const { task, test } = opened;
  const { seed, seeds, out, loss } = config;
  // Only the lists that were given: the loss may lack the other argument.
  const given = { temperatures: userOptions.temperatures, alphas: userOptions.alphas };
  const grid = Object.fromEntries(Object.entries(given).filter(([, list]) => list !== undefined));
  const input = {
    ...{ ...task, test, out, ...grid },
    seeds: Array.from({ length: seeds }, (_, i) => seed + i),
    ...trainingOptions(config),
    ...(loss !== undefined && { loss }),
    ...(config.calibrateTeacher !== undefined && { calibrateTeacher: config.calibrateTeacher }),
    ...experimentControls(experiment, opened),
  };
  // Loaded late: the other commands start without it.
  const { sweep, sweepCaveats, sweepShare, sweepSummary } = await import("../compare/index.js");
  if (flags.dryRun) {
    const { sweepTrials } = await import("../compare/sweep.js");
    // What is swept changes no times.
    const trials = (await sweepTrials(input)).map((trial) => ({ ...trial, loss: loss ?? null }));
    return dryRunExperiment(opened, trainingOptions(config), trials, share, flags);
  }
  const metadata = await runMetadata(withTeacherNetwork(config, task.teacher), userOptions);
  const printer = new ExperimentPrinter(flags, opened.opening);
  try {
    const inputOf = (signal: AbortSignal) => ({ ...input, signal, metadata, ...printer.controls });
    if (share !== null) {
      const done = await interruptible(printer.note, (signal) => sweepShare(inputOf(signal), share));
      return printer.end({ ...done, out }, [shareLine(done, out)]);
    }
    const result = await interruptible(printer.note, (signal) => sweep(inputOf(signal)));
    const answer = sweepSummary(result);
    const files = [join(out, "sweep.json")];
    if (config.report) {
      const { sweepReport, writeReport } = await import("../report/index.js");
      const networks = await networksOf(task, result.teacher.file, result.best.file);
      files.push(join(out, "report.html"));
      await writeReport(files[1], sweepReport(result, { networks, test, command: commandLine() }));
    }
    const points = result.points.map(({ history: _, ...point }) => point);
    const { history: _, evaluation, ...best } = result.best;
    const [metric] = metricsOf(result.data);
    const object = { answer, best: { ...best, [testKey(metric)]: metric.of(evaluation) }, points, files };
    printer.end(object, ["", table(result), "", answer, ...sweepCaveats(result), `Written to ${files.join(" and ")}`]);
  } finally {
    printer.close();
  }
}

/** The figure of the validation set, a temperature a row and an alpha a column. */
function table({ data, seeds, temperatures, alphas, points, best, swept }: SweepResult): string {
  const [metric] = metricsOf(data);
  const name = epochKey(metric);
  const cell = (temperature: number, alpha: number) => {
    const point = points.find((one) => one.temperature === temperature && one.alpha === alpha);
    const mark = temperature === best.temperature && alpha === best.alpha ? "*" : " ";
    if (point === undefined) return "";
    const { spread } = point;
    return `${showMetric(metric, point[name])}${spread ? ` ± ${showChange(metric, spread.figure.std)}` : ""}${mark}`;
  };
  // One that the loss does not read has no name.
  const head = (name: "temperature" | "alpha", value: number) =>
    swept?.includes(name) === false ? "" : `${name} ${value}`;
  return formatTable([
    [
      `validation ${metric.label}${seeds.length < 2 ? "" : `, mean and sd of ${seeds.length}`}`,
      ...alphas.map((alpha) => `${head("alpha", alpha)} `),
    ],
    ...temperatures.map((temperature) => [
      head("temperature", temperature),
      ...alphas.map((alpha) => cell(temperature, alpha)),
    ]),
  ]);
}
