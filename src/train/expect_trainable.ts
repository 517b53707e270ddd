import { argumentError } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { outputsText } from "../data/targets.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { type DistillationLoss, readsTeacher } from "../losses/loss.js";
import { failureOn, readsOutputsAlone } from "../losses/trial_batch.js";
import { Module } from "../nn/module.js";
import { widthFor } from "./inference.js";
import { tapShapeOf } from "./resolve_loss.js";

/** What is trained, and for what. */
interface Trainee {
  /** By the name that errors use; the teacher teaches the first one. */
  networks: Readonly<Record<string, Module>>;
  /** A teacher that is a network is tried too, if the loss reads it. */
  teacher?: unknown;
  loss: DistillationLoss;
  data: Dataset;
  batchSize: number;
  /** Whether they are also evaluated on such data, for which the outputs have to fit. */
  isEvaluated: boolean;
}

/**
 * Before anything is trained or written, refuses networks that have no parameter to train, that can't process the
 * data's samples, or whose outputs do not fit the loss or the evaluation: each is tried on the first sample.
 */
export function expectTrainable({ networks, teacher, loss, data, batchSize, isEvaluated }: Trainee): void {
  const ofLoss = Object.values(loss.modules ?? {}).flatMap((module) => module.parameters());
  for (const [name, network] of Object.entries(networks)) {
    if ([...network.parameters(), ...ofLoss].some(({ requiresGrad }) => requiresGrad)) continue;
    const text = "has no parameter that requires a gradient: unfreeze() it, or some of its layers";
    throw argumentError(name, text);
  }
  const shapeOf = (name: string, network: Module) => [name, [1, ...sampleShape(name, network)]] as const;
  const sampleShape = (name: string, network: Module) => {
    try {
      return tapShapeOf(network, data, name, "");
    } catch {
      // It may accept only a whole batch.
      return tapShapeOf(network, data, name, "", Math.min(batchSize, data.length));
    }
  };
  const shapes = Object.entries(networks).map(([name, network]) => shapeOf(name, network));
  const isAsked = teacher instanceof Module && (readsTeacher(loss) || isEvaluated);
  const taught = isAsked ? shapeOf("teacher", teacher) : null;
  const wrong = wrongOutputs(taught === null ? shapes : [...shapes, taught], 1, data);
  if (wrong === null) return;
  const { classes } = data;
  const [student, ofTeacher] = [shapes[0], taught ?? ["", [1, classes]]].map(([, shape]) => shape.slice(1));
  const isRefused = () => isOfShapes(failureOn(loss, { student, teacher: ofTeacher, classes }));
  if (widthFor(data) < 0) {
    // Evaluations accept other dimensions than the targets', and so may the loss.
    if (taught === null || !readsOutputsAlone(loss) || !isRefused()) return;
    const text = `gives ${student} dimensions a sample and the teacher ${ofTeacher}, which ${loss.name} compares`;
    const advice = '"vector-kd(projection=true)" trains a Linear between them';
    throw new DistilleryError("SHAPE_MISMATCH", `student: ${text}: ${advice}`);
  }
  if (isEvaluated || (readsOutputsAlone(loss) && isRefused())) throw wrong;
}

/** Whether an error may be caused by a network whose outputs have a wrong shape. */
export function isOfShapes(error: unknown): boolean {
  return error instanceof DistilleryError && ["SHAPE_MISMATCH", "LABEL_OUT_OF_RANGE"].includes(error.code);
}

/** The error for the first network whose outputs for `rows` samples lack a number for each output of the data. */
export function wrongOutputs(
  shapes: readonly (readonly [name: string, shape: readonly number[]])[],
  rows: number,
  data: Dataset,
  cause?: unknown,
): DistilleryError | null {
  const isOfRows = (shape: readonly number[]) => shape.length === 2 && shape[0] === rows;
  const wrong = shapes.find(([, shape]) => !isOfRows(shape) || shape[1] !== data.classes);
  if (wrong === undefined) return null;
  const [name, shape] = wrong;
  const given = hasTargets(data) ? "outputs" : "logits";
  const text = isOfRows(shape)
    ? `gives ${shape[1]} ${given} a sample, the data have ${outputsText(data)}`
    : `expected ${given} of shape [${rows}, ${data.classes}], got [${shape.join(", ")}]`;
  return new DistilleryError("SHAPE_MISMATCH", `${name}: ${text}`, { argument: name, cause });
}
