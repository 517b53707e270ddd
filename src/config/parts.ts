import type { RunControls } from "../train/index.js";
import {
  distillationSchema,
  type ResolvedDistillation,
  type ResolvedTraining,
  trainingSchema,
} from "../train/options.js";
import type { Settled } from "./config.js";
import { KEEPING, SIDE_BY_SIDE, SOURCE, TRAINING_DATA } from "./fields.js";
import type { ConfigName, ConfigOf } from "./schemas.js";

/** The options of a configuration that `trainTeacher` takes. */
export function trainingOptions(config: Settled<ConfigName>): ResolvedTraining {
  return pick(config, trainingSchema.entries) as ResolvedTraining;
}

/** The options of a configuration that `distill` takes. */
export function distillationOptions(config: Settled<"distill">): ResolvedDistillation {
  return pick(config, distillationSchema.entries) as ResolvedDistillation;
}

/**
 * What `config.json` keeps beside the options: what decides the data, which a resumed run must have too, and under
 * `given` what was said of them, to say it again.
 */
export function aboutRun<C extends ConfigName>(config: Settled<C>, given: ConfigOf<C>): RunControls["about"] {
  const { data: _, threads: __, ...deciding } = pick(config, { ...SOURCE, ...TRAINING_DATA });
  const notDeciding = new Set(["out", "threads", ...Object.keys({ ...KEEPING, ...SIDE_BY_SIDE })]);
  const again = Object.entries(given).filter(([name]) => !notDeciding.has(name));
  return { ...deciding, given: Object.fromEntries(again) };
}

function pick(config: object, entries: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([name]) => Object.hasOwn(entries, name)));
}
