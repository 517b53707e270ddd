import * as v from "valibot";
import { finite, integer } from "../registry/index.js";

/** Loss and gradient norm of the steps that a run records, as stored in its checkpoint. */
export const stepTraceSchema = v.strictObject({
  /** The interval between recorded steps. */
  every: integer(1),
  points: v.array(v.tuple([integer(1), finite(), finite()])),
});
type StepTrace = v.InferOutput<typeof stepTraceSchema>;

/** A step of the optimizer. */
export interface StepPoint {
  /** From 1. */
  step: number;
  loss: number;
  /** Before it was clipped. */
  gradNorm: number;
}

const MAX = 600;
const DIGITS = 6;

/** A run's trace before its first step. */
export function newStepTrace(): StepTrace {
  return { every: 1, points: [] };
}

/**
 * Records a step with six digits. If there are too many, every second one is dropped, so that which steps remain
 * depends only on their number.
 */
export function keepStep(trace: StepTrace, { step, loss, gradNorm }: StepPoint): void {
  if (step % trace.every !== 0) return;
  trace.points.push([step, rounded(loss), rounded(gradNorm)]);
  if (trace.points.length <= MAX) return;
  trace.every *= 2;
  trace.points = trace.points.filter(([at]) => at % trace.every === 0);
}

/** The steps that a trace keeps. */
export function keptSteps({ points }: StepTrace): StepPoint[] {
  return points.map(([step, loss, gradNorm]) => ({ step, loss, gradNorm }));
}

function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS));
}
