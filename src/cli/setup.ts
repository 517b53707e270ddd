import type { InferOutput } from "valibot";
import { loadNetwork } from "../checkpoint/index.js";
import type { sourceSchema } from "../config/index.js";
import { type AugmentOptions, augment } from "../data/augment.js";
import type { Dataset } from "../data/dataset.js";
import type { LoadDataOptions } from "../data/formats/load_data.js";
import { splitDataset } from "../data/split.js";
import { synthetic } from "../data/synthetic.js";
import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { manualSeed } from "../tensor/random.js";
import { setNumThreads } from "../threads.js";
import { UsageError } from "./errors.js";
import { type LoadFlags, loadOptions } from "./flags.js";

/** What says where a command's data come from and how they are taken apart. */
export type SourceOptions = InferOutput<typeof sourceSchema> & {
  /** The share of the training data that is held out; default: none. */
  validation?: number;
  augment?: AugmentOptions | undefined;
};

/** Where a command's data come from. `train` draws the synthetic data: call it after the networks were made. */
export interface Source {
  name: string;
  isSynthetic: boolean;
  sizes: { inFeatures: number; classes: number };
  train(): Dataset;
  /** Held out of the training data; null where none is, and for synthetic data. */
  validation: Dataset | null;
  /** Held out of all; null for synthetic data. */
  test: Dataset | null;
}

/** Sets threads and seed, and opens the data; the stream has drawn nothing afterwards. */
export async function setUp(options: SourceOptions): Promise<{ source: Source; seed: number }> {
  const { threads, seed } = options;
  if (threads !== undefined) setNumThreads(threads);
  const source = options.data === "synthetic" ? syntheticSource(options) : await openSource(options);
  manualSeed(seed);
  return { source, seed };
}

function syntheticSource({ augment: changes }: SourceOptions): Source {
  const train = () => (changes === undefined ? synthetic() : augment(synthetic(), changes));
  const sizes = { inFeatures: 784, classes: 10 };
  return { name: "synthetic", isSynthetic: true, sizes, train, validation: null, test: null };
}

async function openSource(options: SourceOptions): Promise<Source> {
  const { data, validation = 0, splitSeed, augment: changes } = options;
  // Only here: the script starts without the readers of files.
  const { loadData } = await import("../data/formats/load_data.js");
  const { name, train: whole, test } = await loadData(data, loadingOptions(options));
  const { train, heldOut } = validation === 0 ? { train: whole, heldOut: null } : split(whole, validation, splitSeed);
  const changed = changes === undefined ? train : augment(train, changes);
  const sizes = { inFeatures: whole.features, classes: whole.classes };
  return { name, isSynthetic: false, sizes, train: () => changed, validation: heldOut, test };
}

function split(whole: Dataset, fraction: number, seed: number): { train: Dataset; heldOut: Dataset } {
  try {
    return splitDataset(whole, { fraction, seed });
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") throw error;
    const text = `${whole.name}: no class has two examples for training, one of which could be held out`;
    throw new DistilleryError("BAD_DATA", `${text}: --validation 0 trains without a validation set`, { cause: error });
  }
}

/** Refuses a last batch of one example, which BatchNorm in train mode can't take, before anything runs. */
export function expectBatches({ batchSize, dropLast }: { batchSize: number; dropLast: boolean }, data: Dataset): void {
  if (dropLast || data.length % batchSize !== 1) return;
  const text = `${batchSize} leaves a last batch of one of ${data.length} examples, which BatchNorm can't take`;
  throw new UsageError(`--batch-size: ${text}: --drop-last leaves it out`);
}

function loadingOptions({
  labelColumn,
  header,
  imageSize,
  grey,
  stream,
  testShare,
  splitSeed,
}: SourceOptions): LoadDataOptions {
  const given = Object.entries({ labelColumn, header, imageSize, grey, stream, testFraction: testShare, splitSeed });
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** A network from its file. */
export async function readNetwork(file: string, flags: LoadFlags): Promise<Module> {
  return loadNetwork(file, loadOptions(flags));
}

/** Refuses a network that does not fit the data, naming its file. */
export function expectFits(file: string, network: Module, { sizes, name }: Pick<Source, "sizes" | "name">): void {
  const shapes = Object.values(network.stateDict()).map(({ shape }) => shape);
  const weights = shapes.filter((shape) => shape.length === 2);
  const [inFeatures, classes] = [weights[0]?.[1], weights.at(-1)?.[0]];
  if (inFeatures === sizes.inFeatures && classes === sizes.classes) return;
  throw new DistilleryError(
    "SHAPE_MISMATCH",
    `${file}: a network of ${inFeatures} inputs and ${classes} classes; ${name} has ${sizes.inFeatures} and ${sizes.classes}`,
  );
}
