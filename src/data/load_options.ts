import * as v from "valibot";
import { badArgument, expectOptions, isOneOf } from "../checks.js";
import {
  boolean,
  expected,
  formatExpression,
  fractionBelow1,
  integer,
  issuesError,
  issuesOf,
  oneOf,
} from "../registry/index.js";
import { TASK_NAMES } from "./task_name.js";
import { TEXT_ENCODINGS } from "./text/encodings.js";

/** How an option is written on the command line, and what help texts say of it. */
export interface OptionFlag {
  /** Its value, such as `<pixels>`; empty for true. */
  readonly value: string;
  readonly help: string;
  /** How its text is parsed; default: not at all. */
  readonly parse?: "number" | "numbers" | "sides" | "list";
  /** What `--no-NAME` does, if there is one. */
  readonly negated?: string;
}

/** A schema with the option's flag. */
const flag = <S extends v.GenericSchema>(schema: S, metadata: OptionFlag) =>
  v.pipe(schema, v.metadata<v.InferOutput<S>, OptionFlag & Record<string, unknown>>({ ...metadata }));

const column = () =>
  v.custom<string | number>(
    (name) => (typeof name === "string" && name !== "") || Number.isSafeInteger(name),
    expected("the name of a column, or its index"),
  );

function columns(): v.GenericSchema<readonly (string | number)[]> {
  const message = expected("a list of columns, by their names or indices");
  return v.array(column(), message);
}

function numbers(): v.GenericSchema<number | readonly number[]> {
  const message = expected("a number, or a list of them, one for each channel");
  const one = v.pipe(v.number(message), v.finite(message));
  return v.union([one, v.array(one)], message);
}

/** An encoding that `TextDecoder` knows. */
const encoding = () =>
  v.custom<string>((name) => {
    try {
      return typeof name === "string" && new TextDecoder(name).encoding !== "";
    } catch {
      return false;
    }
  }, expected("an encoding, such as utf-8, utf-16le, latin1 or windows-1252"));

/** The longest side of an image. */
const MAX_SIDE = 65_535;

/** The sides of an image: one number for both, or rows and columns. */
export function sides() {
  const isSide = (x: unknown) => typeof x === "number" && Number.isInteger(x) && x >= 1 && x <= MAX_SIDE;
  return v.custom<number | readonly [height: number, width: number]>(
    (size) => isSide(size) || (Array.isArray(size) && size.length === 2 && size.every(isSide)),
    expected(`a whole number from 1 to ${MAX_SIDE}, or two: rows and columns`),
  );
}

