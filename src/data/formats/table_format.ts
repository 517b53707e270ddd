import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { dirname, join, parse } from "node:path";
import { pipeline } from "node:stream/promises";
import { setImmediate } from "node:timers/promises";
import { badArgument, show, showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, ioError, kindOf, listFiles, MAX_FILE_BYTES } from "../../files/index.js";
import { Tensor } from "../../tensor/tensor.js";
import { NO_LABEL } from "../dataset.js";
import type { LoadDataOptions, TableOptions } from "../load_options.js";
import { encodeCell, isMissing } from "../preprocessing/encode.js";
import { parseNumber } from "../preprocessing/number_format.js";
import { type ClassSpec, columnWidth, type TablePreprocessing, textColumnOf, widthOf } from "../preprocessing/spec.js";
import { ON_DISK, type RawData, type RawPart } from "../raw_data.js";
import { featuresOf, MemoryRows, newRows, type RowData, type RowSource } from "../row_source.js";
import { type ColumnIndices, expectWidth, findColumns, indexOf, indicesOf, readTableHeader } from "../table_header.js";
import { TableReader } from "../table_reader.js";
import { type LabelReader, tableTargets, taskOfTable } from "../table_task.js";
import { targetText, wrongTarget } from "../targets.js";
import { hasTargets, type TaskName } from "../task_name.js";
import type { CellRecords, FileSamples, Format } from "./format.js";
import { GivenTargets } from "./given_targets.js";
import { partOf, VALIDATION_WORDS } from "./part_names.js";
import { readTexts, sourceRowIn, type TextHeader, TextReader, textHeader } from "./text_column.js";

/** What distinguishes the formats of tables. */
interface TableFormat extends Pick<Format, "name" | "help" | "extensions" | "takes"> {
  /** What files of new samples are, for help texts. */
  readonly samplesHelp: string;
  /** Whether a file of another extension with new samples is read as one of these. */
  readonly takesOthers?: boolean;
  /** The records of a file as cells; the first may name the columns. */
  openRecords(file: string, encoding?: string): Promise<CellRecords>;
}

/**
 * A format of tables in text files: numbers, standardised by the training rows' mean and standard deviation of their
 * column, and texts of few values, one-hot; one column is the label. `NAME_test.EXT` beside `NAME.EXT`, or `test.EXT` beside
 * `train.EXT`, is the test part, `NAME_val.EXT` or `val.EXT` the validation part.
 */
