import { join } from "node:path";
import { argumentError, badArgument, show, showList } from "../../checks.js";
import { badData, hashFile, kindOf, listFiles } from "../../files/index.js";
import { NO_LABEL } from "../dataset.js";
import { type LoadDataOptions, TABLE_OPTIONS, type TableOptions } from "../load_options.js";
import type { TablePreprocessing } from "../preprocessing/spec.js";
import type { RawData, RawPart } from "../raw_data.js";
import { MemoryRows } from "../row_source.js";
import { findColumns, indexOf, indicesOf, layoutOf, namesColumns, places, readTableHeader } from "../table_header.js";
import { type LabelReader, noteAlike, tableTargets, taskOfTable } from "../table_labels.js";
import { TableReader } from "../table_reader.js";
import { hasTargets } from "../task_name.js";
import type { CellRecords, Format, SampleReader } from "./format.js";
import { GivenTargets } from "./given_targets.js";
import { fileOf, filesOf } from "./part_names.js";
import { type ReadTable, readSampleRows, readTable } from "./table_rows.js";
import { readTexts, type TextHeader, TextReader, textHeader } from "./text_column.js";

/** What distinguishes the formats of tables. */
interface TableFormat extends Pick<Format, "name" | "help" | "extensions"> {
  /** What files of new samples are, for help texts. */
  readonly samplesHelp: string;
  /** Whether a file of another extension with new samples is read as one of these. */
  readonly takesOthers?: boolean;
  /** Whether the first record always names the columns; default: it is looked at. */
  readonly isNamed?: boolean;
  /** The records of a file as cells; the first may name the columns. */
  openRecords(file: string, encoding?: string): Promise<CellRecords>;
}

/**
 * A format of tables in text files: numbers, standardised by the training rows' mean and standard deviation of their
 * column, and texts of few values, one-hot; one column is the label. `NAME_test.EXT` beside `NAME.EXT`, or `test.EXT`
 * beside `train.EXT`, is the test part, `NAME_val.EXT` or `val.EXT` the validation part.
 */
export function tableFormat({
  samplesHelp,
  takesOthers = false,
  isNamed = false,
  openRecords,
  ...format
}: TableFormat): Format {
  const trainFile = `train${format.extensions[0]}`;
  return {
    ...format,
    takes: [...TABLE_OPTIONS.filter((name) => !isNamed || name !== "header"), "standardize"],
    folder: trainFile,
    detect: ({ files }) => filesOf("train", files, format.extensions[0]).length > 0,
    openRecords,

    async open(path, options): Promise<RawData> {
      const isFolder = (await kindOf(path)) === "folder";
      const [name = trainFile, ...more] = isFolder ? filesOf("train", await listFiles(path), format.extensions[0]) : [];
      if (more.length > 0) throw badData(path, `expected one training file, has ${showList([name, ...more])}`);
      const file = isFolder ? join(path, name) : path;
      const others = { test: await fileOf("test", file), validation: await fileOf("validation", file) };
      const { preprocessing } = options;
      const task = options.task ?? (preprocessing?.kind === "table" ? preprocessing.task : undefined);
      const given = await GivenTargets.open({ ...options, ...(task && { task }) });
      if (given !== null && (others.test ?? others.validation) !== null) {
        throw badArgument(
          "targets",
          `targets of all samples, but ${file} has test or validation files beside it`,
          options.targets,
        );
      }
      if (preprocessing?.kind === "table") {
        const open = (one: string) => openRecords(one, options.encoding);
        expectColumns(file, await open(file), preprocessing.header, options.dropColumns);
        return openEncoded(file, others, preprocessing, open, given, options.unlabelled);
      }
      return openTable(file, others, isNamed ? { ...options, header: true } : options, openRecords, given);
    },

    samples: {
      help: samplesHelp,
      extensions: takesOthers ? [...format.extensions, ""] : format.extensions,
      accepts: (spec) => spec.kind === "table",
      read: async (file, spec, { encoding, dropColumns }) => {
        const records = await openRecords(file, encoding);
        const dropped = expectColumns(file, records, spec.header, dropColumns);
        // Without names a column is known by its place.
        return readSampleRows(file, spec.header ? without(records, dropped) : records, spec);
      },
    } satisfies SampleReader<TablePreprocessing>,
  };
}

type OpenTable = { stream: boolean } & TableOptions & Pick<LoadDataOptions, "onNote">;

/** The files beside a table that are its other parts. */
interface OtherFiles {
  readonly test: string | null;
  readonly validation: string | null;
}

