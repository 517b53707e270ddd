import { createHash } from "node:crypto";
import { join } from "node:path";
import { types } from "node:util";
import { argumentError, badArgument } from "../checks.js";
import type { Batch } from "../data/dataset.js";
import type { Outputs } from "../losses/loss.js";
import {
  type AverageOptions,
  type Averaging,
  averageLogits,
  Ensemble,
  expectAverageOf,
  resolveAverage,
} from "../models/ensemble.js";
import { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { noGrad } from "../tensor/autograd.js";
import { asTeacher } from "./as_teacher.js";
import { forRun, ofRuns } from "./for_run.js";
import { frozen } from "./frozen.js";
import type { TeacherFunction } from "./function_teacher.js";
import { expectOutputs, hashOfTeacher, type Teacher } from "./teacher.js";

/**
 * Several teachers as one, whose output is the weighted average of their logits, or of their probabilities at
 * temperature 1 (the two differ). If all are networks, the result is an {@link Ensemble}: a network, which `distill`
 * caches and prefetches like any other, and whose hidden outputs a loss reads as `networks.0.fc1`. Other teachers have
 * no hidden outputs here.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for fewer than two teachers and options out of range.
 * @example
 * ```ts
 * const teacher = averaged([first, second], { average: "probabilities", weights: [2, 1] });
 * await distill({ teacher, student, data });
 * ```
 */
export function averaged(teachers: readonly Module[], options?: AverageOptions): Ensemble;
export function averaged(
  teachers: readonly (Module | Teacher | TeacherFunction)[],
  options?: AverageOptions,
): Teacher | Ensemble;
export function averaged(
  teachers: readonly (Module | Teacher | TeacherFunction)[],
  options: AverageOptions = {},
): Teacher | Ensemble {
  if (!Array.isArray(teachers) || teachers.length < 2) {
    throw badArgument("teachers", "two teachers or more", teachers);
  }
  if (teachers.every((teacher) => teacher instanceof Module)) return new Ensemble(teachers, options);
  const averaging = resolveAverage(options, teachers.length);
  const members = teachers.map((teacher) => (teacher instanceof Module ? frozen(teacher) : asTeacher(teacher, {})));
  return ofRuns(() => averageOf(members.map(forRun), averaging));
}

type Evaluating = Teacher & Required<Pick<Teacher, "evaluate">>;

function averageOf(members: readonly Teacher[], averaging: Averaging): Teacher {
  const name = `averaged(${members.map((member) => member.name).join(", ")})`;
  const combine = (outputs: readonly Outputs[]): Outputs => ({
    logits: noGrad(() =>
      averageLogits(
        outputs.map((given, i) => expectOutputs(members[i], given).logits),
        averaging,
      ),
    ),
    taps: {},
  });
  const collect = (outputs: readonly (Outputs | Promise<Outputs>)[]) =>
    outputs.some((one) => types.isPromise(one)) ? Promise.all(outputs).then(combine) : combine(outputs as Outputs[]);
  const prefetching = members.filter(({ prefetch }) => prefetch !== undefined);
  return {
    name,
    fingerprint() {
      const hashes = members.map((member) => hashOfTeacher(member));
      if (hashes.includes(null)) return null;
      return createHash("sha256").update(JSON.stringify({ hashes, averaging })).digest("hex");
    },
    open(run) {
      expectAverageOf(run.data, averaging);
      if (run.taps.length > 0) {
        const text = `${name} has no output of the module "${run.taps[0]}", which the loss reads`;
        throw argumentError("teacher", `${text}: an average of networks alone has those of each network`);
      }
      // If one of several teachers has nothing to teach, the others may.
      for (const member of members) member.open?.({ ...run, labelFree: () => false });
    },
    async prepare(run) {
      // Functions with the same text store their answers separately.
      const folder = (i: number) => (run.out === null ? null : join(run.out, `teacher-${i}`));
      for (const [i, member] of members.entries()) await member.prepare?.({ ...run, out: folder(i) });
    },
    outputs: (batch) => collect(members.map((member) => member.outputs(batch))),
    // Read when the run is set up: some teachers only then know what they can evaluate.
    get evaluate() {
      const given = members.filter((member): member is Evaluating => member.evaluate !== undefined);
      return given.length < members.length
        ? undefined
        : (batch: Batch) => collect(given.map((member) => member.evaluate(batch)));
    },
    isFixed: members.every(({ isFixed }) => isFixed !== false),
    ...(prefetching.length > 0 && {
      prefetch(batch: Batch) {
        for (const member of prefetching) member.prefetch?.(batch);
      },
      prefetchDepth: (rows: number) => Math.min(...prefetching.map((member) => member.prefetchDepth?.(rows) ?? 1)),
      discard() {
        for (const member of prefetching) member.discard?.();
      },
    }),
    afterStep() {
      for (const member of members) member.afterStep?.();
    },
    state() {
      const entries = members.flatMap((member, i) =>
        Object.entries(member.state?.() ?? {}).map(([key, tensor]): [string, StateDict[string]] => [
          `${i}.${key}`,
          tensor,
        ]),
      );
      return Object.fromEntries(entries);
    },
    async close() {
      const closed = await Promise.allSettled(members.map(async (member) => member.close?.()));
      const failed = closed.find((one) => one.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    },
  };
}
