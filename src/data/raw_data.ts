import { createHash } from "node:crypto";
import { types } from "node:util";
import { argumentError, expectLength, show } from "../checks.js";
import { badData } from "../files/index.js";
import { Tensor } from "../tensor/tensor.js";
import { type Dataset, NO_LABEL, type TableLayout, type ValueLayout } from "./dataset.js";
import { EncodedRows, measureTable } from "./encoded_table.js";
import { ImageDataset, type ImageSize } from "./image_dataset.js";
import { expectClassNames } from "./labels.js";
import type { LoadDataOptions } from "./load_options.js";
import { type ReadSourceRow, setSourceHash, setSourceRows } from "./origin.js";
import type { Preprocessing } from "./preprocessing/spec.js";
import {
  featuresOf,
  MemoryRows,
  materialize,
  type RowData,
  type RowSource,
  rowsWithin,
  visitRows,
} from "./row_source.js";
import { ChannelStatistics, measureColumns, type Normalisation, StandardizedRows, unfitText } from "./statistics.js";
import { StreamedDataset } from "./streamed_dataset.js";
import type { TableReader } from "./table_reader.js";
import { type GivenLabels, isScaled, standardized } from "./targets.js";
import { type TaskName, taskNameOf } from "./task_name.js";
import { type DatasetOptions, StandardizedDataset, TableDataset, TensorDataset } from "./tensor_dataset.js";

/** What a format finds at a path: samples before anything is measured, and their labels. */
export interface RawData {
  readonly train: RawPart;
  /** Null if the source has none. */
  readonly test: RawPart | null;
  /** Samples to choose epochs by, if the source has them. */
  readonly validation?: RawPart | null;
  /** Default: classification. */
  readonly task?: TaskName;
  /** The number of outputs. */
  readonly classes: number;
  readonly classNames?: readonly string[];
}

/** Some samples with their classes. */
export interface RawPart {
  /** Bytes are pixels; doubles are the cells of a table, or numbers that are standardised. */
  readonly rows: RowSource;
  /** [rows]. */
  readonly labels: Int32Array;
  /** [rows, classes], in the unit of their columns, for another task than classification; `labels` are then all -1. */
  readonly targets?: Float64Array;
  /** For bytes: whether their shape is [channels, height, width]; default true. */
  readonly isImage?: boolean;
  /** Of image files: whether they are turned as their EXIF orientation says. */
  readonly upright?: boolean;
  /** For numbers: whether they are the columns of a matrix, which are standardised. */
  readonly isMatrix?: boolean;
  /** For the cells of a table: what read them. */
  readonly table?: TableReader;
  /** For texts, which are ids already: the table that they are of. */
  readonly layout?: TableLayout;
  /** Finds a row in its file again. */
  readonly sourceRow?: ReadSourceRow;
  /** The texts of rows, if their ids are the values. */
  readonly texts?: (rows: Int32Array) => readonly string[];
  /** Whether they are the rows of a table that were encoded as a network takes them. */
  readonly isEncoded?: boolean;
  /** SHA-256 in hex over the file that the rows and labels are from; default: over these themselves. */
  readonly sha256?: string;
}

/** How {@link toDatasets} makes data sets. */
export interface BuildOptions {
  readonly name: string;
  /** Whether the samples stay on the disk. */
  readonly stream: boolean;
  /** The bytes of the values that are read at once. */
  readonly chunkBytes?: number;
  /** Whether the columns of tables and matrices are standardised; default true. */
  readonly standardize?: boolean;
  /** For pixels; default: measured. */
  readonly normalisation?: Normalisation;
  /** How samples become values; default: measured. The rows of a table are encoded by it already. */
  readonly preprocessing?: Preprocessing;
}

/** Refuses options for numbers, and for cells that may be missing, if samples have none and nothing would read them. */
export function expectCells(
  { train, task }: RawData,
  { standardize, missing = "error" }: Pick<LoadDataOptions, "standardize" | "missing">,
  source: string,
): void {
  const hasCells = train.table !== undefined && train.rows.dtype === "float64";
  const isStandardized = hasCells || train.isMatrix || (train.targets !== undefined && isScaled(taskNameOf({ task })));
  if (standardize === false && !isStandardized) {
    throw argumentError("standardize", `is for columns of numbers, and ${source} has none: leave it out`);
  }
  if (missing === "error" || hasCells) return;
  const text = `is for cells of numbers and categories, and ${source} has texts: leave it out`;
  throw argumentError("missing", text);
}

/** About the bytes that are read at once. */
const CHUNK_BYTES = 2 ** 23;

/**
 * The data sets of the parts, in memory or streamed, with the same values. Statistics are measured over the rows of the
 * training part with these ascending indices.
 */
