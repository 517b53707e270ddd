import type { Module } from "./module.js";

/** A network, and whether it is to be in train mode. */
export type Mode = readonly [network: Module, training: boolean];

/** Runs `body` with networks in these modes; the mode of each module in them is set back afterwards. */
export function inModes<T>(modes: readonly Mode[], body: () => T): T {
  const before = modes.flatMap(([network]) => modulesOf(network)).map((module) => [module, module.training] as const);
  for (const [network, training] of modes) network.train(training);
  try {
    return body();
  } finally {
    for (const [module, training] of before) module.training = training;
  }
}

/** Runs `body` with a network in eval mode. */
export function inEvalMode<T>(network: Module, body: () => T): T {
  return inModes([[network, false]], body);
}

function modulesOf(network: Module): Module[] {
  return [network, ...network.namedChildren().flatMap(([, child]) => modulesOf(child))];
}
