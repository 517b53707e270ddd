import type { Dataset } from "../data/dataset.js";
import { DerivedDataset } from "../data/derived_dataset.js";
import { ImageDataset } from "../data/image_dataset.js";
import type { Module } from "../nn/module.js";

/** The memory that a run takes, in bytes, part by part. */
export interface RunMemory {
  /** Of all networks. */
  weights: number;
  /** With shards, this includes those of each shard and their sums. */
  gradients: number;
  /** The optimizer's state, such as AdamW's moments. */
  optimizer: number;
  /** Everything that a step and a validation pass hold, including the gradients of activations. */
  activations: number;
  data: number;
  teacherLogits: number;
  /** The averaged and the best weights, and checkpoints that are being written. */
  copies: number;
  /** Node.js, the code and everything else in the process. */
  process: number;
}

/** What the memory is estimated from. */
interface MemoryInputs {
  /** The trained one first. */
  networks: readonly [Module, ...Module[]];
  /** Trained with the network: the modules of the loss. */
  modules: readonly Module[];
  data: Dataset;
  validation?: Dataset | undefined;
  optimizer: number;
  activations: number;
  /** Whether the weights are averaged. */
  hasAverage: boolean;
  /** Whether the teacher's logits are cached. */
  isCached: boolean;
  shards: number;
  batchNorm: "shard" | "batch";
}

const FLOAT = 4;

/**
 * The memory of a run, part by part. Call it while the process holds the networks, the data and the memory of a step.
 */
export function memoryOf({ networks, modules, data, validation, ...more }: MemoryInputs): RunMemory {
  const { optimizer, activations, hasAverage, isCached, shards, batchNorm } = more;
  const size = (network: Module) => FLOAT * network.parameterCount();
  const sizes = (all: readonly Module[]) => all.reduce((sum, network) => sum + size(network), 0);
  const trained = sizes([networks[0], ...modules]);
  const [average, best] = [hasAverage, validation !== undefined].map((has) => (has ? size(networks[0]) : 0));
  const parts = {
    weights: sizes([...networks, ...modules]),
    gradients: trained * (1 + shardCopies(shards, batchNorm)),
    optimizer,
    activations,
    data: dataBytes(validation === undefined ? [data] : [data, validation]),
  };
  const here = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  return {
    ...parts,
    teacherLogits: isCached ? FLOAT * data.length * data.classes : 0,
    // Checkpoints and best weights count twice: the garbage collector releases one only after the next exists.
    copies: average + 2 * best + 2 * (trained + optimizer + average + best),
    process: Math.max(0, process.memoryUsage.rss() - here),
  };
}

/**
 * How many copies of the gradients exist besides those of the parameters: the sums of a binary tree, and those of all
 * shards if they wait for each other.
 */
function shardCopies(shards: number, batchNorm: "shard" | "batch"): number {
  if (shards === 1) return 0;
  return 1 + Math.ceil(Math.log2(shards)) + (batchNorm === "batch" ? shards : 0);
}

/** Of the data sets that these are made of, each counted once. */
function dataBytes(datasets: readonly Dataset[]): number {
  const bases = new Set(datasets.map(baseOf));
  return [...bases].reduce((sum, base) => sum + ownBytes(base), 0);
}

function baseOf(dataset: Dataset): Dataset {
  return dataset instanceof DerivedDataset ? baseOf(dataset.dataset) : dataset;
}

function ownBytes(dataset: Dataset): number {
  if (dataset instanceof ImageDataset) return dataset.pixels.byteLength + dataset.labels.data.byteLength;
  // Data that are read from disk stay there, except for a chunk.
  return FLOAT * Math.min(dataset.length, dataset.chunk ?? dataset.length) * (dataset.features + 1);
}