export function tableFormat({ samplesHelp, takesOthers = false, openRecords, ...format }: TableFormat): Format {
  const trainFile = `train${format.extensions[0]}`;
  return {
    ...format,
    folder: trainFile,
    detect: ({ files }) => filesOf("train", files, format.extensions[0]).length > 0,
    openRecords,

    async open(path, options): Promise<RawData> {
      const isFolder = (await kindOf(path)) === "folder";
      const [name = trainFile, ...more] = isFolder ? filesOf("train", await listFiles(path), format.extensions[0]) : [];
      if (more.length > 0) throw badData(path, `expected one training file, has ${showList([name, ...more])}`);
      const file = isFolder ? join(path, name) : path;
      const others = { test: await testFile(file), validation: await validationFile(file) };
      const { preprocessing } = options;
      const task = options.task ?? (preprocessing?.kind === "table" ? preprocessing.task : undefined);
      const given = await GivenTargets.open({ ...options, ...(task && { task }) });
      if (given !== null && (others.test ?? others.validation) !== null) {
        throw badArgument("targets", `those of all samples: ${file} has other parts beside it`, options.targets);
      }
      if (preprocessing?.kind === "table") {
        const open = (one: string) => openRecords(one, options.encoding);
        expectColumns(file, await open(file), options.dropColumns);
        return openEncoded(file, others, preprocessing, open, given);
      }
      return openTable(file, others, options, openRecords, given);
    },

    samples: {
      help: samplesHelp,
      extensions: takesOthers ? [...format.extensions, ""] : format.extensions,
      accepts: (spec) => spec.kind === "table",
      read: async (file, spec, { encoding, dropColumns }) => {
        const records = await openRecords(file, encoding);
        const dropped = expectColumns(file, records, dropColumns);
        const table = spec as TablePreprocessing;
        // Without names a column is known by its place.
        return readSampleRows(file, table.header ? without(records, dropped) : records, table);
      },
    },
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
  const texts = textHeader((await open(file)).first(), file, options);
  if (texts === null) expectNoEncoding(file, options);
  const parts = texts === null ? tableParts(file, options, open) : textParts(file, texts, options, open);
  const training = await parts.training();
  const other = async (path: string | null) => (path === null ? null : parts.other(path, training.reader));
  const [tested, validated] = [await other(others.test), await other(others.validation)];
  const { reader } = training;
  const task = taskOfTable(reader, options);
  const isClasses = !hasTargets({ task });
  const classNames = isClasses
    ? expectClasses(reader.labels[0].classNames(options.task === "classification"), file)
    : reader.labels.map(({ name }) => name);
  const part = async ({ rows, reader: own, ...rest }: ReadTable): Promise<RawPart> => {
    const targets = isClasses ? { labels: own.labels[0].classes(classNames) } : tableTargets(own, task);
    return { rows, ...targets, ...rest, sha256: await hashOf(own.file) };
  };
  return {
    train: await part(training),
    test: tested && (await part(tested)),
    validation: validated && (await part(validated)),
    ...{ ...(!isClasses && { task }), classes: classNames.length, classNames },
  };
}

/** Refuses an encoding of texts for a table without them. */
function expectNoEncoding(file: string, { tokenizer, textEncoding }: TableOptions): void {
  if (textEncoding === undefined) return;
  const text = `${file} has no text column, which would be encoded: textColumn (--text-column) names one`;
  throw new DistilleryError("BAD_ARGUMENT", `${tokenizer === undefined ? "textEncoding" : "tokenizer"}: ${text}`);
}

/** A table of one column that is not left out, of texts: samples without labels, for what a network gives for any text; null for another table. */
async function openTextsAlone(
  file: string,
  others: OtherFiles,
  options: OpenTable,
  openRecords: (file: string) => Promise<CellRecords>,
): Promise<RawData | null> {
  const isNamed = (options.labelColumn ?? options.labelColumns) !== undefined;
  if (isNamed || (others.test ?? others.validation) !== null) return null;
  const records = await openRecords(file);
  const dropped = expectColumns(file, records, options.dropColumns);
  const [first] = records.first();
  if (first === undefined || first.value.length - dropped.size !== 1) return null;
  const open = async (path: string) =>
    without(await openRecords(path), dropped).map((cells, isFirst) => [...cells, isFirst ? "label" : ""]);
  const own = { ...options, dropColumns: [], labelColumn: -1, unlabelled: true };
  const header = textHeader((await open(file)).first(), file, own);
  if (header === null) return null;
  const { reader, ...rest } = await textParts(file, header, own, open).training();
  const train = { ...rest, labels: new Int32Array(rest.rows.length).fill(NO_LABEL), sha256: await hashOf(file) };
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
  const texts = textHeader((await open(file)).first(), file, own);
  if (texts === null) throw badArgument("targets", "a table of texts (--text-column)", options.targets);
  const { reader, ...rest } = await textParts(file, texts, own, open).training();
  const train = { ...rest, ...given.of(rest.rows.length), sha256: await hashOf(file) };
  return { train, test: null, validation: null, task: given.task, classes: given.classes };
}

function expectClasses(classNames: readonly string[], file: string): readonly string[] {
  if (classNames.length === 0) {
    throw badData(
      file,
      "no row has a label: some rows need one, which name the classes; programs take samples without any",
    );
  }
  if (classNames.length < 2) throw badData(file, `expected at least two classes, got ${showList(classNames)} alone`);
  return classNames;
}

/** How the parts of a table are read: the training part first. */
interface TableParts<R extends LabelReader> {
  training(): Promise<ReadTable<R>>;
  other(path: string, training: LabelReader): Promise<ReadTable>;
}

function tableParts(
  file: string,
  options: OpenTable,
  open: (path: string) => Promise<CellRecords>,
): TableParts<TableReader> {
  return {
    training: async () =>
      readTable(file, await open(file), options, (cells, line) => {
        const header = readTableHeader(cells, line, file, options);
        return new TableReader(file, header, indicesOf(header), options.missing, undefined, options.unlabelled);
      }),
    other: async (path, training) =>
      readTable(path, await open(path), options, (cells, line) =>
        otherReader(path, training as TableReader, cells, line),
      ),
  };
}

function textParts(
  file: string,
  header: TextHeader,
  options: OpenTable,
  open: (path: string) => Promise<CellRecords>,
): TableParts<TextReader> {
  return {
    training: async () =>
      readTexts(file, await open(file), options, () => new TextReader(file, header, indicesOf(header), options)),
    other: async (path, training) =>
      readTexts(path, await open(path), options, (cells, line) =>
        (training as TextReader).other(path, cells, line, options),
      ),
  };
}

/** The indices of columns to leave out; `BAD_ARGUMENT` for one that a file does not have. */
function expectColumns(
  file: string,
  records: CellRecords,
  dropColumns: TableOptions["dropColumns"] = [],
): ReadonlySet<number> {
  const [first] = records.first();
  return new Set(first && dropColumns.map((column) => indexOf(first.value, "dropColumns", column, file)));
}

/** The rows of a table, encoded as those were that a network was trained on. */
async function openEncoded(
  file: string,
  { test, validation }: OtherFiles,
  spec: TablePreprocessing,
  openRecords: (file: string) => Promise<CellRecords>,
  given: GivenTargets | null,
): Promise<RawData> {
  given?.expectFit(spec);
  const part = async (path: string): Promise<RawPart> => {
    const records = await openRecords(path);
    const read = await readSampleRows(path, given === null ? records : given.beside(records), spec, given === null);
    const { inputs, labels, targets, texts } = given === null ? read : { ...read, ...given.of(read.inputs.shape[0]) };
    if (labels === null) throw badData(path, `the label, ${show(spec.label.name)}, is missing`);
    const rows = new MemoryRows(inputs.data, [inputs.shape[1]]);
    const known = { ...(targets && { targets }), ...(texts && { texts: (of: Int32Array) => pick(texts, of) }) };
    return { rows, labels, ...known, isEncoded: true, sha256: await hashOf(path) };
  };
  const { task, classes, classNames } = spec;
  const parts = {
    train: await part(file),
    test: test === null ? null : await part(test),
    validation: validation === null ? null : await part(validation),
  };
  return { ...parts, ...(task && { task }), classes, ...(classNames && { classNames }) };
}

/** SHA-256 in hex over a file, as it is. */
async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(file), hash);
  } catch (error) {
    throw ioError("read", file, error);
  }
  return hash.digest("hex");
}

