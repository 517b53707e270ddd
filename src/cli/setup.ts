import { load } from "../checkpoint/index.js";
import { type Dataset, loadImages, synthetic } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { networkFrom } from "../models/from_state.js";
import type { StudentNet } from "../models/student_net.js";
import type { TeacherNet } from "../models/teacher_net.js";
import { manualSeed } from "../tensor/random.js";
import { MAX_THREADS, setNumThreads } from "../threads.js";
import { type CommonFlags, type LoadFlags, loadOptions, wholeFrom } from "./flags.js";

/** Where a command's data comes from. `train` draws the synthetic data: call it after the networks were made. */
export interface Source {
  isSynthetic: boolean;
  sizes: { inFeatures: number; classes: number };
  train(): Dataset;
  /** Held out; null for synthetic data. */
  test: Dataset | null;
}

/** Sets threads and seed, and opens the data; the stream has drawn nothing afterwards. */
export async function setUp(flags: CommonFlags): Promise<{ source: Source; seed: number }> {
  if (flags.threads !== undefined) setNumThreads(wholeFrom("--threads", flags.threads, 1, MAX_THREADS));
  const seed = wholeFrom("--seed", flags.seed, 0);
  const source = await openSource(flags.data);
  manualSeed(seed);
  return { source, seed };
}

async function openSource(name: string): Promise<Source> {
  if (name === "synthetic") {
    return { isSynthetic: true, sizes: { inFeatures: 784, classes: 10 }, train: () => synthetic(), test: null };
  }
  const { train, test } = await loadImages(name);
  return {
    isSynthetic: false,
    sizes: { inFeatures: train.features, classes: train.classes },
    train: () => train,
    test,
  };
}

/** A network from its file. */
export async function readNetwork(file: string, flags: LoadFlags): Promise<TeacherNet | StudentNet> {
  const state = await load(file, loadOptions(flags));
  try {
    return networkFrom(state);
  } catch (error) {
    if (!(error instanceof DistilleryError)) throw error;
    throw new DistilleryError(error.code, `${file}: ${error.message}`, { cause: error });
  }
}

/** Refuses a network that does not fit the data, naming its file. */
export function expectFits(file: string, network: TeacherNet | StudentNet, { sizes }: Source, data: string): void {
  const shapes = Object.values(network.stateDict()).map(({ shape }) => shape);
  const weights = shapes.filter((shape) => shape.length === 2);
  const [inFeatures, classes] = [weights[0]?.[1], weights.at(-1)?.[0]];
  if (inFeatures === sizes.inFeatures && classes === sizes.classes) return;
  throw new DistilleryError(
    "SHAPE_MISMATCH",
    `${file}: a network of ${inFeatures} inputs and ${classes} classes; ${data} has ${sizes.inFeatures} and ${sizes.classes}`,
  );
}