export async function toDatasets(
  { train, test, validation = null, ...shared }: RawData,
  source: string,
  measured: Int32Array,
  options: BuildOptions,
): Promise<{ train: Dataset; test: Dataset | null; validation: Dataset | null }> {
  const rows = options.stream ? train.rows : await materialize(train.rows, source);
  const targetScale = await measureTargets(train, shared, measured, options, source);
  const fitted = { ...(await measureRows({ ...train, rows }, measured, options, source)), targetScale };
  const first = withSource(await build({ ...train, rows }, shared, fitted, options, source), train);
  const other = async (part: RawPart | null) => {
    if (part === null) return null;
    const partRows = options.stream ? part.rows : await materialize(part.rows, source);
    const made = await build({ ...part, rows: partRows }, shared, { ...fitted, sha256: null }, options, source);
    return withSource(made, part);
  };
  return { train: first, test: await other(test), validation: await other(validation) };
}

/** A data set that knows the rows and texts that it was made of. */
function withSource(dataset: Dataset, { sourceRow, texts, sha256 }: RawPart): Dataset {
  return setSourceRows(texts === undefined ? dataset : Object.assign(dataset, { texts, textsHash: sha256 }), sourceRow);
}

/** What standardises the targets of a regression. */
async function measureTargets(
  { targets }: RawPart,
  { task, classes, classNames }: Pick<RawData, "task" | "classes" | "classNames">,
  measured: Int32Array,
  { preprocessing, standardize = true }: BuildOptions,
  source: string,
): Promise<ValueLayout | undefined> {
  if (preprocessing !== undefined) return preprocessing.targets;
  if (targets === undefined || !isScaled(taskNameOf({ task })) || !standardize) return undefined;
  const statistics = await measureColumns(new MemoryRows(targets, [classes]), measured, []);
  return fittingLayout(statistics, (c) => `the target ${show(classNames?.[c] ?? c)}`, source);
}

/** What is measured over the training rows. */
interface Fitted {
  readonly targetScale?: ValueLayout | undefined;
  readonly normalisation?: Normalisation;
  readonly table?: Awaited<ReturnType<typeof measureTable>>;
  readonly values?: ValueLayout;
  /** The statistics of the streamed rows; null until they are computed. */
  readonly sha256: string | null;
}

async function measureRows(
  part: RawPart,
  measured: Int32Array,
  options: BuildOptions,
  source: string,
): Promise<Fitted> {
  const { rows, table } = part;
  if (options.preprocessing !== undefined) return { ...fittedBy(options.preprocessing), sha256: null };
  const hash = createHash("sha256");
  const visitors = options.stream ? [(data: RowData) => void hash.update(data)] : [];
  const digest = () => (options.stream ? hash.digest("hex") : null);
  if (rows.dtype === "float64" && table !== undefined) {
    const { standardize = true } = options;
    const layout = await measureTable(table, rows, { measured, standardize }, visitors);
    return { table: layout, sha256: digest() };
  }
  if (part.layout !== undefined) {
    await visitRows(rows, visitors);
    return { table: part.layout, sha256: digest() };
  }
  if (part.isMatrix && options.standardize !== false) {
    const statistics = await measureColumns(rows, measured, visitors);
    return { values: fittingLayout(statistics, (c) => `column ${c}`, source), sha256: digest() };
  }
  if (rows.dtype !== "uint8" || options.normalisation !== undefined) {
    await visitRows(rows, visitors);
    return { normalisation: options.normalisation, sha256: digest() };
  }
  const statistics = new ChannelStatistics(channelsOf(part), featuresOf(rows), measured);
  const add = (data: unknown, start: number, end: number) => statistics.add(data as Uint8Array, start, end);
  await visitRows(rows, [add, ...visitors]);
  return { normalisation: statistics.normalisation(), sha256: digest() };
}

function fittedBy(spec: Preprocessing): Omit<Fitted, "sha256"> {
  if (spec.kind === "image") return { normalisation: { mean: spec.mean, std: spec.std } };
  if (spec.kind === "table") {
    const { columns, label, labels, header } = spec;
    return { table: { columns, label, ...(labels && { labels }), header } };
  }
  const { mean, std } = spec;
  return mean === undefined || std === undefined ? {} : { values: { mean, std } };
}

/** The statistics as plain lists; `BAD_DATA` for a column that can't be standardised by them. */
function fittingLayout(
  { mean, std }: { mean: Float64Array; std: Float64Array },
  nameOf: (column: number) => string,
  source: string,
): ValueLayout {
  for (const [c, deviation] of std.entries()) {
    const problem = unfitText(mean[c], deviation);
    if (problem !== null) throw badData(source, `${nameOf(c)}: ${problem}`);
  }
  return { mean: [...mean], std: [...std] };
}

