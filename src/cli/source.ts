import type { InferOutput } from "valibot";
import { VALIDATION_FRACTION } from "../compare/options.js";
import type { dataSchema } from "../config/index.js";
import { type AugmentOptions, augment } from "../data/augment.js";
import { type Dataset, NO_LABEL } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { loadData } from "../data/load_data.js";
import { givenFormatOptions, onlyLoading } from "../data/load_options.js";
import { type Preprocessing, textColumnOf } from "../data/preprocessing/spec.js";
import { splitDataset } from "../data/split.js";
import { hasTargets } from "../data/task_name.js";
import { synthetic } from "../data/tensor_dataset.js";
import { entryOf } from "../data/text/encodings.js";
import { DistilleryError } from "../errors.js";
import type { NetworkContext } from "../models/network.js";
import { shellQuoted } from "../shell_quoted.js";
import { taskOf } from "../tasks/index.js";
import { manualSeed } from "../tensor/random.js";
import { setNumThreads } from "../threads.js";
import { UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";
import type { ShowFlags } from "./flags.js";
import { printError } from "./terminal.js";

/** Where a command's data come from, and how they are split. */
type SourceOptions = InferOutput<typeof dataSchema> & {
  /** The fraction of the training data that is held out; default: none. */
  validation?: number;
  augment?: AugmentOptions | undefined;
};

/** The data of a command. `train` draws the synthetic data: call it after the networks are made. */
export interface Source {
  name: string;
  isSynthetic: boolean;
  /** What a network for these data is made for. */
  context: NetworkContext;
  train(): Dataset;
  /** Held out of the training data; null for synthetic data, and if nothing is held out. */
  validation: Dataset | null;
  /** Null for synthetic data, and if there is no test set. */
  test: Dataset | null;
  /** Whether a network may have any outputs, whatever the labels are. */
  takesVectors?: boolean;
}

/**
 * Sets threads and seed, and opens the data, with a network's preprocessing if that is given. The random stream has
 * drawn nothing afterwards.
 */
export async function setUp(
  options: SourceOptions,
  preprocessing?: Preprocessing,
  { quiet = false }: ShowFlags = {},
): Promise<Source> {
  const { threads, seed } = options;
  if (threads !== undefined) setNumThreads(threads);
  const [foreign] = options.data === "synthetic" ? givenFormatOptions(options) : [];
  if (foreign !== undefined)
    throw new UsageError(
      `${flagOf(foreign, options[foreign])}: the synthetic data are not read from files: leave it out`,
    );
  const source =
    options.data === "synthetic" ? syntheticSource(options) : await openSource(options, preprocessing, quiet);
  manualSeed(seed);
  return source;
}

function syntheticSource({ augment: changes }: SourceOptions): Source {
  const train = () => (changes === undefined ? synthetic() : augment(synthetic(), changes));
  const context = { shape: [784], classes: 10 };
  return { name: "synthetic", isSynthetic: true, context, train, validation: null, test: null };
}

async function openSource(
  options: SourceOptions,
  preprocessing: Preprocessing | undefined,
  quiet: boolean,
): Promise<Source> {
  const { data, validation = 0, augment: changes } = options;
  const {
    name,
    train: all,
    test,
    validation: own,
  } = await loadData(data, {
    ...onlyLoading(options),
    onNote: quiet ? undefined : printError,
    preprocessing,
  });
  if (own !== null && validation > 0 && validation !== VALIDATION_FRACTION) {
    throw new UsageError(
      `--validation: ${data} has a validation part of its own, and none is held out: leave it out, or give 0 for none`,
    );
  }
  const isSplit = validation > 0 && own === null;
  const { train, heldOut } = isSplit ? split(all, options) : { train: all, heldOut: own };
  if (heldOut !== null && !quiet) {
    for (const note of taskOf(heldOut).undefinedMetrics(heldOut)) printError(`validation: ${note}`);
  }
  const changed = changes === undefined ? train : augment(train, changes);
  const column = textColumnOf(all);
  const context = {
    shape: all.shape ?? [all.features],
    classes: all.classes,
    ...(column !== null && { vocabulary: entryOf(column.text).rows(column.text) }),
  };
  return {
    name,
    isSynthetic: false,
    context,
    train: () => changed,
    validation: validation === 0 ? null : heldOut,
    test,
  };
}

function split(
  whole: Dataset,
  { data, validation: fraction = 0, splitSeed: seed }: SourceOptions,
): { train: Dataset; heldOut: Dataset } {
  try {
    return splitDataset(whole, { fraction, seed });
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") throw error;
    if (!hasTargets(whole) && labelsOf(whole).every((label) => label === NO_LABEL)) {
      const text = `no sample has a label, which classes need; a text encoder's vectors need none: ${vectorsAdvice("ENCODER", data)}`;
      throw new DistilleryError("BAD_DATA", `${whole.name}: ${text}`, { cause: error });
    }
    const text = hasTargets(whole)
      ? "expected at least two samples for training, to hold one out, got 1"
      : "no class has two samples for training, one of which could be held out";
    throw new DistilleryError("BAD_DATA", `${whole.name}: ${text}: --validation 0 trains without a validation set`, {
      cause: error,
    });
  }
}

/** How to distil a network's vectors in two commands. */
export function vectorsAdvice(file: string, data: string): string {
  const [teacher, samples] = [file, data].map(shellQuoted);
  const first = `\`distillery logits --teacher ${teacher} --data ${samples} --out vectors.npy\``;
  return `${first}, then \`distillery distill --data ${samples} --teacher vectors.npy --targets vectors.npy\``;
}
