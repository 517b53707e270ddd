import type { Dataset } from "../data/dataset.js";
import { type DataOrigin, originOf, parseOrigin } from "../data/origin.js";
import {
  PREPROCESSING_KEY,
  type Preprocessing,
  parsePreprocessing,
  preprocessingOf,
} from "../data/preprocessing/spec.js";
import type { Module } from "../nn/module.js";

/** What a network was trained with: travels with it, in memory and in its `.safetensors` file. */
export interface TrainingRecord {
  /** Its file; null if it was trained in this process. */
  readonly file: string | null;
  /** How its inputs were made, and its classes. */
  readonly preprocessing: Preprocessing;
  /** The samples that it was trained on; null if that is not known. */
  origin(): DataOrigin | null;
}

const RECORDS = new WeakMap<Module, TrainingRecord>();
const ORIGIN_KEY = "distillery.data";

/** What a network was trained with; null if that is not known. */
export function recordOf(network: Module): TrainingRecord | null {
  return RECORDS.get(network) ?? null;
}

/** Notes what a network was trained with; null: nothing is known of it. */
export function setRecord(network: Module, record: TrainingRecord | null): void {
  if (record === null) RECORDS.delete(network);
  else RECORDS.set(network, record);
}

/** The record of a network that is trained on a data set. */
export function recordFor(data: Dataset): TrainingRecord {
  let origin: DataOrigin | undefined;
  return {
    file: null,
    preprocessing: preprocessingOf(data),
    // Computed when it is asked for: it takes a hash over the data.
    origin() {
      origin ??= originOf(data);
      return origin;
    },
  };
}

/** The texts that a `.safetensors` file keeps of a record. */
export function recordMetadata({ preprocessing, origin }: TrainingRecord): Record<string, string> {
  const data = origin();
  return {
    ...preprocessingText(preprocessing),
    ...(data !== null && { [ORIGIN_KEY]: JSON.stringify(data) }),
  };
}

/** Those of it that are as long as a tokenizer. */
export function preprocessingText(preprocessing: Preprocessing): Record<string, string> {
  return { [PREPROCESSING_KEY]: JSON.stringify(preprocessing) };
}

/** The record in the texts of a file; null if they have none. `BAD_DATA` for texts that are no such record. */
export function parseRecord(metadata: Readonly<Record<string, string>>, file: string): TrainingRecord | null {
  const textOf = (key: string) => (Object.hasOwn(metadata, key) ? metadata[key] : undefined);
  const [preprocessing, data] = [textOf(PREPROCESSING_KEY), textOf(ORIGIN_KEY)];
  if (preprocessing === undefined) return null;
  const origin = data === undefined ? null : parseOrigin(parseJson(data), file);
  return { file, preprocessing: parsePreprocessing(parseJson(preprocessing), file), origin: () => origin };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
