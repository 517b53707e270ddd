import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";

/** Refuses what is no configuration. */
export function expectConfig(config: unknown): void {
  if (typeof config === "object" && config !== null && !Array.isArray(config)) return;
  throw new DistilleryError("BAD_ARGUMENT", `config: expected an object, got ${show(config)}`);
}

/** Refuses what is no list of epochs' records. */
export function expectHistory(history: readonly EpochRecord[]): void {
  if (!Array.isArray(history)) {
    throw new DistilleryError("BAD_ARGUMENT", `history: expected a list of epochs' records, got ${show(history)}`);
  }
  const at = history.findIndex(
    (record) => typeof record?.epoch !== "number" || typeof record.metrics?.loss !== "number",
  );
  if (at < 0) return;
  throw new DistilleryError("BAD_ARGUMENT", `history[${at}]: expected an epoch's record, got ${show(history[at])}`);
}

/** Refuses what `compare` or `sweep` did not give. */
export function expectResult(kind: "compare" | "sweep", result: unknown): void {
  const { kind: got } = (result ?? {}) as { kind?: unknown };
  if (got === kind) return;
  throw new DistilleryError("BAD_ARGUMENT", `result: expected what ${kind}() gives, got ${show(got ?? result)}`);
}

/** Refuses what is no text, or an empty one. */
export function expectText(name: string, value: unknown): void {
  if (typeof value === "string" && value !== "") return;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: expected a text, got ${show(value)}`);
}
