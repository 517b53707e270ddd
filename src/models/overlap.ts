import type { Dataset } from "../data/dataset.js";
import { countSamplesOf } from "../data/origin.js";
import type { Module } from "../nn/module.js";
import { showCount } from "../show.js";
import { Ensemble } from "./ensemble.js";
import { recordOf } from "./training_record.js";

/** Held-out samples that a network was trained on. */
export interface Overlap {
  readonly count: number;
  /** For people: how many. */
  readonly figures: string;
  /** For people: how many test samples, and the split that leaves none. */
  readonly text: string;
}

/**
 * Which of these samples, such as those of a test set, a network was trained on, as far as its record says; null: none.
 */
export function overlapOf(network: Module, data: Dataset, name: string): Overlap | null {
  if (network instanceof Ensemble) {
    return network.networks.reduce<Overlap | null>((first, one) => first ?? overlapOf(one, data, name), null);
  }
  const record = recordOf(network);
  const origin = record?.origin() ?? null;
  if (record === null || origin === null) return null;
  const count = countSamplesOf(origin, data);
  if (count === 0) return null;
  const [first] = origin.selections;
  const isSplit = first !== undefined && !("bits" in first) && first.of === "test";
  const advice = isSplit
    ? `testFraction ${first.fraction} with splitSeed ${first.seed} (--test-fraction, --split-seed) is the split it was trained with`
    : "it was trained without a test set";
  const figures = (what: string) =>
    `${record.file ?? name}: was trained on ${showCount(count)} of the ${showCount(data.length)} ${what} samples`;
  return { count, figures: figures("validation"), text: `${figures("test")}: ${advice}` };
}