/** How a source of data is read and split: the only place that has these options, their defaults and their help. */
export const loadSchema = v.strictObject({
  /**
   * The label column of a table: its name, or its index, counted from the end if negative; default: the one that is
   * called label, class, target or y, or else the last.
   */
  labelColumn: v.optional(
    flag(column(), {
      value: "<name>",
      help: "label column of a table, or its index: 0 is the first, -1 the last (default: label, class, target, y, or the last)",
    }),
  ),
  /** Several label columns of a table, instead of one: targets of a regression, or labels that are 0 or 1. */
  labelColumns: v.optional(
    flag(columns(), {
      value: "<names>",
      help: "several label columns of a table, such as height,width: targets, or labels of 0 and 1",
      parse: "list",
    }),
  ),
  /**
   * What networks are trained for: one class a sample, numbers (regression), several labels that are 0 or 1, or
   * vectors, such as embeddings. Default: what the labels are.
   */
  task: v.optional(
    flag(oneOf(TASK_NAMES), {
      value: "<name>",
      help: `${TASK_NAMES.join(", ")} (default: detected from the labels, and printed)`,
    }),
  ),
  /**
   * The column of texts that a network reads, all else but the label being left out; default: the one that is called
   * text, or that is the only one beside the label and has more different texts than can be categories, mostly of
   * several words.
   */
  textColumn: v.optional(
    flag(column(), {
      value: "<name>",
      help: "column of a table whose texts the network reads (default: text, or the only other column if it has many texts)",
    }),
  ),
  /** How texts become ids, as `hash(buckets=20000, words=1)`; default: `hash`. */
  textEncoding: v.optional(
    flag(
      v.custom<string>(
        (value) => TEXT_ENCODINGS.issueOf(value) === null,
        ({ input }) => `${TEXT_ENCODINGS.issueOf(input)}`,
      ),
      { value: "<name>", help: 'how texts become ids, such as "hash(buckets=20000, words=1)" (default: hash)' },
    ),
  ),
  /** A `tokenizer.json` of Hugging Face whose ids texts become: short for the encoding `tokenizer(file=...)`. */
  tokenizer: v.optional(
    flag(
      v.pipe(v.string(expected("the path of a tokenizer.json")), v.nonEmpty("expected the path of a tokenizer.json")),
      {
        value: "<file>",
        help: 'tokenizer.json that encodes texts, short for --text-encoding "tokenizer(file=tokenizer.json)"',
      },
    ),
  ),
  /**
   * A `.npy` file of targets [rows, outputs] of a table of texts, such as a teacher's vectors, instead of a label
   * column.
   */
  targets: v.optional(
    flag(v.pipe(v.string(expected("the path of a .npy file")), v.nonEmpty("expected the path of a .npy file")), {
      value: "<file>",
      help: "file with the targets of a table of texts, .npy [rows, outputs], instead of a label column (default task: vectors)",
    }),
  ),
  /** Whether the first line of a table names the columns; default: whether it has no number. */
  header: v.optional(
    flag(boolean(), {
      value: "",
      help: "the first line of a .csv or .tsv names the columns (default: if it has no number)",
      negated: "the first line of a .csv or .tsv holds values",
    }),
  ),
  /** The encoding of a table's text; default: UTF-8, or what the file's byte order mark says. */
  encoding: v.optional(
    flag(encoding(), {
      value: "<name>",
      help: "encoding of a table, such as latin1 or utf-16le (default: by its byte order mark, or utf-8)",
    }),
  ),
  /** Columns of a table that are left out: their names, or their indices as in `labelColumn`. */
  dropColumns: v.optional(
    flag(columns(), { value: "<names>", help: "columns of a table to leave out, such as id,name", parse: "list" }),
  ),
  /**
   * How missing cells of a table (empty, `NA`, `nan`, `null`, `-`) are handled. `error`, the default, refuses them.
   * `mean` replaces numbers by the mean of their column, and makes missing texts a category. `category` does the same,
   * and adds a second value to columns of numbers: 1 if the number is missing, else 0.
   */
  missing: v.optional(
    flag(oneOf(["error", "mean", "category"]), {
      value: "<what>",
      help: "missing cells of a table: error; mean, of their column; or category, with an extra value that marks them (default: error)",
    }),
  ),
  /** Whether samples may have no label: an empty or missing cell of a table, -1 in NumPy's arrays. */
  unlabelled: v.optional(
    flag(boolean(), {
      value: "",
      help: "samples may have no label (an empty cell of a table, -1 in NumPy's arrays): these are learned from the teacher alone",
    }),
  ),
  /** Whether the columns of tables and of matrices of numbers are standardised by the training rows. */
  standardize: v.optional(
    flag(boolean(), {
      value: "",
      help: "standardise the columns of tables and of matrices of numbers",
      negated: "do not standardise the numbers of tables and matrices",
    }),
    true,
  ),
  /**
   * Rows and columns, or one number for both, that all images of a folder are resized to; default: they are of one
   * size.
   */
  imageSize: v.optional(
    flag(sides(), {
      value: "<pixels>",
      help: "resize the images of a folder, such as 32 or 48x64 (rows x columns)",
      parse: "sides",
    }),
  ),
  /** Whether all images of a folder become grey (true) or colour (false); default: as the first one is. */
  grey: v.optional(
    flag(boolean(), {
      value: "",
      help: "convert the images of a folder to grey (default: as the first image)",
      negated: "convert the images of a folder to colour",
    }),
  ),
  /**
   * Whether images are turned as their EXIF orientation says; default: as in the training of a network that they are
   * for, otherwise they stay as stored, as Pillow opens them.
   */
  exifOrientation: v.optional(
    flag(boolean(), { value: "", help: "rotate images as their EXIF orientation says (default: as stored)" }),
    false,
  ),
  /**
   * Subtracted from pixels / 255: a number for each channel or one for all. Give `std`, too. Default: the data set's
   * usual one, or the mean of the training images.
   */
  mean: v.optional(
    flag(numbers(), {
      value: "<list>",
      help: "mean to subtract from pixels / 255, as 0.5071,0.4867,0.4408 (default: the data set's, or measured)",
      parse: "numbers",
    }),
  ),
  /** Then divided by this: a number for each channel or one for all. */
  std: v.optional(
    flag(numbers(), {
      value: "<list>",
      help: "standard deviation to divide by, as 0.2675,0.2565,0.2761",
      parse: "numbers",
    }),
  ),
  /** Whether the values stay on the disk and are read in shuffled chunks, for data that do not fit into memory. */
  stream: v.optional(flag(boolean(), { value: "", help: "stream from disk in shuffled chunks" }), false),
  /** The fraction of each class that is held out as test set if the source has none; 0: none is. */
  testFraction: v.optional(
    flag(fractionBelow1(), {
      value: "<fraction>",
      help: "fraction held out as test set if the source has none, 0 disables",
      parse: "number",
    }),
    0.2,
  ),
  /** Seed of the splits, so that runs of other seeds share them. */
  splitSeed: v.optional(flag(integer(0), { value: "<number>", help: "seed of the splits", parse: "number" }), 0),
});

