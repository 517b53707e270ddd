import { join } from "node:path";
import { Command } from "commander";
import { fractionOf } from "../compare/fraction_of.js";
import type { CompareResult, NetworkSize, SampleStats, StudentMetrics } from "../compare/index.js";
import { runMetadata, SCHEMAS, trainingOptions } from "../config/index.js";
import { showBytes, showCount } from "../show.js";
import { type Metric, metricsOf, showChange, showMetric, showSigned, type TaskEvaluation } from "../tasks/metrics.js";
import { interruptible } from "./error_boundary.js";
import { dryRunExperiment, expectTaskBatches, experimentControls, networksOf, openExperiment } from "./experiment.js";
import { type Flag, REAL_DATA } from "./flag_table.js";
import { addLoading, addOptions, givenFlags, type LoadFlags, type TrainingFlags } from "./flags.js";
import { withTeacherNetwork } from "./networks.js";
import { ExperimentPrinter } from "./printer.js";
import { commandLine } from "./run_summary.js";
import type { Settings } from "./settings.js";
import { addExperiment, type ShareFlags, shareLine, shareOf } from "./share.js";
import { formatTable } from "./table.js";

type CompareFlags = TrainingFlags & LoadFlags & ShareFlags;

const CALIBRATE: Flag = [
  "[both]",
  "divide the teacher's logits by the temperature that fits the validation set best; both: students with and without, side by side",
];

/** `distillery compare`. */
export function compareCommand(run: (flags: CompareFlags) => Promise<void>): Command {
  const command = new Command("compare").description(
    "does distilling help? baseline and distilled students of several seeds, on the same data with the same budget",
  );
  addLoading(addExperiment(addOptions(command, SCHEMAS.compare, { ...REAL_DATA, calibrateTeacher: CALIBRATE })));
  return command.action(() => run(givenFlags(command)));
}

/** Compares, prints a line a run, and at the end the figures and the conclusion. */
export async function runCompare(settings: Settings<"compare">, flags: CompareFlags): Promise<void> {
  const { config, userOptions } = settings;
  const share = shareOf(flags);
  const experiment = { ...settings, flags };
  const opened = await openExperiment(experiment);
  const { task, test } = opened;
  const { temperature, alpha, seed, seeds, out, loss, losses, calibrateTeacher } = config;
  for (const fraction of config.fractions ?? []) {
    await expectTaskBatches({ ...task, data: fractionOf(task.data, fraction) }, config);
  }
  const input = {
    ...{ ...task, test, out, temperature, alpha },
    ...trainingOptions(config),
    ...(loss !== undefined && { loss }),
    ...(losses !== undefined && { losses }),
    ...(config.fractions !== undefined && { fractions: config.fractions }),
    ...(calibrateTeacher !== undefined && { calibrateTeacher }),
    seeds: Array.from({ length: seeds }, (_, i) => seed + i),
    ...experimentControls(experiment, opened),
  };
  if (flags.dryRun) {
    const { compareTrials } = await import("../compare/compare.js");
    return dryRunExperiment(opened, trainingOptions(config), await compareTrials(input), share, flags);
  }
  // Loaded late: the other commands start without it.
  const { compare, calibrationSummary, compareCaveats, compareShare, compareSummary, methodsSummary, scopeOf } =
    await import("../compare/index.js");
  const metadata = await runMetadata(withTeacherNetwork(config, task.teacher), userOptions);
  const printer = new ExperimentPrinter(flags, opened.opening);
  try {
    const inputOf = (signal: AbortSignal) => ({ ...input, signal, metadata, ...printer.controls });
    if (share !== null) {
      const done = await interruptible(printer.note, (signal) => compareShare(inputOf(signal), share));
      return printer.end({ ...done, out }, [shareLine(done, out)]);
    }
    const result = await interruptible(printer.note, (signal) => compare(inputOf(signal)));
    const several = losses === undefined && result.methods.length === 1 ? null : methodsSummary(result);
    const answer = several?.join(" ") ?? compareSummary(result);
    const files = [join(out, "compare.json")];
    if (config.report) {
      const { compareReport, writeReport } = await import("../report/index.js");
      const networks = await networksOf(task, result.teacher.file, result.distilled.files[0]);
      files.push(join(out, "report.html"));
      await writeReport(files[1], compareReport(result, { networks, test, command: commandLine() }));
    }
    const { data, sizes, difference } = result;
    const curve = result.fractions && { fractions: result.fractions };
    const object = {
      answer,
      difference,
      data,
      seeds: result.seeds,
      sizes,
      ...figures(result),
      ...(several && { methods: result.methods }),
      ...curve,
      files,
    };
    const calibration = calibrationSummary(result);
    const conclusions =
      several === null
        ? [answer, compareSummary(result, "last"), ...compareCaveats(result)]
        : [...several, scopeOf(result)];
    printer.end(object, [
      "",
      several ? methodsTable(result) : table(result),
      "",
      ...(result.fractions === undefined ? [] : [fractionsTable(result), ""]),
      ...conclusions,
      ...(calibration === null ? [] : [calibration]),
      `Written to ${files.join(" and ")}`,
    ]);
  } finally {
    printer.close();
  }
}

