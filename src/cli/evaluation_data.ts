import { NO_LABEL } from "../data/dataset.js";
import { DATASET_NAMES, type Dataset, labelsOf, Subset } from "../data/index.js";
import { isSource, testPartOf } from "../data/origin.js";
import { indexRange } from "../data/take_batch.js";
import { hasTargets } from "../data/task_name.js";
import { createNetwork } from "../models/create_network.js";
import type { TrainingRecord } from "../models/training_record.js";
import { UsageError } from "./error_boundary.js";
import { unknownText } from "./networks.js";
import type { DataOptions } from "./settings.js";
import { type Source, setUp } from "./source.js";

/** The samples that a network is evaluated on. */
export interface EvaluationData {
  source: Source;
  data: Dataset;
  /** Notes for the user. */
  notes: string[];
}

/**
 * The samples to evaluate a network from a file on, preprocessed as in its training: the test part of the data. Data
 * without one give all samples or, if the network was trained on them, its held-out part. `--test-fraction` and
 * `--split-seed` always split.
 */
export async function evaluationData(
  file: string,
  record: TrainingRecord | null,
  options: DataOptions,
  flags: Readonly<Record<string, unknown>>,
): Promise<EvaluationData> {
  const isSplit = flags.testFraction !== undefined || flags.splitSeed !== undefined;
  if (options.data === "synthetic" || record === null) {
    const source = await setUp(options);
    if (source.isSynthetic) return { source, data: scriptData(source), notes: [] };
    const data = source.test ?? source.train();
    if (DATASET_NAMES.includes(options.data)) return { source, data, notes: [] };
    const notes = [unknownText(file, source)];
    if (data instanceof Subset && data.selection?.of === "test" && !isSplit) {
      const part = `${data.length} of the ${data.dataset.length} samples of ${source.name}, which are held out`;
      notes.push(`it is scored on ${part}: --test-fraction 0 takes all`);
    }
    return { source, data, notes };
  }
  const { preprocessing } = record;
  const source = await setUp(isSplit ? options : { ...options, testFraction: 0 }, preprocessing);
  const all = source.train();
  if (source.test !== null || isSplit) return { source, data: source.test ?? all, notes: [] };
  const origin = record.origin();
  if (origin === null || !isSource(origin, all)) {
    const data = labelledOf(all, options.data);
    const notes = data === all ? [] : [`${data.length} of ${all.length} samples have a label: these are evaluated on`];
    return { source, data, notes };
  }
  const data = testPartOf(origin, all);
  if (data !== null) return { source, data, notes: [] };
  const text = `${file} was trained on ${options.data} without a test part`;
  throw new UsageError(`--data: ${text}: --test-fraction 0 evaluates on what it was trained on`);
}

/** The labelled samples, which accuracy needs. */
function labelledOf(data: Dataset, name: string): Dataset {
  if (data.unlabelled !== true || hasTargets(data)) return data;
  const labels = labelsOf(data);
  const indices = indexRange(0, data.length).filter((i) => labels[i] !== NO_LABEL);
  if (indices.length === 0) throw new UsageError(`--data: no sample of ${name} has a label, which evaluate needs`);
  return indices.length === data.length ? data : new Subset(data, indices);
}

/** The reference script draws its data after its networks. */
function scriptData({ context, train }: Source): Dataset {
  createNetwork("teacher", context);
  createNetwork("student", context);
  return train();
}
