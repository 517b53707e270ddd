import type { Dataset } from "../data/dataset.js";
import { DerivedDataset } from "../data/derived_dataset.js";
import { ImageDataset } from "../data/image_dataset.js";
import type { Module } from "../nn/module.js";

/** The bytes that a run takes in memory, part by part. */
export interface RunMemory {
  /** Of all networks. */
  weights: number;
  gradients: number;
  /** AdamW's moments. */
  optimizer: number;
  /** All that a step and a look at the validation set hold, the gradients of activations included. */
  activations: number;
  data: number;
  teacherAnswers: number;
  /** The best weights, and checkpoints while they are written. */
  copies: number;
  /** Node.js, the code and what else the process has. */
  process: number;
}

/** What the parts follow from. */
interface Holder {
  /** The trained one first. */
  networks: readonly [Module, ...Module[]];
  data: Dataset;
  validation?: Dataset | undefined;
  activations: number;
  /** Whether the teacher's answers are kept. */
  isCached: boolean;
}

const FLOAT = 4;

/** Taken while the process holds the networks, the data and what a step needs. */
export function memoryOf({ networks, data, validation, activations, isCached }: Holder): RunMemory {
  const size = (network: Module) => FLOAT * network.parameterCount();
  const trained = size(networks[0]);
  const parts = {
    weights: networks.reduce((sum, network) => sum + size(network), 0),
    gradients: trained,
    optimizer: 2 * trained,
    activations,
    data: bytesOf(validation === undefined ? [data] : [data, validation]),
  };
  const here = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  return {
    ...parts,
    teacherAnswers: isCached ? FLOAT * data.length * data.classes : 0,
    // Weights and moments, of the best epoch too; the garbage collector lets one go when the next is written.
    copies: 2 * (validation === undefined ? 3 : 5) * trained,
    process: Math.max(0, process.memoryUsage.rss() - here),
  };
}

/** Of the data sets behind these, each once. */
function bytesOf(datasets: readonly Dataset[]): number {
  const bases = new Set(datasets.map(baseOf));
  return [...bases].reduce((sum, base) => sum + ownBytes(base), 0);
}

function baseOf(dataset: Dataset): Dataset {
  return dataset instanceof DerivedDataset ? baseOf(dataset.dataset) : dataset;
}

function ownBytes(dataset: Dataset): number {
  if (dataset instanceof ImageDataset) return dataset.pixels.byteLength + dataset.labels.data.byteLength;
  // What is read from a disk stays there, but for a chunk.
  return FLOAT * Math.min(dataset.length, dataset.chunk ?? dataset.length) * (dataset.features + 1);
}
