import { expectDataset } from "../data/expect_dataset.js";
import type { Dataset } from "../data/index.js";
import type { EpochRecord } from "../log/epoch_record.js";
import type { Module } from "../nn/module.js";
import { type BestWeights, cloneState } from "../train/best.js";
import { evaluate } from "../train/index.js";
import { answersOf, expectNetworks, type Networks } from "./answers.js";
import { expectConfig, expectHistory } from "./arguments.js";
import { classNamesOf, headOf, type ReportOptions } from "./head.js";
import type { Answers, RunReport } from "./report_data.js";
import { sizeOf } from "./sizes.js";
import { runVerdict } from "./verdict.js";

/** What {@link runReport} takes. */
export interface RunReportInput extends ReportOptions {
  /** What `config.json` keeps. */
  config: Readonly<Record<string, unknown>>;
  /** A record an epoch. */
  history: readonly EpochRecord[];
  networks: Networks & {
    /** The weights of the best epoch: their answers are looked at, where there are any, and not those of the last. */
    best?: BestWeights | null;
  };
  /** What was held out: the test set is looked at, or else the validation set. */
  data?: { test?: Dataset | null; validation?: Dataset | null };
}

/**
 * The figures of a run's report: how it went, what the network answers for held-out data, how large and fast it is. The
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
  const look = (weights: Answers["weights"]) => held && answersOf(networks, held, { part, weights });
  const answers = best === null ? look("last") : withWeights(student, best, () => look("best"));
  const title = config.command === "train-teacher" ? "Training of a teacher" : "Distillation";
  const report = {
    kind: "run" as const,
    ...headOf(config, classNamesOf(held?.classes ?? Number(config.classes ?? 0), held?.classNames), {
      title: `${title} on ${held?.name ?? config.data ?? "own data"}`,
      ...options,
    }),
    history,
    best: best && { epoch: best.epoch, validationAccuracy: best.validationAccuracy },
    answers,
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
