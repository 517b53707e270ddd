import { fingerprint, type RunConfig } from "../checkpoint/index.js";
import type { Generator } from "../tensor/random.js";
import type { RunSetup } from "./run.js";
import { randomState } from "./snapshot.js";

/** All that a run's numbers follow from: what `config.json` keeps, and what a resumed run must have too. */
export function configOf(
  { command, model, data, options, config, controls }: RunSetup,
  generator: Generator,
): RunConfig {
  return {
    ...controls.about,
    command,
    ...options,
    ...config(),
    data: data.name,
    examples: data.length,
    features: data.features,
    classes: data.classes,
    dataHash: data.fingerprint(),
    modelHash: fingerprint(model.stateDict()),
    randomHash: fingerprint({ state: randomState(generator) }),
  };
}
