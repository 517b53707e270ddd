import { Command } from "commander";
import { compareTrials } from "../compare/compare.js";
import {
  type CompareResult,
  calibrationSummary,
  compare,
  compareCaveats,
  compareShare,
  compareSummary,
  methodsSummary,
  type NetworkSize,
  type SampleStats,
  type StudentMetrics,
  scopeOf,
} from "../compare/index.js";
import { SCHEMAS } from "../config/index.js";
import { compareReport } from "../report/index.js";
import { showBytes, showCount } from "../show.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { type Metric, metricsOf, showChange, showMetric, showSigned } from "../tasks/metrics.js";
import { type ExperimentFlags, runExperimentCommand } from "./experiment.js";
import { type Flag, REAL_DATA } from "./flag_table.js";
import { addLoading, addOptions, givenFlags } from "./flags.js";
import { configured, type Settings } from "./settings.js";
import { addExperiment } from "./share.js";
import { formatTable } from "./table.js";

const CALIBRATE: Flag = [
  "[both]",
  "divide the teacher's logits by the temperature that fits the validation set best; both: students with and without, side by side",
];

/** `distillery compare`. */
export function makeCommand(): Command {
  const command = new Command("compare").description(
    "does distillation help? train baseline and distilled students with several seeds, on the same data with the same budget",
  );
  addLoading(addExperiment(addOptions(command, SCHEMAS.compare, { ...REAL_DATA, calibrateTeacher: CALIBRATE })));
  return command.action(() => configured("compare", runCompare)(givenFlags(command)));
}

/** Compares: prints a line per run, and the metrics and the conclusion at the end. */
function runCompare(settings: Settings<"compare">, flags: ExperimentFlags): Promise<void> {
  const { temperature, alpha, losses, fractions, calibrateTeacher } = settings.config;
  return runExperimentCommand(settings, flags, {
    options: { temperature, alpha, losses, fractions, calibrateTeacher },
    trials: compareTrials,
    run: compare,
    runShare: compareShare,
    report: compareReport,
    studentFile: ({ distilled }) => distilled.files[0],
    end: (result) => endOf(result, losses !== undefined || result.methods.length > 1),
  });
}

function endOf(result: CompareResult, hasMethods: boolean): [object: object, lines: string[]] {
  const several = hasMethods ? methodsSummary(result) : null;
  const answer = several?.join(" ") ?? compareSummary(result);
  const { difference, data, seeds, sizes, methods, fractions } = result;
  const object = {
    answer,
    difference,
    data,
    seeds,
    sizes,
    ...figures(result),
    ...(several && { methods }),
    ...(fractions && { fractions }),
  };
  const conclusions =
    several === null
      ? [answer, compareSummary(result, "last"), ...compareCaveats(result)]
      : [...several, ...(result.seeds.length < 2 ? [] : [scopeOf(result)])];
  const calibration = calibrationSummary(result);
  return [
    object,
    [
      "",
      several ? methodsTable(result) : table(result),
      "",
      ...(fractions === undefined ? [] : [fractionsTable(result), ""]),
      ...conclusions,
      ...(calibration === null ? [] : [calibration]),
    ],
  ];
}

/** The metrics of the result, without what only the file needs. */
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

/** Leaves out unknown metrics, such as agreement with a teacher that does not know the test set. */
function knownMetrics({ data, baseline }: CompareResult): Metric[] {
  return metricsOf(data).filter(({ name }) => name in baseline.best);
}

/** A table of metrics with a column per network. */
function table(result: CompareResult): string {
  const { teacher, baseline, distilled, sizes, seeds } = result;
  const [main, ...others] = knownMetrics(result);
  const of = (metric: Metric, weights: "best" | "last") =>
    [baseline, distilled].map((student) => spread(metric, student[weights][metric.name]));
  const size = (text: (size: NetworkSize) => string) => [
    sizes.teacher === null ? "" : text(sizes.teacher),
    text(sizes.student),
    text(sizes.student),
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

/** The data-size curve with a row per fraction of the training data. */
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

/** A table of metrics with a row per method. */
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

/** Empty if there is no such metric, as for a teacher's agreement with itself. */
function shown(metric: Metric, evaluation: TaskEvaluation | null): string {
  const value = evaluation && metric.of(evaluation);
  return value == null ? "" : showMetric(metric, value);
}

function spread(metric: Metric, stats: SampleStats | undefined): string {
  if (stats === undefined) return "";
  const { mean, std, values } = stats;
  return `${showMetric(metric, mean)}${values.length < 2 ? "" : ` ± ${showChange(metric, std)}`}`;
}
