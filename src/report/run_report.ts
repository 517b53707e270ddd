import { safetensorsBytes } from "../checkpoint/index.js";
import { show } from "../checks.js";
import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import type { Module } from "../nn/module.js";
import { type BestWeights, evaluate, measureLatency } from "../train/index.js";
import { cloneState } from "../train/trainer_state.js";
import { classNamesOf, headOf, type ReportOptions } from "./head.js";
import { expectNetworks, type Networks, predictionsOf } from "./predictions.js";
import type { HeldOutPredictions, RunReport, SizeFigures } from "./report_data.js";
import { runVerdict } from "./verdict.js";

/** What {@link runReport} takes. */
export interface RunReportInput extends ReportOptions {
  /** What `config.json` keeps. */
  config: Readonly<Record<string, unknown>>;
  /** A record an epoch. */
  history: readonly EpochRecord[];
  networks: Networks & {
    /** The weights of the best epoch: their predictions are looked at, where there are any, and not those of the last. */
    best?: BestWeights | null;
  };
  /** What was held out: the test set is looked at, or else the validation set. */
  data?: { test?: Dataset | null; validation?: Dataset | null };
}

/**
 * The figures of a run's report: its curves, predictions on held-out data, sizes and speed. The
 * networks have their weights and modes back afterwards. Without held-out data nothing is computed.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH` where a network does not fit the data.
 * @example
 * ```ts
 * const { history, best } = await distill({ teacher, student, data: train, validation });
 * await writeReport("report.html", runReport({ config: {}, history, networks: { student, teacher, best }, data: { test } }));
 * ```
 */
export function runReport(input: RunReportInput): RunReport {
  const { config, history, networks, data = {}, ...options } = input;
  const { student, teacher, best = null } = networks;
  expectConfig(config);
  expectHistory(history);
  expectNetworks(networks);
  const held = data.test ?? data.validation ?? null;
  if (held !== null) expectDataset(held);
  const part = data.test ? "test" : "validation";
  const predict = (weights: HeldOutPredictions["weights"]) => held && predictionsOf(networks, held, { part, weights });
  const predictions = best === null ? predict("last") : withWeights(student, best, () => predict("best"));
  const title = config.command === "train-teacher" ? "Training of a teacher" : "Distillation";
  const report = {
    kind: "run" as const,
    ...headOf(config, classNamesOf(held?.classes ?? Number(config.classes ?? 0), held?.classNames), {
      title: `${title} on ${held?.name ?? config.data ?? "own data"}`,
      ...options,
    }),
    history,
    best: best && { epoch: best.epoch, validationAccuracy: best.validationAccuracy },
    predictions,
    lastAccuracy: held && best ? evaluate(student, held).accuracy : null,
    sizes: { student: sizeOf(student, held), ...(teacher && { teacher: sizeOf(teacher, held) }) },
  };
  return { ...report, verdict: runVerdict(report) };
}

/** Runs `body` while a network has other weights. */
function withWeights<T>(network: Module, { state }: BestWeights, body: () => T): T {
  const own = cloneState(network.stateDict());
  network.loadStateDict(state);
  try {
    return body();
  } finally {
    network.loadStateDict(own);
  }
}

/** What a network weighs, and where there are samples how many milliseconds it takes for one. */
function sizeOf(network: Module, samples: Dataset | null): SizeFigures {
  return {
    parameters: network.parameterCount(),
    bytes: safetensorsBytes(network.stateDict()),
    ...(samples && { latencyMs: measureLatency(network, samples) }),
  };
}

/** Refuses what is no configuration. */
function expectConfig(config: unknown): void {
  if (typeof config === "object" && config !== null && !Array.isArray(config)) return;
  throw new DistilleryError("BAD_ARGUMENT", `config: expected an object, got ${show(config)}`);
}

/** Refuses what is no list of epochs' records. */
function expectHistory(history: readonly EpochRecord[]): void {
  if (!Array.isArray(history)) {
    throw new DistilleryError("BAD_ARGUMENT", `history: expected a list of epochs' records, got ${show(history)}`);
  }
  const at = history.findIndex(
    (record) => typeof record?.epoch !== "number" || typeof record.metrics?.loss !== "number",
  );
  if (at < 0) return;
  throw new DistilleryError("BAD_ARGUMENT", `history[${at}]: expected an epoch's record, got ${show(history[at])}`);
}