/** A test or validation file has the columns of the training file, in any order if they are named, and the label. */
function otherReader(file: string, training: TableReader, cells: readonly string[], line: number): TableReader {
  const { columns, labelLayout, header } = training;
  const { label } = labelLayout;
  const indices = findColumns({ columns, ...labelLayout, header: header.isNamed }, cells, line, file);
  if (indices.label >= 0) return new TableReader(file, header, indices, training.missing, training);
  const advice = `move the file away, and a fraction of the rows of ${training.file} is held out instead`;
  throw badData(file, `line ${line}: the label, ${show(label.name)}, is missing: add it; or ${advice}`);
}

/** The rows of a file, what read their labels, and what else is known of them. */
interface ReadTable<R extends LabelReader = LabelReader>
  extends Pick<RawPart, "table" | "layout" | "sourceRow" | "texts"> {
  readonly rows: RowSource;
  readonly reader: R;
}

async function readTable(
  file: string,
  records: CellRecords,
  { stream }: OpenTable,
  open: (cells: readonly string[], line: number) => TableReader,
): Promise<ReadTable<TableReader>> {
  const { size } = records.file;
  if (!stream && size > MAX_FILE_BYTES) {
    const text = `${file}: ${size} bytes; at most ${MAX_FILE_BYTES} can be read: ${ON_DISK}`;
    throw new DistilleryError("IO_ERROR", text);
  }
  let reader: TableReader | undefined;
  let first: { cells: readonly string[]; line: number } | undefined;
  let cells: Float64Array = new Float64Array(0);
  let count = 0;
  await records.scan((record, line) => {
    if (reader === undefined) {
      reader = open(record, line);
      first = { cells: record, line };
      if (reader.header.isNamed) return;
    }
    const width = reader.columns.length;
    const at = stream ? 0 : count * width;
    if (cells.length < at + width) cells = grown(cells, at + width);
    reader.see(record, line, cells, at);
    count++;
  });
  if (reader === undefined || first === undefined || count === 0) throw badData(file, "truncated: it has no rows");
  const isOther = reader.finish(first);
  const shape = [reader.columns.length];
  const rows = new TextRows(records, reader, count, shape);
  if (isOther) await rows.recode();
  const read = { reader, table: reader, sourceRow: sourceRowIn(records, reader.header.isNamed) };
  if (stream) return { rows, ...read };
  const memory = new MemoryRows(cells.subarray(0, count * shape[0]), shape);
  if (isOther) {
    // Their cells were taken for something else before all of them were seen.
    const turn = Math.max(1, Math.floor(TURN / shape[0]));
    for (let start = 0; start < count; start += turn) {
      const end = Math.min(start + turn, count);
      rows.read(start, end, memory.read(start, end));
      await setImmediate();
    }
  }
  return { rows: memory, ...read };
}