async function openTable(
  file: string,
  others: OtherFiles,
  options: OpenTable,
  openRecords: TableFormat["openRecords"],
  given: GivenTargets | null,
): Promise<RawData> {
  const open = (path: string) => openRecords(path, options.encoding);
  if (given !== null) return openGiven(file, options, open, given);
  const alone = await openTextsAlone(file, others, options, open);
  if (alone !== null) return alone;
  const texts = textHeader(await open(file), options);
  if (texts === null) expectNoEncoding(file, options);
  const parts = await (texts === null ? tableParts(file, options, open) : textParts(file, texts, options, open));
  const { training } = parts;
  const other = async (path: string | null) => (path === null ? null : parts.other(path));
  const [tested, validated] = [await other(others.test), await other(others.validation)];
  const { reader } = training;
  const task = taskOfTable(reader, options);
  const isClasses = !hasTargets({ task });
  const classNames = isClasses
    ? expectClasses(reader.labels[0].classNames(options.task === "classification"), file)
    : reader.labels.map(({ name }) => name);
  if (isClasses) noteAlike(file, classNames, options.onNote);
  const part = async ({ rows, reader: own, ...rest }: ReadTable): Promise<RawPart> => {
    const targets = isClasses ? { labels: own.labels[0].classes(classNames) } : tableTargets(own, task);
    return { rows, ...targets, ...rest, sha256: await hashFile(own.file) };
  };
  return {
    train: await part(training),
    test: tested && (await part(tested)),
    validation: validated && (await part(validated)),
    ...(!isClasses && { task }),
    classes: classNames.length,
    classNames,
  };
}

/** Refuses an encoding of texts for a table without them. */
function expectNoEncoding(file: string, { tokenizer, textEncoding }: TableOptions): void {
  if (textEncoding === undefined) return;
  const text = `${file} has no text column, which would be encoded: textColumn (--text-column) names one`;
  throw argumentError(tokenizer === undefined ? "textEncoding" : "tokenizer", text);
}

/**
 * A table of one column that is not left out, of texts: samples without labels, for what a network gives for any text;
 * null for another table.
 */
async function openTextsAlone(
  file: string,
  others: OtherFiles,
  options: OpenTable,
  openRecords: (file: string) => Promise<CellRecords>,
): Promise<RawData | null> {
  const isLabelled = (options.labelColumn ?? options.labelColumns) !== undefined;
  if (isLabelled || (others.test ?? others.validation) !== null) return null;
  const [first] = (await openRecords(file)).first();
  if (first === undefined) return null;
  const { value: cells, line } = first;
  const isNamed = options.header ?? namesColumns(cells, line, file);
  const names = isNamed ? cells : places(cells);
  const dropped = new Set(options.dropColumns?.map((column) => indexOf(names, "dropColumns", column, file)));
  if (cells.length - dropped.size !== 1) return null;
  const { textColumn } = options;
  const text = textColumn === undefined ? null : indexOf(names, "textColumn", textColumn, file);
  if (text !== null && dropped.has(text)) {
    throw argumentError("textColumn", `${show(names[text])} is left out by dropColumns`);
  }
  // Without names a column is known by its place.
  const left = isNamed ? dropped : new Set<number>();
  const open = async (path: string) =>
    without(await openRecords(path), left).map((own, isFirst) => [...own, isFirst && isNamed ? "label" : ""]);
  const beside = { header: isNamed, dropColumns: [], labelColumn: -1, unlabelled: true };
  const own = { ...options, ...beside, ...(text !== null && { textColumn: isNamed ? 0 : text }) };
  const header = textHeader(await open(file), own);
  if (header === null) return null;
  const { reader, ...rest } = (await textParts(file, header, own, open)).training;
  const train = { ...rest, labels: new Int32Array(rest.rows.length).fill(NO_LABEL), sha256: await hashFile(file) };
  return { train, test: null, validation: null, classes: 1 };
}

/** Records without the cells of some columns. */
function without(records: CellRecords, columns: ReadonlySet<number>): CellRecords {
  return columns.size === 0 ? records : records.map((cells) => cells.filter((_, i) => !columns.has(i)));
}

/** A table of texts whose targets are in a file of their own. */
async function openGiven(
  file: string,
  options: OpenTable,
  openRecords: (file: string) => Promise<CellRecords>,
  given: GivenTargets,
): Promise<RawData> {
  const open = async (path: string) => given.beside(await openRecords(path));
  const own = given.within(options);
  const texts = textHeader(await open(file), own);
  if (texts === null) throw badArgument("targets", "a table of texts (--text-column)", options.targets);
  const { reader, ...rest } = (await textParts(file, texts, own, open)).training;
  const train = { ...rest, ...given.of(rest.rows.length), sha256: await hashFile(file) };
  return { train, test: null, validation: null, task: given.task, classes: given.classes };
}

