import { fingerprint, type RunConfig } from "../checkpoint/index.js";
import type { Generator } from "../tensor/random.js";
import type { RunSetup } from "./run_setup.js";
import { randomState } from "./snapshot.js";

/** All that a run's numbers follow from: what `config.json` keeps, and what a resumed run must have too. */
export function configOf(
  { command, model, data, validation, options, config, controls }: RunSetup,
  generator: Generator,
): RunConfig {
  return {
    ...controls.about,
    command,
    ...options,
    // A course of one's own is told by its text.
    schedule: String(options.schedule),
    ...config(),
    data: data.name,
    examples: data.length,
    features: data.features,
    classes: data.classes,
    dataHash: data.fingerprint(),
    ...(validation && { validationExamples: validation.length, validationHash: validation.fingerprint() }),
    modelHash: fingerprint(model.stateDict()),
    randomHash: fingerprint({ state: randomState(generator) }),
  };
}
