import { isDeepStrictEqual } from "node:util";
import { argumentError, show, showList } from "../checks.js";
import { badData } from "../files/index.js";
import { formatExpression } from "../registry/index.js";
import { NO_LABEL } from "./dataset.js";
import { classPlaces, namelessProblem } from "./labels.js";
import type { LoadDataOptions } from "./load_options.js";
import { pixelsAdvice, samplesText } from "./preprocessing/adapt.js";
import { inputFeatures, type Preprocessing, type TablePreprocessing, textColumnOf } from "./preprocessing/spec.js";
import type { RawData, RawPart } from "./raw_data.js";
import { featuresOf } from "./row_source.js";
import { isIndex } from "./table_header.js";
import { outputsText } from "./targets.js";
import { hasTargets, taskNameOf } from "./task_name.js";
import { textEncoding } from "./text/encodings.js";

type Column = string | number;
/** The value of a network's preprocessing, if it differs from the one that was given; null if it is the same. */
type Decide<T> = (given: T, spec: Preprocessing, options: LoadDataOptions) => string | null;
type Decided = { readonly [K in keyof LoadDataOptions]?: Decide<Exclude<LoadDataOptions[K], undefined>> };

const NO_TABLE = "no table";

const DECIDED: Decided = {
  labelColumn: ofTable((column, spec, { targets }) => (targets === undefined ? otherLabels([column], spec) : null)),
  labelColumns: ofTable((columns, spec, { targets }) => (targets === undefined ? otherLabels(columns, spec) : null)),
  task: (task, spec, { targets }) => (targets !== undefined || task === taskNameOf(spec) ? null : taskNameOf(spec)),
  textColumn: (column, spec) => {
    const own = ofTexts(spec);
    return own === null ? "no text column" : column === own.name ? null : `the text column ${show(own.name)}`;
  },
  textEncoding: otherEncoding,
  tokenizer: (file, spec) => otherEncoding(formatExpression({ name: "tokenizer", file }), spec),
  header: ofTable((header, spec) =>
    header === spec.header ? null : spec.header ? "a first line of names" : "no names of columns",
  ),
  dropColumns: ofTable((columns, spec) => {
    const own = [...spec.columns, ...labelsOf(spec)].map(({ name }) => name);
    const isOwn = (column: Column) =>
      own.includes(String(column)) || (isIndex(column) && (spec.header || own.includes(`${placeOf(column, spec)}`)));
    const taken = columns.some(isOwn);
    return taken ? `the columns ${showList(own, 8)}` : null;
  }),
  missing: ofTable((what, spec) => {
    const own = missingOf(spec);
    return own.includes(what) ? null : own[0] === "error" ? "no missing cells" : `missing ${own[0]}`;
  }),
  standardize: (isStandardised, spec) => (isStandardised || !isScaled(spec) ? null : "standardised columns"),
  imageSize: (size, spec) => {
    if (spec.kind !== "image") return "no images";
    const own = [spec.height, spec.width];
    return isDeepStrictEqual(typeof size === "number" ? [size, size] : size, own) ? null : `images of ${own.join("x")}`;
  },
  grey: (isGrey, spec) => {
    if (spec.kind !== "image") return "no images";
    return isGrey === (spec.channels === 1) ? null : `images of ${spec.channels} channels`;
  },
  exifOrientation: (isUpright, spec) => (isUpright && spec.kind !== "image" ? "no images" : null),
};

/**
 * Refuses options of data that a network's own preprocessing decides, unless they say the same; `BAD_ARGUMENT` that
 * names the first. What it does not decide, such as the encoding of a file, is left to what reads the data.
 */
export function expectUndecided(given: LoadDataOptions, spec: Preprocessing): void {
  for (const name of Object.keys(DECIDED) as (keyof typeof DECIDED)[]) {
    const value = given[name];
    const decide = DECIDED[name] as Decide<typeof value> | undefined;
    const own = value === undefined ? null : (decide?.(value, spec, given) ?? null);
    if (own === null) continue;
    const text = `the network was trained with ${own}, which its file says: leave it out`;
    throw argumentError(name, text);
  }
}

/** Whether a network's own preprocessing decides an option. */
export function isDecided(name: string): boolean {
  return Object.hasOwn(DECIDED, name);
}

function ofTable<T>(
  decide: (given: T, spec: TablePreprocessing, options: LoadDataOptions) => string | null,
): Decide<T> {
  return (given, spec, options) => (spec.kind === "table" ? decide(given, spec, options) : NO_TABLE);
}

function ofTexts(spec: Preprocessing) {
  return spec.kind === "table" ? textColumnOf({ table: spec }) : null;
}

function otherEncoding(expression: string, spec: Preprocessing): string | null {
  const own = ofTexts(spec);
  if (own === null) return "no text column";
  return isDeepStrictEqual(textEncoding(expression), own.text) ? null : `another encoding, ${own.text.kind}`;
}