function expectClasses(classNames: readonly string[], file: string): readonly string[] {
  if (classNames.length === 0) {
    throw badData(file, "no row has a label: at least some rows need one, because labels name the classes");
  }
  if (classNames.length < 2) throw badData(file, `expected at least two classes, got only ${showList(classNames)}`);
  return classNames;
}

/** The training part of a table, and how a file of the same columns is read. */
interface TableParts<R extends LabelReader> {
  training: ReadTable<R>;
  other(path: string): Promise<ReadTable>;
}

async function tableParts(
  file: string,
  options: OpenTable,
  open: (path: string) => Promise<CellRecords>,
): Promise<TableParts<TableReader>> {
  const training = await readTable(file, await open(file), options, (cells, line) => {
    const header = readTableHeader(cells, line, file, options);
    return new TableReader(file, header, indicesOf(header), options.missing, undefined, options.unlabelled);
  });
  const other = async (path: string) =>
    readTable(path, await open(path), options, (cells, line) => otherReader(path, training.reader, cells, line));
  return { training, other };
}

async function textParts(
  file: string,
  header: TextHeader,
  options: OpenTable,
  open: (path: string) => Promise<CellRecords>,
): Promise<TableParts<TextReader>> {
  const reader = () => new TextReader(file, header, indicesOf(header), options);
  const training = await readTexts(file, await open(file), options, reader);
  const other = async (path: string) =>
    readTexts(path, await open(path), options, (cells, line) => training.reader.other(path, cells, line, options));
  return { training, other };
}

/** A test or validation file has the columns of the training file, in any order if they are named, and the label. */
function otherReader(file: string, training: TableReader, cells: readonly string[], line: number): TableReader {
  const { columns, header } = training;
  const layout = layoutOf(header);
  const indices = findColumns({ columns, ...layout }, cells, line, file);
  if (indices.label >= 0) return new TableReader(file, header, indices, training.missing, training);
  const advice = `move the file away, and a fraction of the rows of ${training.file} is held out instead`;
  throw badData(file, `line ${line}: the label, ${show(layout.label.name)}, is missing: add it; or ${advice}`);
}

/** The indices of columns to leave out; `BAD_ARGUMENT` for one that a file does not have. */
function expectColumns(
  file: string,
  records: CellRecords,
  isNamed: boolean,
  dropColumns: TableOptions["dropColumns"] = [],
): ReadonlySet<number> {
  const [first] = records.first();
  const names = first === undefined || isNamed ? first?.value : places(first.value);
  return new Set(names && dropColumns.map((column) => indexOf(names, "dropColumns", column, file)));
}

/** The rows of a table, encoded as those were that a network was trained on. */
async function openEncoded(
  file: string,
  { test, validation }: OtherFiles,
  spec: TablePreprocessing,
  openRecords: (file: string) => Promise<CellRecords>,
  given: GivenTargets | null,
  unlabelled = false,
): Promise<RawData> {
  given?.expectFit(spec);
  // What is held out needs its labels.
  const part = async (path: string, mayLack = false): Promise<RawPart> => {
    const records = await openRecords(path);
    const read = await readSampleRows(path, given?.beside(records) ?? records, spec, {
      isLabelled: given === null,
      mayLack,
    });
    const { inputs, labels, targets, texts } = given === null ? read : { ...read, ...given.of(read.inputs.shape[0]) };
    if (labels === null) throw badData(path, `the label, ${show(spec.label.name)}, is missing`);
    const rows = new MemoryRows(inputs.data, [inputs.shape[1]]);
    const known = { ...(targets && { targets }), ...(texts && { texts: (of: Int32Array) => pick(texts, of) }) };
    return { rows, labels, ...known, isEncoded: true, sha256: await hashFile(path) };
  };
  const { task, classes, classNames } = spec;
  const parts = {
    train: await part(file, unlabelled),
    test: test === null ? null : await part(test),
    validation: validation === null ? null : await part(validation),
  };
  return { ...parts, ...(task && { task }), classes, ...(classNames && { classNames }) };
}

function pick(texts: readonly string[], rows: Int32Array): string[] {
  return Array.from(rows, (row) => texts[row]);
}