type Options = v.InferInput<typeof loadSchema>;
/** The options of {@link loadData}; those of another format than the one that is found are refused. */
export interface LoadDataOptions extends Readonly<Options> {
  /** Called with notes for the user, such as which files of a folder are not read. */
  readonly onNote?: (text: string) => void;
}
/** The same with their defaults. */
export interface ResolvedLoading extends Readonly<v.InferOutput<typeof loadSchema>>, Pick<LoadDataOptions, "onNote"> {}
/** The options that say how a table is read. */
export const TABLE_OPTIONS = [
  "header",
  "labelColumn",
  "labelColumns",
  "textColumn",
  "textEncoding",
  "tokenizer",
  "targets",
  "task",
  "encoding",
  "dropColumns",
  "missing",
  "unlabelled",
] as const;
/** How a table is read. */
export interface TableOptions extends Pick<LoadDataOptions, (typeof TABLE_OPTIONS)[number]> {}
/** How images are made alike. */
export interface ImageOptions
  extends Pick<LoadDataOptions, "imageSize" | "grey" | "exifOrientation" | "mean" | "std"> {}

const NAMES = Object.keys(loadSchema.entries) as (keyof Options)[];

/** Options of all formats. */
const COMMON = ["stream", "testFraction", "splitSeed"] as const;
/** An option that not all formats take. */
export type FormatOption = Exclude<keyof Options, (typeof COMMON)[number]>;

/** The given options that differ from their defaults and that not all formats take. */
export function givenFormatOptions(options: LoadDataOptions): FormatOption[] {
  return NAMES.filter((name): name is FormatOption => {
    const value = options[name];
    // Every format can be read for classification.
    if (isOneOf(COMMON, name) || (name === "task" && value === "classification")) return false;
    return value !== undefined && value !== v.getDefault(loadSchema.entries[name]);
  });
}

/** The options of a command that say how data are read. */
export function onlyLoading(options: LoadDataOptions): LoadDataOptions {
  const given = Object.entries(options).filter(([name, value]) => isOneOf(NAMES, name) && value !== undefined);
  return Object.fromEntries(given);
}

/** The flag of each option by its name, for help texts. */
export const LOADING_FLAGS: Readonly<Record<string, OptionFlag>> = Object.fromEntries(
  Object.entries(loadSchema.entries).map(([name, { wrapped }]) => [name, v.getMetadata(wrapped)]),
);

/** Writes `tokenizer` as the encoding that it is short for: what reads texts only knows `textEncoding`. */
function withTokenizer<T extends Pick<Options, "tokenizer" | "textEncoding">>(options: T): T {
  const { tokenizer: file, textEncoding } = options;
  if (file === undefined) return options;
  if (textEncoding === undefined) return { ...options, textEncoding: formatExpression({ name: "tokenizer", file }) };
  throw badArgument("tokenizer", "none if textEncoding is given", file);
}

/** Refuses options of {@link LoadDataOptions} that are of no use, with every mistake. */
export function expectLoading(options: LoadDataOptions): void {
  const issues = issuesOf(loadSchema, options);
  if (issues.length > 0) throw issuesError(issues);
}

/** The options with their defaults; `BAD_ARGUMENT` that lists every mistake. */
export function resolveLoading(options: LoadDataOptions): ResolvedLoading {
  expectOptions("loadData", options, [...NAMES, "onNote"]);
  const { onNote, ...rest } = options;
  if (onNote !== undefined && typeof onNote !== "function") {
    throw badArgument("onNote", "a function", onNote);
  }
  expectLoading(rest);
  return { ...withTokenizer(v.parse(loadSchema, rest)), onNote };
}