/** Cells that are read before other work gets its turn. */
const TURN = 2 ** 20;

/** A copy with room for twice as many. */
function grown(cells: Float64Array, least: number): Float64Array {
  const larger = new Float64Array(Math.max(least, 2 * cells.length));
  larger.set(cells);
  return larger;
}

/** Rows that stay in their file: the blocks of text that hold a range are parsed when it is read. */
class TextRows implements RowSource {
  readonly dtype = "float64";

  constructor(
    private readonly records: CellRecords,
    private readonly reader: TableReader,
    readonly length: number,
    readonly shape: readonly number[],
  ) {}

  /** Completes the texts of columns that had been taken for numbers first. */
  async recode(): Promise<void> {
    const first = this.reader.header.isNamed ? 1 : 0;
    const turn = Math.max(1, Math.floor(TURN / featuresOf(this)));
    for (let start = first; start < this.length + first; start += turn) {
      const end = Math.min(start + turn, this.length + first);
      this.records.read(start, end, (cells, line) => this.reader.recode(cells, line));
      await setImmediate();
    }
    for (const column of this.reader.columns) column.expectFew();
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    const [first, width] = [this.reader.header.isNamed ? 1 : 0, featuresOf(this)];
    this.records.read(start + first, end + first, (cells, line, number) => {
      this.reader.readRow(cells, line, into, (number - first - start) * width);
    });
    return into;
  }
}

/** The file beside a table that is its validation part: `val.csv` of `train.csv`, otherwise `NAME_val.csv`. */
async function validationFile(file: string): Promise<string | null> {
  const { name, ext } = parse(file);
  const files = await listFiles(dirname(file));
  const [found, again] = VALIDATION_WORDS.map(
    (part) => (/(^|[_-])train$/i.test(name) ? name.replace(/train$/i, part) : `${name}_${part}`) + ext,
  ).filter((candidate) => files.has(candidate));
  if (again !== undefined) throw badData(file, `${found} and ${again} beside it are both its val part: keep one`);
  return found === undefined ? null : join(dirname(file), found);
}

/** The file beside a table that is its test part: `test.csv` of `train.csv`, otherwise `NAME_test.csv`. */
async function testFile(file: string): Promise<string | null> {
  const { name, ext } = parse(file);
  const files = await listFiles(dirname(file));
  const start = /^(|.*[_-])train(ing)?([-_ ]?set)?$/i.exec(name)?.[1];
  const usual = `${name}_test${ext}`;
  const [found, ...more] =
    start === undefined ? [usual].filter((one) => files.has(one)) : filesOf("test", files, ext, start);
  if (more.length > 0) throw badData(dirname(file), `expected one test file, has ${showList([found, ...more])}`);
  return found === undefined ? null : join(dirname(file), found);
}

