import { expectInteger, expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { dictField, numberField } from "./dict.js";
import { type Course, expectAnneal } from "./one_cycle_course.js";

/** The course of a one-cycle schedule, but for the values that it moves between. */
export interface CycleShape extends Course {
  cycleMomentum: boolean;
  initialLr: number;
}

/** The state of a OneCycleLR in the structure and keys of PyTorch's. */
export type OneCycleStateDict = {
  total_steps: number;
  _schedule_phases: Record<string, number | string>[];
  _anneal_func_type: "cos" | "linear";
  cycle_momentum: boolean;
  base_lrs: number[];
  last_epoch: number;
  _step_count: number;
  _is_initial: boolean;
  _get_lr_called_within_step: boolean;
  _last_lr: number[];
} & ({ use_beta1: boolean } | object);

/** The state dict of a schedule after `lastStep` steps, at the rate `lr`. */
export function writeOneCycle(
  { totalSteps, topStep, anneal, cycleMomentum, initialLr }: CycleShape,
  lastStep: number,
  lr: number,
): OneCycleStateDict {
  return {
    total_steps: totalSteps,
    _schedule_phases: [
      phase(topStep, ["initial_lr", "max_lr"], ["max_momentum", "base_momentum"]),
      phase(totalSteps - 1, ["max_lr", "min_lr"], ["base_momentum", "max_momentum"]),
    ],
    _anneal_func_type: anneal,
    cycle_momentum: cycleMomentum,
    ...(cycleMomentum ? { use_beta1: true } : {}),
    base_lrs: [initialLr],
    last_epoch: lastStep,
    // PyTorch counts the one that sets the first rate.
    _step_count: lastStep + 1,
    _is_initial: false,
    _get_lr_called_within_step: false,
    _last_lr: [lr],
  };
}

/** What the state dict of a OneCycleLR says, checked. */
export function readOneCycle(state: unknown): { shape: CycleShape; lastStep: number } {
  const phases = dictField(state, "_schedule_phases");
  if (!Array.isArray(phases) || phases.length !== 2) {
    const got = Array.isArray(phases) ? phases.length : show(phases);
    throw mismatch(`_schedule_phases: expected the two of a OneCycleLR that is not three_phase, got ${got}`);
  }
  const rates = dictField(state, "base_lrs");
  if (!Array.isArray(rates) || rates.length !== 1) {
    throw mismatch(`base_lrs: expected one rate, got ${Array.isArray(rates) ? rates.length : show(rates)}`);
  }
  const cycleMomentum = dictField(state, "cycle_momentum");
  if (typeof cycleMomentum !== "boolean") throw mismatch(`cycle_momentum: got ${show(cycleMomentum)}`);
  const totalSteps = expectInteger("total_steps", dictField(state, "total_steps"), 1);
  const inCycle = (x: number) => x >= -1 && x < totalSteps;
  return {
    shape: {
      totalSteps,
      topStep: numberField(phases[0], "end_step", inCycle, `a step of the ${totalSteps}`),
      anneal: expectAnneal(dictField(state, "_anneal_func_type")),
      cycleMomentum,
      initialLr: expectNumber("base_lrs[0]", rates[0], (x) => x > 0, "a number above 0"),
    },
    lastStep: expectInteger("last_epoch", dictField(state, "last_epoch"), 0, totalSteps),
  };
}

function phase(end: number, [startLr, endLr]: [string, string], [start, stop]: [string, string]) {
  return { end_step: end, start_lr: startLr, end_lr: endLr, start_momentum: start, end_momentum: stop };
}

function mismatch(problem: string): DistilleryError {
  return new DistilleryError("STATE_DICT_MISMATCH", `in the scheduler's state dict, ${problem}`);
}
