import { safetensorsBytes } from "../checkpoint/index.js";
import { argumentError, badArgument, expectObject, expectOptions, isObject, show } from "../checks.js";
import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import type { EpochRecord } from "../log/epoch_record.js";
import { weightsMetadata } from "../models/create_network.js";
import type { Module } from "../nn/module.js";
import { epochKey, mainMetric, metricsOf } from "../tasks/metrics.js";
import { type BestWeights, evaluateRun, measureLatency, type RunEvaluation, type StepPoint } from "../train/index.js";
import { classNamesOf, headOf, type ReportOptions } from "./head.js";
import { expectNetworks, type Networks, predictionsOf } from "./predictions.js";
import type { RunReport, SizeMetrics } from "./report_data.js";
import { runVerdict } from "./verdict.js";

/** The input of {@link runReport}. */
export interface RunReportInput extends ReportOptions {
  /** The content of `config.json`. */
  config: Readonly<Record<string, unknown>>;
  /** One record per epoch. */
  history: readonly EpochRecord[];
  /** Loss and gradient norm by step, as a run's result has them. */
  steps?: readonly StepPoint[];
  networks: Networks & {
    /** The weights of the best epoch. If given, the report shows their predictions, not those of the last epoch. */
    best?: BestWeights | null;
  };
  /** Held-out data: the report shows the test set, or the validation set if there is no test set. */
  data?: { test?: Dataset | null; validation?: Dataset | null };
  /** The networks' logits for that set, if they are known; otherwise they are computed. */
  evaluation?: RunEvaluation;
}

/**
 * The data of a run's report: its curves, predictions on held-out data, sizes and speed. The weights and modes of the
 * networks are restored afterwards. Without held-out data nothing is predicted or timed.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH` if a network does not fit the data.
 * @example
 * ```ts
 * const { history, best } = await distill({ teacher, student, data: train, validation });
 * const networks = { student, teacher, best };
 * await writeReport("report.html", runReport({ config: {}, history, networks, data: { test } }));
 * ```
 */
export function runReport(input: RunReportInput): RunReport {
  expectOptions("runReport", input, [
    "config",
    "history",
    "steps",
    "networks",
    "data",
    "evaluation",
    "title",
    "command",
  ]);
  const { config, history, steps = [], networks, data = {}, evaluation: known, ...options } = input;
  expectObject("networks", networks);
  expectObject("data", data);
  const { student, teacher, best = null } = networks;
  expectConfig(config);
  expectHistory(history);
  expectSteps(steps);
  expectNetworks(networks);
  const held = data.test ?? data.validation ?? null;
  if (held !== null) expectDataset(held);
  const part = data.test ? "test" : "validation";
  const evaluation = held && (known ?? evaluateRun(networks, held));
  const shown = evaluation && { student: evaluation.best ?? evaluation.last, teacher: evaluation.teacher };
  const metric = epochKey(metricsOf(held ?? undefined)[0]);
  const title = TITLES[String(config.command)] ?? "Distillation";
  const report = {
    kind: "run" as const,
    ...headOf(
      config,
      classNamesOf(held?.classes ?? Number(config.classes ?? 0), held?.classNames),
      `${title} on ${held?.name ?? config.data ?? "own data"}`,
      options,
    ),
    history,
    steps,
    ...(held?.task && { task: held.task }),
    best: best && { epoch: best.epoch, [metric]: best[metric] },
    predictions:
      shown &&
      predictionsOf(held, shown, {
        part,
        weights: best === null ? "last" : "best",
        ...(typeof config.teacherTemperature === "number" && { teacherTemperature: config.teacherTemperature }),
      }),
    lastMetric: evaluation?.best ? mainMetric(held ?? undefined, evaluation.last.evaluation) : null,
    sizes: { student: sizeOf(student, held), ...(teacher && { teacher: sizeOf(teacher, held) }) },
  };
  return { ...report, verdict: runVerdict(report) };
}

/** What a run is called by its command. */
const TITLES: Readonly<Record<string, string | undefined>> = {
  "train-teacher": "Training of a teacher",
  mutual: "Mutual learning",
};

/** The size of a network, and, if there are samples, its latency in milliseconds. */
function sizeOf(network: Module, samples: Dataset | null): SizeMetrics {
  return {
    parameters: network.parameterCount(),
    bytes: safetensorsBytes(network.stateDict(), weightsMetadata(network)),
    ...(samples && { latencyMs: measureLatency(network, samples) }),
  };
}

/** Refuses anything but a configuration. */
function expectConfig(config: unknown): void {
  if (isObject(config)) return;
  throw badArgument("config", "an object", config);
}

/** Refuses anything but a list of epoch records. */
function expectHistory(history: readonly EpochRecord[]): void {
  if (!Array.isArray(history)) {
    throw badArgument("history", "a list of epochs' records", history);
  }
  const at = history.findIndex(
    (record) => typeof record?.epoch !== "number" || typeof record.metrics?.loss !== "number",
  );
  if (at < 0) return;
  throw badArgument(`history[${at}]`, "an epoch's record", history[at]);
}

/** Refuses anything but a list of steps. */
function expectSteps(steps: readonly StepPoint[]): void {
  if (!Array.isArray(steps)) throw badArgument("steps", "a list", steps);
  const isNumber = (value: unknown) => typeof value === "number";
  const at = steps.findIndex((one) => ![one?.step, one?.loss, one?.gradNorm].every(isNumber));
  if (at < 0) return;
  const text = `expected { step, loss, gradNorm }, got ${show(steps[at])}`;
  throw argumentError(`steps[${at}]`, text);
}
