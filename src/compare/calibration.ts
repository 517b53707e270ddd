import { setImmediate } from "node:timers/promises";
import { load } from "../checkpoint/index.js";
import { type Dataset, labelsOf } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { evaluateLogits } from "../tasks/classification_metrics.js";
import type { Tensor } from "../tensor/tensor.js";
import { fitTemperature } from "../train/calibrate_teacher.js";
import { logitsOf } from "../train/index.js";
import { type SampleStats, sampleStats } from "./statistics.js";

/** The calibration error of networks on the test set, and what one number, chosen on the validation set, makes of it (Guo et al., 2017). */
export interface ScaledCalibration {
  error: SampleStats;
  /** What the logits are divided by, and the error then; null if no temperature is best for one of the networks. */
  temperature: SampleStats | null;
  scaledError: SampleStats | null;
}

/** The parts of the data that are read. */
interface Parts {
  validation: Dataset;
  test: Dataset;
}

/** The calibration of one network after another, such as one that takes the weights of several files. */
export async function calibrationOf(
  networks: AsyncIterable<Module> | readonly Module[],
  parts: Parts,
): Promise<ScaledCalibration> {
  const [errors, temperatures, scaled]: [number[], number[], number[]] = [[], [], []];
  for await (const network of networks) {
    const logits = logitsOf(network, parts.test);
    const labels = labelsOf(parts.test);
    const errorOf = (of: Tensor) => evaluateLogits(of, labels).calibration.error;
    errors.push(errorOf(logits));
    const temperature = bestTemperature(network, parts.validation);
    if (temperature === null) continue;
    temperatures.push(temperature);
    scaled.push(errorOf(logits.div(temperature)));
  }
  const isScaled = scaled.length === errors.length;
  return {
    error: sampleStats(errors),
    temperature: isScaled ? sampleStats(temperatures) : null,
    scaledError: isScaled ? sampleStats(scaled) : null,
  };
}

/** A network with the weights of one file after the other. */
export async function* withWeights(files: readonly string[], network: Module, signal: AbortSignal) {
  for (const file of files) {
    await setImmediate();
    if (signal.aborted) throw new DistilleryError("ABORTED", "stopped while students and teacher were compared");
    network.loadStateDict(await load(file));
    yield network;
  }
}

/** Null if the validation set's labels are all right, or none better than by chance. */
function bestTemperature(network: Module, validation: Dataset): number | null {
  const logits = Float64Array.from(logitsOf(network, validation).data);
  const labels = labelsOf(validation);
  try {
    return fitTemperature(logits, labels, validation.classes).temperature;
  } catch (error) {
    if (error instanceof DistilleryError && error.code === "BAD_ARGUMENT") return null;
    throw error;
  }
}