function labelsOf({ label, labels = [label] }: Pick<TablePreprocessing, "label" | "labels">) {
  return labels;
}

function otherLabels(columns: readonly Column[], spec: TablePreprocessing): string | null {
  const own = labelsOf(spec);
  const isSame = (column: Column, { name, index }: { name: string; index: number }) =>
    column === name || (isIndex(column) && placeOf(column, spec) === index);
  if (columns.length === own.length && columns.every((column, i) => isSame(column, own[i]))) return null;
  return `the label ${showList(own.map(({ name }) => name))}`;
}

/** The index of a column that is given by its place in the training file. */
function placeOf(column: Column, { columns, width, ...spec }: TablePreprocessing): number {
  const place = Number(column);
  return place < 0 ? (width ?? columns.length + labelsOf(spec).length) + place : place;
}

/** What the option `missing` may have been in the network's training, the likeliest first. */
function missingOf({ columns }: TablePreprocessing): NonNullable<LoadDataOptions["missing"]>[] {
  const ofNumbers = columns.flatMap((column) => ("mean" in column && column.missing) || []);
  if (ofNumbers.length > 0) return ofNumbers.includes("category") ? ["category"] : ["mean"];
  // Missing texts become a category with both options.
  return columns.some((column) => "categories" in column && column.categories.includes(""))
    ? ["category", "mean"]
    : ["error"];
}

/** Whether its numbers are standardised. */
function isScaled(spec: Preprocessing): boolean {
  if (spec.kind === "table")
    return spec.columns.some((column) => "mean" in column && (column.mean !== 0 || column.std !== 1));
  return spec.kind === "values" && spec.mean !== undefined;
}

/**
 * What a format found, as a network's preprocessing has it: its samples have to be of the same kind and shape, and each
 * label becomes the number that the network gives to the class of this name. `BAD_DATA` for other samples, and for
 * classes that the network does not know.
 */
export function conform(raw: RawData, spec: Preprocessing, source: string): RawData {
  const { train, test, validation = null } = raw;
  for (const part of [train, test, validation]) if (part !== null) expectSamples(part, spec, source);
  if (hasTargets(raw) || hasTargets(spec)) {
    if (raw.task === spec.task && raw.classes === spec.classes) return raw;
    const own = `${taskNameOf(spec)} with ${outputsText(spec)}`;
    throw badData(source, `the network was trained for ${own}, the data have ${outputsText(raw)}`);
  }
  const places = placesOf(raw, spec, source);
  const placeOf = (label: number) => (label === NO_LABEL ? NO_LABEL : places[label]);
  const relabelled = (part: RawPart): RawPart => ({ ...part, labels: part.labels.map(placeOf) });
  return {
    train: relabelled(train),
    test: test && relabelled(test),
    validation: validation && relabelled(validation),
    classes: spec.classes,
    ...(spec.classNames !== null && { classNames: spec.classNames }),
  };
}

function expectSamples(
  { rows, table, isEncoded = false, isImage = true }: RawPart,
  spec: Preprocessing,
  source: string,
): void {
  const isBytes = rows.dtype === "uint8";
  const isFeatures = !isBytes && featuresOf(rows) === inputFeatures(spec);
  const isSize = () => spec.kind === "image" && rows.shape.join() === [spec.channels, spec.height, spec.width].join();
  if (spec.kind === "image" && isBytes && isImage && isSize()) return;
  // Numbers without names are not the columns of a table, nor the other way round.
  if (spec.kind === "table" && isEncoded && isFeatures) return;
  if (spec.kind === "values" && table === undefined && isFeatures) return;
  const numbers = table === undefined ? `${featuresOf(rows)} numbers a sample` : "rows of a table";
  const got = isBytes && isImage ? `images of ${rows.shape.join(" x ")}` : numbers;
  const given = { kind: table === undefined && !isBytes ? "values" : "other", features: featuresOf(rows) };
  throw badData(source, `the network takes ${samplesText(spec)}, got ${got}${pixelsAdvice(spec, given)}`);
}

/** The network's number of each class of the data. */
function placesOf(raw: RawData, spec: Preprocessing, source: string): readonly number[] {
  const matched = classPlaces(spec, raw);
  if (matched === null) {
    const isLabelled = [raw.train, raw.test].some((part) => part?.labels.some((label) => label !== NO_LABEL));
    const problem = isLabelled ? namelessProblem(spec, raw) : null;
    if (problem !== null) throw badData(source, `the network ${problem.known}: the file ${problem.given}`);
    // Fewer classes are no mistake: the rows may be of some classes only.
    if (raw.classes <= spec.classes) return Array.from({ length: spec.classes }, (_, i) => i);
    throw badData(source, `the network knows ${spec.classes} classes, the data have ${raw.classes}`);
  }
  const { places, unknown, known } = matched;
  if (unknown.length === 0) return places;
  const which = unknown.length === 1 ? "class" : "classes";
  throw badData(source, `the network does not know the ${which} ${showList(unknown)}: it knows ${showList(known, 8)}`);
}
