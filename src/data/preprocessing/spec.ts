import * as v from "valibot";
import { argumentError, expectOptions, MAX_LENGTH, RANGES, show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData } from "../../files/index.js";
import { boolean, expected, finite, integer, length, needed, oneOf } from "../../registry/index.js";
import {
  type Dataset,
  expectDataset,
  type ImageLayout,
  type TableColumn,
  type TableLayout,
  type TextColumn,
  type ValueLayout,
} from "../dataset.js";
import { TASK_NAMES, type TaskName } from "../task_name.js";
import { ENCODING_SCHEMA } from "../text/encodings.js";

/**
 * How a sample becomes the values that a network takes, and what its classes are called: `preprocessor_config` of
 * Hugging Face. Plain JSON, stored with the network, so that new samples become values as the training samples did.
 */
export type Preprocessing = ImagePreprocessing | TablePreprocessing | ValuePreprocessing;

/** The outputs of a {@link Preprocessing}. */
export interface ClassSpec {
  /** Default: classification. */
  readonly task?: TaskName;
  /** The number of classes, or of targets. */
  readonly classes: number;
  /** The names of the classes or targets; null: they are called by their numbers. */
  readonly classNames: readonly string[] | null;
  /** What standardised the targets of a regression: an output times std plus mean is in the unit of its column. */
  readonly targets?: ValueLayout;
}

/** Images, pixels in bytes. */
export interface ImagePreprocessing extends ImageLayout, ClassSpec {
  readonly kind: "image";
}

/** Rows of a table. */
export interface TablePreprocessing extends TableLayout, ClassSpec {
  readonly kind: "table";
}

/** Numbers: standardised by column if `mean` and `std` are there, otherwise taken as they are. */
export interface ValuePreprocessing extends Partial<ValueLayout>, ClassSpec {
  readonly kind: "values";
  readonly features: number;
}

/** The key of the {@link Preprocessing}, as JSON, in the metadata of a network's `.safetensors` file. */
export const PREPROCESSING_KEY = "distillery.preprocessing";

/** The cells of a row by the names of their columns. */
export type TableRow = Readonly<Record<string, string | number | null>>;

/**
 * How the samples of a data set were made into values.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no data set.
 * @example
 * ```ts
 * const text = JSON.stringify(preprocessingOf(train));
 * ```
 */
export function preprocessingOf(dataset: Dataset): Preprocessing {
  const { image, table, values, features, task, classes, classNames, targetScale } = expectDataset(dataset);
  const names = {
    ...(task && { task }),
    classes,
    classNames: structuredClone(classNames ?? null),
    ...(targetScale && { targets: structuredClone(targetScale) }),
  };
  if (image !== undefined) return { kind: "image", ...structuredClone(image), ...names };
  if (table !== undefined) return { kind: "table", ...structuredClone(table), ...names };
  return { kind: "values", features, ...structuredClone(values), ...names };
}

/** The column of texts whose ids are all that a sample is; null if it is something else. */
export function textColumnOf({ table }: { readonly table?: Pick<TableLayout, "columns"> }): TextColumn | null {
  const [column, ...more] = table?.columns ?? [];
  return column !== undefined && more.length === 0 && "text" in column ? column : null;
}

/**
 * The number of values of a sample: of an image its pixels in all channels, of a row of a table its encoded columns.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no {@link Preprocessing}.
 * @example
 * ```ts
 * inputFeatures(preprocessingOf(train)) === train.features; // true
 * ```
 */
export function inputFeatures(spec: Preprocessing): number {
  expectSpec(spec);
  return featuresOf(spec);
}

function featuresOf(spec: Preprocessing): number {
  if (spec.kind === "image") return spec.channels * spec.height * spec.width;
  return spec.kind === "table" ? widthOf(spec.columns) : spec.features;
}

/** The shape of a sample: [channels, height, width] of images, otherwise [features]. */
export function sampleShape(spec: Preprocessing): readonly number[] {
  return spec.kind === "image" ? [spec.channels, spec.height, spec.width] : [featuresOf(spec)];
}

/** The number of values that the columns of a table become. */
export function widthOf(columns: readonly TableColumn[]): number {
  return columns.reduce((sum, column) => sum + columnWidth(column), 0);
}

/** The number of values that a cell of the column becomes. */
export function columnWidth(column: TableColumn): number {
  if ("categories" in column) return column.categories.length;
  if ("text" in column) return column.text.length;
  return column.missing === "category" ? 2 : 1;
}

