import { isDeepStrictEqual } from "node:util";
import { show, showList } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { formatExpression } from "../registry/index.js";
import type { LoadDataOptions } from "./load_options.js";
import { type Preprocessing, type TablePreprocessing, textColumnOf } from "./preprocessing/spec.js";
import { isIndex } from "./table_header.js";
import { taskNameOf } from "./task_name.js";
import { textEncoding } from "./text/encodings.js";

type Column = string | number;
/** What a network's preprocessing has instead of a value that was given; null: the same. */
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
  missing: ofTable((what, { columns }) => {
    const own = columns.flatMap((column) => ("mean" in column && column.missing) || []);
    if (own.includes("category")) return what === "category" ? null : "missing category";
    return own.length === 0 || what === "mean" ? null : "missing mean";
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
};

/**
 * Refuses options of data that a network's own preprocessing decides, unless they say the same; `BAD_ARGUMENT` that names the first.
 * What it does not decide, such as the encoding of a file, is left to what reads the data.
 */
export function expectUndecided(given: LoadDataOptions, spec: Preprocessing): void {
  for (const name of Object.keys(DECIDED) as (keyof typeof DECIDED)[]) {
    const value = given[name];
    const decide = DECIDED[name] as Decide<typeof value> | undefined;
    const own = value === undefined ? null : (decide?.(value, spec, given) ?? null);
    if (own === null) continue;
    const text = `the network was trained with ${own}, which its file says: leave it out`;
    throw new DistilleryError("BAD_ARGUMENT", `${name}: ${text}`);
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

/** Whether its numbers are standardised. */
function isScaled(spec: Preprocessing): boolean {
  if (spec.kind === "table")
    return spec.columns.some((column) => "mean" in column && (column.mean !== 0 || column.std !== 1));
  return spec.kind === "values" && spec.mean !== undefined;
}
