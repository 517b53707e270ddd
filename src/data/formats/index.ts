import { basename, extname, parse, resolve } from "node:path";
import { argumentError, expectOptions, expectPath, showList, suggestion } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, kindOf, listFiles, listFolders } from "../../files/index.js";
import { expectLoading, givenFormatOptions, type LoadDataOptions } from "../load_options.js";
import { samplesText } from "../preprocessing/adapt.js";
import { expectPreprocessing, type Preprocessing } from "../preprocessing/spec.js";
import { cifar } from "./cifar.js";
import { csvTable } from "./csv_table.js";
import type { CellRecords, FileSamples, Format, SampleOptions } from "./format.js";
import { idx } from "./idx.js";
import { imageFolder } from "./image_folder.js";
import { jsonLines } from "./json_lines.js";
import { numpy } from "./numpy.js";

/** The formats of data sets, in the order in which a folder is compared with them. */
export const FORMATS: readonly Format[] = [idx, cifar, numpy, csvTable, jsonLines, imageFolder];

/** What `--data` takes, for help texts. */
export const FORMATS_HELP = FORMATS.map(({ help }) => help).join(", ");

/** What `predict` takes, for help texts. */
export const SAMPLES_HELP = FORMATS.flatMap(({ samples }) => (samples === undefined ? [] : [samples.help])).join(", ");

/** Refuses options that a source of this format does not take; `BAD_ARGUMENT` that names the first. */
export function expectTaken(format: Format, options: LoadDataOptions, source: string): void {
  const foreign = givenFormatOptions(options).find((name) => !format.takes.includes(name));
  if (foreign === undefined) return;
  const takers = FORMATS.filter(({ takes }) => takes.includes(foreign)).map(({ help }) => help);
  const text = `is an option of ${takers.join(" or ")}: ${source} is ${format.help}`;
  throw argumentError(foreign, text);
}

/**
 * The format of a path: a file's by its extension, a folder's by its content. `name`: what a data set there is called.
 * `NOT_FOUND` or `BAD_DATA` with what was looked for; `names`: what else the source could have been.
 */
export async function detectFormat(
  source: string,
  names: readonly string[] = [],
): Promise<{ format: Format; name: string }> {
  const kind = await kindOf(source);
  if (kind === "folder") return { format: await folderFormat(source), name: basename(resolve(source)) };
  const extensions = FORMATS.flatMap((format) => format.extensions);
  const files = `a ${extensions.slice(0, -1).join(", ")} or ${extensions.at(-1)} file`;
  if (kind === null) {
    const text = `expected ${[...names, "a folder"].join(", ")}, or ${files}`;
    // A source without an extension was probably meant as a name.
    const meant = extname(source) === "" ? suggestion(source, names) : "";
    throw new DistilleryError("NOT_FOUND", `${source}: no such file or folder${meant || `: ${text}`}`);
  }
  const { name, ext } = parse(source);
  const format = FORMATS.find((one) => one.extensions.includes(ext.toLowerCase()));
  if (format !== undefined) return { format, name };
  throw badData(source, `expected ${files}, or a folder`);
}

async function folderFormat(path: string): Promise<Format> {
  const [files, folders] = [await listFiles(path), await listFolders(path)];
  for (const format of FORMATS) if (await format.detect({ path, files, folders })) return format;
  const looked = FORMATS.flatMap(({ folder }) => folder ?? []).join("; ");
  const has = [...folders.map((folder) => `${folder}/`), ...[...files].sort()];
  const text = `no data set found. Looked for ${looked}. It has ${showList(has) || "nothing"}`;
  throw new DistilleryError("NOT_FOUND", `${path}: ${text}`);
}

/** The records of a file of a table, whose first may name the columns; null for another file. */
export async function openTableRecords(file: string, encoding?: string): Promise<CellRecords | null> {
  const extension = extname(file).toLowerCase();
  const format = FORMATS.find(({ extensions }) => extensions.includes(extension));
  return (await format?.openRecords?.(file, encoding)) ?? null;
}

/**
 * Reads new samples as the preprocessing of a network says: images, rows of a table or values, out of a file of any
 * format that holds such samples. A table's columns may come in any order if they are named, with or without the label;
 * images are made grey or RGB and resized.
 *
 * @throws DistilleryError `BAD_ARGUMENT` without a preprocessing; `BAD_DATA` with the file and the line, index or byte.
 * @example
 * ```ts
 * const { inputs, locations } = await readSamples("new.csv", preprocessingOf(train));
 * ```
 */
export async function readSamples(
  file: string,
  spec: Preprocessing,
  options: SampleOptions = {},
): Promise<FileSamples> {
  expectOptions("readSamples", options, ["encoding", "exifOrientation", "dropColumns"]);
  expectLoading(options);
  expectPath("file", file);
  expectPreprocessing(spec);
  const readers = FORMATS.flatMap(({ samples }) => (samples?.accepts(spec) ? [samples] : []));
  const extension = extname(file).toLowerCase();
  const withExtension = (wanted: string) => readers.find(({ extensions }) => extensions.includes(wanted));
  const own = withExtension(extension);
  const isOther = own === undefined && FORMATS.some(({ samples }) => samples?.extensions.includes(extension));
  const reader = own ?? (isOther ? undefined : withExtension(""));
  if (reader !== undefined) return reader.read(file, spec, options);
  const helps = readers.map(({ help }) => help).join(" or ");
  throw badData(file, `the network takes ${samplesText(spec)}: expected ${helps}`);
}