/** The figures of the result, without what only the file needs. */
function figures({ data, teacher, baseline, distilled }: CompareResult): Record<string, unknown> {
  const ofTeacher = metricsOf(data).flatMap((metric) => {
    const value = teacher.evaluation && metric.of(teacher.evaluation);
    return value == null ? [] : [[metric.name, value]];
  });
  return {
    teacher: { ...Object.fromEntries(ofTeacher), file: teacher.file },
    baseline: { best: baseline.best, last: baseline.last },
    distilled: { best: distilled.best, last: distilled.last },
  };
}

/** Without those that nobody knows, as the agreement with a teacher that does not know the test set. */
function knownMetrics({ data, baseline }: CompareResult): Metric[] {
  return metricsOf(data).filter(({ name }) => name in baseline.best);
}

/** The figures, a network a column. */
function table(result: CompareResult): string {
  const { teacher, baseline, distilled, sizes, seeds } = result;
  const [main, ...others] = knownMetrics(result);
  const of = (metric: Metric, weights: "best" | "last") =>
    [baseline, distilled].map((student) => spread(metric, student[weights][metric.name]));
  const size = (text: (size: NetworkSize) => string) => [
    sizes.teacher === null ? "" : text(sizes.teacher),
    ...[text(sizes.student), text(sizes.student)],
  ];
  return formatTable([
    [testTitle(seeds), "teacher", "baseline student", "distilled student"],
    [`${main.label}, best epoch`, shown(main, teacher.evaluation), ...of(main, "best")],
    [`${main.label}, last epoch`, "", ...of(main, "last")],
    ...others.map((metric) => [metric.label, shown(metric, teacher.evaluation), ...of(metric, "best")]),
    ["parameters", ...size(({ parameters }) => showCount(parameters))],
    ["file", ...size(({ bytes }) => showBytes(bytes))],
    ["latency at batch 1", ...size(({ latencyMs }) => `${latencyMs.toFixed(3)} ms`)],
    ["throughput", ...size(({ throughput }) => `${showCount(Math.round(throughput))}/s`)],
  ]);
}

/** The data-size curve, a fraction of the training data a row. */
function fractionsTable({ data, fractions = [] }: CompareResult): string {
  const [main] = metricsOf(data);
  const interval = ({ low, high }: { low: number; high: number }) =>
    Number.isFinite(low) ? `${showSigned(main, low)} to ${showSigned(main, high)}` : "unknown";
  return formatTable([
    ["training samples", "baseline student", "distilled student", "difference", "interval"],
    ...fractions.map(({ samples, baseline, distilled, difference }) => [
      showCount(samples),
      ...[baseline, distilled].map((stats) => spread(main, stats[main.name])),
      showSigned(main, difference.mean),
      interval(difference),
    ]),
  ]);
}

/** The figures, a method a row. */
function methodsTable(result: CompareResult): string {
  const { teacher, baseline, methods, seeds } = result;
  const [main, ...others] = knownMetrics(result);
  const row = ({ best, last }: Pick<StudentMetrics, "best" | "last">) => [
    ...[best, last].map((stats) => spread(main, stats[main.name])),
    ...others.map((metric) => spread(metric, best[metric.name])),
  ];
  return formatTable([
    [
      testTitle(seeds),
      main.label,
      "last epoch",
      ...others.map(({ name, label }) => (name === "agreement" ? name : label)),
    ],
    ["teacher", shown(main, teacher.evaluation), "", ...others.map((one) => shown(one, teacher.evaluation))],
    ["baseline student", ...row(baseline)],
    ...methods.map((method) => [method.name, ...row(method)]),
  ]);
}

function testTitle(seeds: readonly number[]): string {
  return seeds.length < 2 ? "test set" : `test set, mean and sd of ${seeds.length}`;
}

/** Empty if there is no such figure, as a teacher's agreement with itself. */
function shown(metric: Metric, evaluation: TaskEvaluation | null): string {
  const value = evaluation && metric.of(evaluation);
  return value == null ? "" : showMetric(metric, value);
}

function spread(metric: Metric, stats: SampleStats | undefined): string {
  if (stats === undefined) return "";
  const { mean, std, values } = stats;
  return `${showMetric(metric, mean)}${values.length < 2 ? "" : ` ± ${showChange(metric, std)}`}`;
}