/** The most categories of a column, beside that of a missing cell. */
export const MAX_CATEGORIES = 100;

function deviation() {
  // Above 0 in single precision too, in which networks divide by it.
  return v.pipe(
    finite(),
    v.check((x) => Math.fround(x) > 0, expected(RANGES.positive)),
  );
}

function texts(most: number) {
  const different = (list: string[]) => new Set(list).size === list.length;
  return v.pipe(
    v.array(v.string(expected("a text")), expected("a list of texts")),
    v.minLength(1, expected("at least one text")),
    v.maxLength(most, expected(`at most ${most} texts`)),
    v.check(different, "expected each text once"),
  );
}

const CLASSES = {
  task: v.exactOptional(oneOf(TASK_NAMES)),
  classes: length(),
  classNames: v.nullable(texts(MAX_LENGTH)),
  targets: v.exactOptional(v.object({ mean: v.array(finite()), std: v.array(deviation()) }, needed)),
};
const NAME = v.string(expected("a text"));
const FORMAT = v.object(
  {
    decimal: oneOf([".", ","]),
    group: oneOf(["", ".", ",", " ", "'"]),
    unit: NAME,
  },
  needed,
);
const COLUMN_KINDS = {
  mean: v.object(
    {
      name: NAME,
      mean: finite(),
      std: deviation(),
      missing: v.exactOptional(v.union([v.literal(true), v.literal("category")], expected('true or "category"'))),
      format: v.exactOptional(FORMAT),
    },
    needed,
  ),
  categories: v.object({ name: NAME, categories: texts(MAX_CATEGORIES + 1) }, needed),
  text: v.object({ name: NAME, text: ENCODING_SCHEMA }, needed),
};
type ColumnSchema = (typeof COLUMN_KINDS)[keyof typeof COLUMN_KINDS];
const NO_COLUMN = v.never("expected a column with mean and std, with categories, or with the encoding of texts");
const COLUMN = v.lazy((value) => {
  const [, kind = NO_COLUMN] = Object.entries(COLUMN_KINDS).find(([name]) => Object.hasOwn(Object(value), name)) ?? [];
  return kind as ColumnSchema;
});
const LABEL = v.object({ name: NAME, index: integer(0, MAX_LENGTH) }, expected("the label's name and index"));
const TABLE = {
  columns: v.pipe(v.array(COLUMN, expected("a list of columns")), v.minLength(1, "expected at least one column")),
  label: LABEL,
  labels: v.exactOptional(v.array(LABEL)),
  header: boolean(),
  width: v.exactOptional(length()),
};
const LIST = expected("a list of numbers");
const DESCRIPTION = v.variant(
  "kind",
  [
    v.object(
      {
        kind: v.literal("image"),
        channels: length(),
        height: length(),
        width: length(),
        upright: v.exactOptional(boolean()),
        mean: v.array(finite(), LIST),
        std: v.array(deviation(), LIST),
        ...CLASSES,
      },
      needed,
    ),
    v.object({ kind: v.literal("table"), ...TABLE, ...CLASSES }, needed),
    v.object(
      {
        kind: v.literal("values"),
        features: length(),
        mean: v.exactOptional(v.array(finite(), LIST)),
        std: v.exactOptional(v.array(deviation(), LIST)),
        ...CLASSES,
      },
      needed,
    ),
  ],
  expected("image, table or values"),
);

/**
 * A {@link Preprocessing} out of JSON, all of it checked.
 *
 * @throws DistilleryError `BAD_DATA` with the file, the path in the JSON, and what was expected.
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 *
 * const { metadata } = decodeSafetensors(await readFile("student.safetensors"), "student.safetensors");
 * const spec = parsePreprocessing(JSON.parse(metadata[PREPROCESSING_KEY] ?? "null"), "student.safetensors");
 * ```
 */
export function parsePreprocessing(value: unknown, file: string): Preprocessing {
  return checked(value, (path, problem) =>
    badData(file, `its preprocessing${path === "" ? "" : `, ${path}`}: ${problem}`),
  );
}

/** Refuses anything but a preprocessing, such as null from `readPreprocessing`. */
export function expectPreprocessing(value: unknown): void {
  const wanted = "what readPreprocessing(file) gives or, if that is null, preprocessingOf(train) of its training data;";
  expectKept("preprocessing", value, wanted);
}

