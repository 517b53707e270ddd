import { ALL_ZERO, argumentError, badArgument, showValue } from "../checks.js";
import type { Module } from "../nn/module.js";
import { isWeight } from "../registry/index.js";
import { commonTasks } from "./for_task.js";
import { functionLoss, type LossFunction } from "./function_loss.js";
import {
  computeLoss,
  type DistillationLoss,
  expectDistillationLoss,
  type Json,
  type LossBatch,
  readsTeacher,
  readsTeacherLogits,
} from "./loss.js";
import { expectMetricName } from "./metric_name.js";
import { type Annealed, inEpoch } from "./temperature.js";

/** A sum of losses, each of which may be computed in another way than by {@link computeLoss}. */
export interface Sum extends DistillationLoss {
  computeBy(computeTerm: typeof computeLoss, batch: LossBatch): ReturnType<typeof computeLoss>;
  /** The same, whose terms that are functions know how many classes there are. */
  forClasses(classes: number): DistillationLoss;
}

/** A loss, or a sum of them, whose functions' configuration has their value for so many classes. */
export function forClasses(loss: DistillationLoss | LossFunction, classes: number): DistillationLoss {
  if (typeof loss === "function") return functionLoss(loss, classes);
  return isSum(loss) ? loss.forClasses(classes) : loss;
}

export function isSum(loss: DistillationLoss): loss is Sum {
  return "computeBy" in loss;
}

/**
 * A sum of losses, each times its weight: a number, or a pair between which it changes linearly from the first epoch to
 * the last. The metrics are each term's value, before its weight and warm-up, under the term's name, and the term's own
 * metrics as `NAME.METRIC`; a repeated name gets a number: `kd`, `kd_2`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if there is no term, a weight is not a number, a term is not a loss or has a
 * name that no metric may have, or no task is supported by all terms.
 * @example
 * ```ts
 * const loss = weightedSum([[0.1, crossEntropyDistillationLoss()], [0.9, kdDistillationLoss({ temperature: 4 })]]);
 * await distill({ teacher, student, data, loss });
 * ```
 */
export function weightedSum(
  given: readonly (readonly [weight: Annealed, loss: DistillationLoss | LossFunction])[],
): DistillationLoss {
  if (!Array.isArray(given) || given.length === 0) {
    throw badArgument("weightedSum", "a list of at least one term", given);
  }
  for (const [i, term] of given.entries()) {
    if (Array.isArray(term) && term.length === 2) continue;
    throw badArgument(`terms[${i}]`, "a term, [weight, loss]", term);
  }
  const terms = given.map(
    ([weight, loss], i) =>
      [weight, typeof loss === "function" ? functionLoss(loss) : expectDistillationLoss(loss, `terms[${i}]`)] as const,
  );
  for (const [i, [weight, loss]] of terms.entries()) {
    if (!isWeight(weight)) {
      const text = `weight: expected a finite number, or two: [first epoch's, last epoch's], got ${showValue(weight)}`;
      throw argumentError(`terms[${i}]`, text);
    }
    // Its value is a metric of this name.
    expectMetricName(`terms[${i}]: name`, loss.name);
  }
  const weights = terms.flatMap(([weight]) => weight);
  if (weights.every((weight) => weight === 0)) throw argumentError("weights", ALL_ZERO);
  const losses = terms.map(([, loss]) => loss);
  const tasks = commonTasks(losses);
  const names = uniqueNames(losses);
  const computeBy: Sum["computeBy"] = (computeTerm, batch) => {
    const metrics: [name: string, value: number][] = [];
    const weighted = terms.map(([weight, term], i) => {
      const { loss, metrics: own, unweighted } = computeTerm(term, batch);
      metrics.push([names[i], unweighted ?? loss.item()]);
      for (const [name, value] of Object.entries(own)) metrics.push([`${names[i]}.${name}`, value]);
      const factor = inEpoch(weight, batch);
      return factor === 1 ? loss : loss.mul(factor);
    });
    return { loss: weighted.reduce((sum, loss) => sum.add(loss)), metrics: byName("metrics", metrics) };
  };
  const made: Sum = {
    name: names.join("+"),
    needsTeacher: losses.some(readsTeacher),
    needsTeacherLogits: losses.some(readsTeacherLogits),
    tasks,
    drawsRandomNumbers: losses.some(({ drawsRandomNumbers = false }) => drawsRandomNumbers),
    taps: {
      student: [...new Set(losses.flatMap(({ taps }) => taps?.student ?? []))],
      teacher: [...new Set(losses.flatMap(({ taps }) => taps?.teacher ?? []))],
    },
    modules: byName(
      "modules",
      losses.flatMap(({ modules = {} }, i) =>
        Object.entries(modules).map(([name, module]): [string, Module] => [`${names[i]}.${name}`, module]),
      ),
    ),
    computeBy,
    forClasses: (classes) => weightedSum(given.map(([weight, loss]) => [weight, forClasses(loss, classes)])),
    compute: (batch) => computeBy(computeLoss, batch),
    config: () => terms.map(([weight, loss]): Json => ({ weight, loss: loss.config() })),
  };
  return made;
}

/** A name that is taken gets a number. */
function uniqueNames(losses: readonly DistillationLoss[]): string[] {
  const names: string[] = [];
  for (const { name } of losses) {
    let own = name;
    for (let count = 2; names.includes(own); count++) own = `${name}_${count}`;
    names.push(own);
  }
  return names;
}

/** Entries by names that a term's own name may make alike: `b.c` of `a`, and `c` of `a.b`. */
function byName<T>(what: string, entries: readonly (readonly [name: string, value: T])[]): Record<string, T> {
  const named = Object.fromEntries(entries);
  if (Object.keys(named).length === entries.length) return named;
  const again = entries.find(([name], i) => entries.findIndex(([other]) => other === name) < i);
  throw argumentError("weightedSum", `two ${what} are called ${again?.[0]}: rename a term`);
}
