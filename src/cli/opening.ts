import type { Dataset } from "../data/dataset.js";
import { outputsText } from "../data/targets.js";
import { networkSpecOf } from "../models/create_network.js";
import { Module } from "../nn/module.js";
import { capitalized, showCount } from "../show.js";
import { numel } from "../tensor/shape.js";
import { getNumThreads } from "../threads.js";
import type { Source } from "./source.js";

/** The data of a command and their parts. */
interface Parts {
  source: Pick<Source, "name" | "context" | "test">;
  training: Dataset;
  validation: Dataset | null;
}

/**
 * The networks of a command by role, in the order in which they are printed; a teacher that is not a network as the
 * user named it.
 */
type Roles = Readonly<Record<string, Module | string>>;

/**
 * Two lines about what is trained: the data; and the networks with their parameters, and the threads. Shorter on a
 * narrow terminal.
 */
export function openingLines(parts: Parts, networks: Roles, width: number): string[] {
  return [dataForms(parts), networkForms(networks)].map(
    (forms) => forms.find((line) => line.length <= width) ?? (forms.at(-1) as string),
  );
}

/** Descriptions of the data, from the longest to the shortest. */
export function dataForms({ source, training, validation }: Parts): [string, ...string[]] {
  const { name, context, test } = source;
  const values = `${showCount(numel(context.shape))} values`;
  const outputs = outputsText(training);
  const counts = [training.length, validation?.length ?? 0, test?.length ?? 0].map(showCount);
  const [all, held, tested] = counts;
  const samples = `${all} samples for training, ${held} for validation, ${tested} for testing`;
  return [
    `Data: ${name}, ${samples}; ${values}, ${outputs}`,
    `Data: ${name}, ${values}, ${outputs}; ${all} training, ${held} validation, ${tested} test`,
    `Data: ${name}, ${outputs}; ${all} training, ${held} validation, ${tested} test`,
    `Data: ${name}; ${counts.join(" + ")} samples`,
  ];
}

function networkForms(networks: Roles): [string, ...string[]] {
  const given = Object.entries(networks);
  const threads = `${getNumThreads()} ${getNumThreads() === 1 ? "thread" : "threads"}`;
  const line = (isNamed: boolean) => {
    const texts = given.map(([role, network]) => {
      const name = nameOf(network);
      const shown = (isNamed || !(network instanceof Module)) && name !== role ? [name] : [];
      const size = network instanceof Module ? [`${showCount(network.parameterCount())} parameters`] : [];
      return `${role}: ${[...shown, ...size].join(", ")}`;
    });
    return capitalized([...texts, threads].join("; "));
  };
  return [line(true), line(false)];
}

function nameOf(network: Module | string): string {
  if (typeof network === "string") return network;
  return networkSpecOf(network)?.network ?? network.constructor.name;
}
