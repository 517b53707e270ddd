import * as v from "valibot";
import { show } from "../checks.js";
import { MAX_THREADS } from "../threads.js";
import { expected, flag, share, whole, within } from "../train/options.js";

function text(what: string) {
  const message = expected(what);
  return v.pipe(
    v.string(message),
    v.nonEmpty(message),
    v.check((value) => !value.includes("\0"), message),
  );
}

function upTo(most: number) {
  const message = expected(`a whole number from 1 to ${most}`);
  return v.pipe(v.number(message), v.integer(message), v.minValue(1, message), v.maxValue(most, message));
}

/** The name of a place, or whether its usual one is used. */
const placeOrFlag = (what: string) => v.union([v.boolean(), text(what)], expected(`true, false or ${what}`));
const partOf1 = () => within(0, 1 - Number.EPSILON, "a number from 0 to below 1");

function column() {
  const message = expected("the name of a column, or its place");
  return v.pipe(
    v.union([v.string(), v.pipe(v.number(), v.safeInteger())], message),
    v.check((name) => name !== "", message),
  );
}

function sides() {
  const message = expected("a number of pixels of at least 1, or of rows and columns");
  const side = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
  return v.union([side, v.tuple([side, side])], message);
}

/** What says which examples there are: the data, how they are read, what is held out for testing, the random stream. */
export const SOURCE = {
  /** `synthetic`, a known name, a folder or a file. */
  data: v.optional(text("a data set's name, folder or file"), "synthetic"),
  /**
   * Of a table: the column of the classes, its name, or its place from 0, counted from the end below 0; default: the one
   * that is called label, class, target or y, or else the last.
   */
  labelColumn: v.optional(column()),
  /** Of a table: whether its first line names the columns; default: whether it has no number. */
  header: v.optional(flag()),
  /** Of a folder of pictures: the size that all are brought to, one number or `[rows, columns]`; default: they are alike. */
  imageSize: v.optional(sides()),
  /** Of a folder of pictures: whether all become grey, or colour; default: as the first one is. */
  grey: v.optional(flag()),
  /** Whether the data stay on the disk and are read in shuffled chunks; default: they are read into memory. */
  stream: v.optional(flag()),
  /** Of data without a test part: the share that is split off for it; 0 for none. */
  testShare: v.optional(partOf1(), 0.2),
  /** Of the splits alone, so that runs of other seeds share them. */
  splitSeed: v.optional(whole(0), 0),
  seed: v.optional(whole(0), 0),
  /** Default: the cores. */
  threads: v.optional(upTo(MAX_THREADS)),
} as const;

/** How training data are taken apart and changed. */
export const TRAINING_DATA = {
  /** The share that is held out for validation, 0 for none; default: 0.1, and 0 of synthetic data. */
  validation: v.optional(partOf1()),
  /** Random changes of the images. */
  augment: v.optional(
    v.strictObject(
      {
        /** Up to so many pixels in any direction. */
        shift: v.optional(whole(0)),
        /** With this probability, left to right. */
        flip: v.optional(share()),
        /** Padded by so many pixels and cut to size again at random. */
        crop: v.optional(whole(0)),
        /** Normal noise of this standard deviation. */
        noise: v.optional(within(0, Number.MAX_VALUE, "a number of at least 0")),
      },
      expected("shift, flip, crop and noise by their names"),
    ),
  ),
} as const;

const STEPS = v.strictObject({ steps: whole(1) }, ({ input }) =>
  input === undefined ? "needed" : `expected a number of epochs, or { steps: 100 }, got ${show(input)}`,
);

/** What a run leaves, and where. */
export const KEEPING = {
  /** Epochs between checkpoints, or `{ steps }`; default: every epoch, but at most one a second. */
  checkpointEvery: v.optional(v.lazy((value) => (typeof value === "object" ? STEPS : whole(1)) as CheckpointEvery)),
  keepCheckpoints: v.optional(whole(1), 2),
  /** TensorBoard's event files: in this folder, or in the run's. */
  tensorboard: v.optional(placeOrFlag("a folder"), false),
  /** The metrics as a table: in this file, or in the run's folder. */
  csv: v.optional(placeOrFlag("a file"), false),
  /** Whether `report.html` is written. */
  report: v.optional(flag(), true),
  /** What is printed goes to this file too, or to the usual one. */
  logFile: v.optional(placeOrFlag("a file"), false),
} as const;

/** What several runs that count as one leave, and how they run. */
export const SIDE_BY_SIDE = {
  /** How many run at once, in processes of their own; default: the cores. */
  parallel: v.optional(upTo(MAX_THREADS)),
  /** Whether `report.html` is written. */
  report: KEEPING.report,
  /** What is printed goes to this file too, or to the usual one. */
  logFile: KEEPING.logFile,
} as const;

type CheckpointEvery = v.GenericSchema<number | { steps: number }>;

/** A list of at least one number. */
export const numbers = <S extends v.GenericSchema<number>>(one: S) => {
  const message = expected("a list of numbers");
  return v.pipe(v.array(one, message), v.minLength(1, message));
};
export const folder = (usual: string) => v.optional(text("a folder"), usual);
export const file = () => v.optional(text("a file"));