async function build(
  part: RawPart,
  { task, classes, classNames }: Pick<RawData, "task" | "classes" | "classNames">,
  { normalisation, table, values, targetScale, sha256 }: Fitted,
  options: BuildOptions,
  source: string,
): Promise<Dataset> {
  const { labels, isImage = true, upright } = part;
  const { name, stream } = options;
  const rows = encoded(part, { table, values }, source);
  const targets =
    part.targets && new Tensor(Float32Array.from(standardized(part.targets, targetScale)), [labels.length, classes]);
  const labelsOrTargets = targets ?? labels;
  const unlabelled = targets === undefined && labels.includes(NO_LABEL);
  if (unlabelled && stream) {
    throw argumentError("stream", `${source} has samples without labels, which are read whole`);
  }
  const shared = { name, classes, unlabelled, classNames, task, targetScale };
  if (stream) {
    expectLength("the number of rows", rows.length);
    expectLength("the values of a row", featuresOf(rows));
    const chunk = rowsWithin(rows, options.chunkBytes ?? CHUNK_BYTES);
    const isBytes = rows.dtype === "uint8";
    const hash = sha256 ?? (await hashOf(part.rows));
    const dataset = new StreamedDataset({
      rows,
      labels,
      targets,
      task,
      targetScale,
      name,
      classes,
      classNames: expectClassNames(classNames, classes),
      table,
      values,
      chunk,
      isImage: isBytes && isImage,
      upright,
      mean: isBytes ? byChannel(part, normalisation?.mean ?? 0) : [],
      std: isBytes ? byChannel(part, normalisation?.std ?? 1) : [],
      sha256: hash,
    });
    return setSourceHash(dataset, () => part.sha256 ?? withLabels(hash, part));
  }
  const { data } = await materialize(rows, source);
  if (types.isUint8Array(data)) {
    const [channels, height, width] = rows.shape;
    const image: ImageSize | undefined = isImage ? { channels, height, width, upright } : undefined;
    const { mean, std } = normalisation ?? { mean: 0, std: 1 };
    const features = featuresOf(rows);
    const dataset = new ImageDataset(data, labelsOrTargets, { ...shared, mean, std, features, image });
    return setSourceHash(dataset, () => withLabels(sha256Of(data), part));
  }
  const inputs = new Tensor(data as Float32Array, [rows.length, featuresOf(rows)]);
  const hash = part.sha256 ?? withLabels(sha256Of((await materialize(part.rows, source)).data), part);
  return setSourceHash(ofValues(inputs, labelsOrTargets, { ...shared, table, values }), () => hash);
}

type Described = DatasetOptions & { name: string } & Pick<Fitted, "table" | "values">;

function ofValues(inputs: Tensor, labels: GivenLabels, { table, values, ...shared }: Described): Dataset {
  if (table !== undefined) return new TableDataset(inputs, labels, { ...shared, table });
  if (values !== undefined) return new StandardizedDataset(inputs, labels, { ...shared, values });
  return new TensorDataset(inputs, labels, shared);
}

function sha256Of(data: RowData): string {
  return createHash("sha256").update(data).digest("hex");
}

/** A hash that depends on the labels too. */
function withLabels(sha256: string, { labels, targets }: RawPart): string {
  const hash = createHash("sha256").update(sha256).update(labels);
  if (targets !== undefined) hash.update(targets);
  return hash.digest("hex");
}

function identity(features: number): ValueLayout {
  return { mean: new Array<number>(features).fill(0), std: new Array<number>(features).fill(1) };
}

/** The rows as a network takes them, but for pixels, which are normalised batch by batch. */
function encoded(part: RawPart, { table, values }: Pick<Fitted, "table" | "values">, source: string): RowSource {
  if (part.table !== undefined && table !== undefined) return new EncodedRows(part.rows, part.table, table);
  if (values === undefined && part.rows.dtype !== "float64") return part.rows;
  return new StandardizedRows(part.rows, values ?? identity(featuresOf(part.rows)), source);
}

async function hashOf(rows: RowSource): Promise<string> {
  const hash = createHash("sha256");
  await visitRows(rows, [(data) => void hash.update(data)]);
  return hash.digest("hex");
}

function channelsOf({ rows, isImage = true }: RawPart): number {
  return isImage ? rows.shape[0] : 1;
}

function byChannel(part: RawPart, numbers: number | readonly number[]): readonly number[] {
  return typeof numbers === "number" ? new Array<number>(channelsOf(part)).fill(numbers) : numbers;
}

/** Refuses test samples that are not like those for training. */
export function expectSameKind(train: RowSource, test: RowSource, file: string): void {
  const [expected, got] = [train, test].map(sampleText);
  if (got !== expected) throw badData(file, `expected ${expected}, as for training, got ${got}`);
}

function sampleText(rows: RowSource): string {
  if (rows.dtype !== "uint8") return `${featuresOf(rows)} values a sample`;
  return `images of ${rows.shape.join(" x ")}`;
}

/** What can be done with a file that is too large to be read at once. */
export const ON_DISK = "stream (--stream) leaves it on the disk";