/** The files of a part: `train.csv`, otherwise all that are named so, as `Train.csv`, behind what the names start with. */
function filesOf(part: "train" | "test", files: ReadonlySet<string>, extension: string, start = ""): string[] {
  if (files.has(start + part + extension)) return [start + part + extension];
  const isOne = (file: string) => {
    const { name, ext } = parse(file);
    const isBehind = name.toLowerCase().startsWith(start.toLowerCase());
    return ext.toLowerCase() === extension.toLowerCase() && isBehind && partOf(name.slice(start.length)) === part;
  };
  return [...files].filter(isOne).sort();
}

function pick(texts: readonly string[], rows: Int32Array): string[] {
  return Array.from(rows, (row) => texts[row]);
}

/** `isLabelled`: refuses a label that is no class of the network. */
async function readSampleRows(
  file: string,
  records: CellRecords,
  spec: TablePreprocessing,
  isLabelled = false,
): Promise<FileSamples> {
  const { columns, header } = spec;
  const features = widthOf(columns);
  const [rows, locations, labels, texts]: [Float32Array[], string[], number[], string[]] = [[], [], [], []];
  const isOther = spec.task !== undefined;
  const isTexts = textColumnOf({ table: spec }) !== null;
  const targets: number[] = [];
  let indices: ColumnIndices | undefined;
  await records.scan((cells, line) => {
    if (indices === undefined) {
      indices = findColumns(spec, cells, line, file);
      if (header) return;
    }
    expectWidth(cells, indices, line, file);
    const row = new Float32Array(features);
    let at = 0;
    for (const [i, column] of columns.entries()) {
      const problem = encodeCell(column, cells[indices.columns[i]], row, at);
      if (problem !== null) throw badData(file, `line ${line}, ${show(column.name)}: ${problem}`);
      at += columnWidth(column);
    }
    rows.push(row);
    if (isTexts) texts.push(cells[indices.columns[0]]);
    locations.push(`${file}, line ${line}`);
    if (indices.label < 0) return;
    if (isOther) {
      for (const [c, index] of indices.labels.entries()) {
        const x = parseNumber(cells[index]);
        if (isLabelled && (x === null || wrongTarget(Float64Array.of(x), spec.task as TaskName) >= 0)) {
          const name = show((spec.labels ?? [spec.label])[c].name);
          const text = `expected ${targetText(spec.task as TaskName)} as target, ${name}, got ${show(cells[index])}`;
          throw badData(file, `line ${line}: ${text}`);
        }
        targets.push(x ?? Number.NaN);
      }
      labels.push(NO_LABEL);
      return;
    }
    const label = classOf(cells[indices.label], spec);
    if (label < 0 && isLabelled) {
      const cell = cells[indices.label];
      if (cell === "" || isMissing(cell)) {
        throw badData(file, `line ${line}: its label, ${show(spec.label.name)}, is missing: leave the row out`);
      }
      const [got, known] = [show(cell), showList(spec.classNames ?? [], 8)];
      throw badData(file, `line ${line}: the network does not know the class ${got}: it knows ${known}`);
    }
    labels.push(label);
  });
  if (rows.length === 0) throw badData(file, "truncated: it has no rows");
  const values = new Float32Array(rows.length * features);
  for (const [i, row] of rows.entries()) values.set(row, i * features);
  const inputs = new Tensor(values, [rows.length, features]);
  const given = labels.length === 0 ? null : Int32Array.from(labels);
  return {
    inputs,
    locations,
    labels: given,
    ...(isTexts && { texts }),
    ...(isOther && given && { targets: Float64Array.from(targets) }),
  };
}

function classOf(text: string, { classNames }: ClassSpec): number {
  const number = parseNumber(text);
  const byText = classNames?.indexOf(text) ?? -1;
  return byText >= 0 || number === null ? byText : (classNames?.indexOf(String(number)) ?? -1);
}
