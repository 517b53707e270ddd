import * as v from "valibot";
import { argumentError, expectFraction, optionsOf } from "../checks.js";
import type { Batch } from "../data/dataset.js";
import type { Outputs } from "../losses/loss.js";
import { ExponentialMovingAverage } from "../optim/ema.js";
import { defineEntry, described, fraction } from "../registry/index.js";
import { ofRuns } from "./for_run.js";
import { live } from "./live.js";
import { computed, type Teacher } from "./teacher.js";

/** The options of {@link emaTeacher}. */
export interface EmaTeacherOptions {
  /** The fraction of the average that remains in each step, from 0 to 1; default 0.999. */
  decay?: number;
}

const DEFAULTS = { decay: 0.999 } as const;

/**
 * The student's own moving average as its teacher: self-distillation ("mean teacher", Tarvainen and Valpola, 2017). It
 * averages weights and buffers, runs in eval mode and is updated after each step of the optimizer: average = d average
 * + (1 - d) weights with d = min(decay, 1 - 1 / step). At first it is thus the mean of all weights so far, as in the
 * authors' code, whose count is one higher. Before the first step it equals the initial student. The average is part of
 * the run's checkpoints. Since teacher and student are equal at first, the loss also needs the labels.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * await distill({ teacher: emaTeacher({ decay: 0.99 }), student, data });
 * ```
 */
export function emaTeacher(options: EmaTeacherOptions = {}): Teacher {
  const { decay } = optionsOf("emaTeacher", DEFAULTS, options);
  expectFraction("decay", decay);
  return ofRuns(() => averageTeacher(decay));
}

function averageTeacher(decay: number): Teacher {
  let opened: { average: ExponentialMovingAverage; student: ReturnType<typeof live> } | null = null;
  let isAlone = false;
  const own = () => {
    if (opened !== null) return opened;
    throw argumentError("teacher", "the average of a student's weights teaches in distill() alone");
  };
  const outputsOf = (batch: Batch): Outputs => {
    const { average, student } = own();
    average.swap();
    try {
      return computed(student.outputs(batch));
    } finally {
      average.swap();
    }
  };
  return {
    name: `ema(decay=${decay})`,
    fingerprint: () => null,
    open({ student, taps, labelFree }) {
      isAlone = labelFree?.() ?? false;
      if (student === undefined) return void own();
      const average = new ExponentialMovingAverage(student, { decay, useBuffers: true });
      opened = { average, student: live(student, { taps }) };
    },
    async prepare({ onNote }) {
      if (!isAlone) return;
      const text = "teacher: the student's own average starts equal to the student, and the loss reads no labels";
      onNote?.(`warning: ${text}: there is little or nothing to learn: add labels, as "cross-entropy + kd"`);
    },
    outputs: outputsOf,
    evaluate: outputsOf,
    isFixed: false,
    afterStep() {
      const { average } = own();
      average.update(Math.min(decay, 1 - 1 / (average.updates + 1)));
    },
    state: () => opened?.average.stateDict() ?? {},
  };
}

/** `ema` by its name, as `--teacher "ema(decay=0.99)"`. */
export const emaEntry = defineEntry({
  name: "ema",
  help: "the moving average of the student's own weights (Tarvainen and Valpola, 2017)",
  options: { decay: described(v.optional(fraction(), DEFAULTS.decay), "what of the average remains in each step") },
  create: (options) => emaTeacher(options),
});