/**
 * Refuses a description of samples that is none, has a field of another name, or lacks one that says what inputs are:
 * classes may be left out.
 */
export function expectSpec(spec: unknown, argument = "spec"): void {
  if (CHECKED.has(Object(spec))) return;
  const isObject = typeof spec === "object" && spec !== null;
  const whole = isObject ? { classes: 1, classNames: null, ...spec } : spec;
  expectKept(argument, whole, "what preprocessingOf(dataset) or parsePreprocessing gives,");
  if (isObject) CHECKED.add(spec);
}

function expectKept(argument: string, value: unknown, wanted: string): void {
  if (CHECKED.has(Object(value))) return;
  const kind = DESCRIPTION.options.find(({ entries }) => entries.kind.literal === Object(value ?? {}).kind);
  if (kind === undefined) {
    throw argumentError(argument, `expected ${wanted} got ${show(value)}`);
  }
  expectOptions(argument, value as object, Object.keys(kind.entries));
  checked(value, (path, problem) => badPart(argument, path, problem));
  CHECKED.add(value as object);
}

/** Descriptions that were checked: a server uses the same one for all samples. */
const CHECKED = new WeakSet<object>();

/** Refuses a data set whose description can't be stored in a network's file unchanged. */
export function expectDescribed(argument: string, dataset: Dataset): void {
  const spec = preprocessingOf(dataset);
  expectKept(argument, JSON.parse(JSON.stringify(spec)), "a Dataset,");
  const values = featuresOf(spec);
  if (values === dataset.features) return;
  const text = `its ${spec.kind} has ${values} values a sample, and its features are ${dataset.features}`;
  throw new DistilleryError("SHAPE_MISMATCH", `${argument}: ${text}`);
}

/** Refuses the layout of a table that does not say what each of `features` values is. */
export function expectTable(table: unknown, features: number): void {
  const { success, output, issues } = v.safeParse(v.object(TABLE, expected("the layout of a table")), table);
  if (!success) throw badPart("table", v.getDotPath(issues[0]) ?? "", issues[0].message);
  expectNames((path, problem) => badPart("table", path, problem), output.columns);
  const width = widthOf(output.columns);
  if (width === features) return;
  throw new DistilleryError(
    "SHAPE_MISMATCH",
    `table: its columns become ${width} values, and a sample has ${features}`,
  );
}

function badPart(argument: string, path: string, problem: string): DistilleryError {
  return argumentError(`${argument}${path === "" ? "" : `.${path}`}`, problem);
}

/** Makes an error of what is wrong at a path. */
type Refuse = (path: string, problem: string) => DistilleryError;

function checked(value: unknown, refuse: Refuse): Preprocessing {
  const { success, output, issues } = v.safeParse(DESCRIPTION, value);
  if (!success) throw refuse(v.getDotPath(issues[0]) ?? "", issues[0].message);
  const { classes, classNames } = output;
  if (classNames !== null && classNames.length !== classes) {
    throw refuse("classNames", `expected ${classes} names, got ${classNames.length}`);
  }
  if (output.targets !== undefined) expectEach(refuse, output.targets, classes, "target");
  if (output.kind === "image") {
    expectEach(refuse, output, output.channels, "channel");
  }
  if (output.kind === "values" && (output.mean ?? output.std) !== undefined) {
    expectEach(refuse, output, output.features, "column");
  }
  if (output.kind === "table") expectNames(refuse, output.columns);
  if (featuresOf(output) > MAX_LENGTH) throw refuse("", `expected at most ${MAX_LENGTH} values a sample`);
  return output;
}

/** Refuses two columns of one name. */
function expectNames(refuse: Refuse, columns: readonly { readonly name: string }[]): void {
  const twice = firstRepeated(columns.map(({ name }) => name));
  if (twice !== undefined) throw refuse("columns", `two columns are called ${show(twice)}`);
}

/** Refuses a mean or deviation that has not a number for each channel or column. */
function expectEach(
  refuse: Refuse,
  { mean = [], std = [] }: { mean?: readonly number[]; std?: readonly number[] },
  count: number,
  what: string,
): void {
  for (const [name, list] of Object.entries({ mean, std })) {
    if (list.length === count) continue;
    throw refuse(name, `expected ${count} numbers, one a ${what}, got ${list.length}`);
  }
}

/** The first text that occurs a second time. */
export function firstRepeated(texts: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return texts.find((text) => seen.size === seen.add(text).size);
}
