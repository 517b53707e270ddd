import { basename, dirname, extname, join, parse } from "node:path";
import { showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, listFiles } from "../../files/index.js";

const WORDS: Readonly<Record<string, "train" | "validation" | "test">> = {
  train: "train",
  training: "train",
  val: "validation",
  valid: "validation",
  validation: "validation",
  test: "test",
  testing: "test",
};

/**
 * The part of a data set that a folder or file of this name holds, as people write it: `train`, `Training`,
 * `train_set`.
 */
export function partOf(name: string): "train" | "validation" | "test" | null {
  const word = name.toLowerCase().replace(/[-_ ]?set$/, "");
  return Object.hasOwn(WORDS, word) ? WORDS[word] : null;
}

/** What the validation part is called beside a training part. */
const VALIDATION_WORDS = Object.keys(WORDS).filter((word) => WORDS[word] === "validation");

/**
 * The file beside a table that is its test or validation part: `test.csv` of `train.csv`, otherwise `NAME_test.csv`.
 */
export async function fileOf(part: "validation" | "test", file: string): Promise<string | null> {
  const { name, ext } = parse(file);
  const files = await listFiles(dirname(file));
  const start = /^(|.*[_-])train(ing)?([-_ ]?set)?$/i.exec(name)?.[1];
  const usual = (part === "test" ? [part] : VALIDATION_WORDS).map((word) => `${name}_${word}${ext}`);
  const found = start === undefined ? usual.filter((one) => files.has(one)) : filesOf(part, files, ext, start);
  if (found.length > 1) throw badData(dirname(file), `expected one ${part} file, has ${showList(found)}`);
  return found.length === 0 ? null : join(dirname(file), found[0]);
}

/**
 * The files of a part: `train.csv`, otherwise all that are named so, as `Train.csv`, behind what the names start with.
 */
export function filesOf(
  part: "train" | "validation" | "test",
  files: ReadonlySet<string>,
  extension: string,
  start = "",
): string[] {
  if (part !== "validation" && files.has(start + part + extension)) return [start + part + extension];
  const isOne = (file: string) => {
    const { name, ext } = parse(file);
    const isBehind = name.toLowerCase().startsWith(start.toLowerCase());
    return ext.toLowerCase() === extension.toLowerCase() && isBehind && partOf(name.slice(start.length)) === part;
  };
  return [...files].filter(isOne).sort();
}

/** The arrays of a data set: samples and labels for training, then for testing if they are there. */
export type Family = readonly [x: string, y: string, testX?: string, testY?: string];

/** Arrays by name. */
interface NamedArrays {
  /** The file or folder, for errors. */
  readonly source: string;
  readonly names: ReadonlySet<string>;
}

/** The names that arrays go by. */
const FAMILIES: readonly Family[] = [
  ["x_train", "y_train", "x_test", "y_test"],
  ["X_train", "y_train", "X_test", "y_test"],
  ["train_images", "train_labels", "test_images", "test_labels"],
  ["x", "y"],
  ["X", "y"],
  ["images", "labels"],
  ["data", "labels"],
  ["data", "target"],
];

/** The arrays that are the data; `BAD_DATA` with the names that were looked for. */
export function expectFamily({ source, names }: NamedArrays): Family {
  const family = familyOf(names);
  if (family !== null) return family;
  const wanted = FAMILIES.map(([x, y]) => `${x} and ${y}`).join("; ");
  throw badData(source, `expected arrays called ${wanted}; it has ${showList([...names].sort(), 8) || "none"}`);
}

/**
 * The arrays that go with a `.npy` file: those of its family, or its labels in `NAME_labels.npy`, `labels.npy` or
 * `y.npy` beside it; `NOT_FOUND` otherwise.
 */
export function familyBeside(file: string, names: ReadonlySet<string>): Family {
  const stem = basename(file, extname(file));
  const families = [...FAMILIES, ...FAMILIES.map((one) => asWritten(one, names))];
  const family = families.find((one) => one.includes(stem) && isThere(one, names));
  if (family !== undefined) return withoutMissing(family, names);
  const candidates = [`${stem}_labels`, "labels", "y"].filter((other) => other !== stem);
  const labels = candidates.find((other) => names.has(other));
  if (labels !== undefined) return [stem, labels, ...testBeside(stem, labels, names)];
  const wanted = candidates.map((other) => `${other}.npy`).join(", ");
  throw new DistilleryError("NOT_FOUND", `${file}: expected its labels beside it, in one of ${wanted}`);
}

/**
 * The arrays of the test part beside `train.npy`: `Test.npy` and `Test_labels.npy` beside `Train.npy` and its labels.
 */
function testBeside(stem: string, labels: string, names: ReadonlySet<string>): [string, string] | [] {
  if (partOf(stem) !== "train" || labels !== `${stem}_labels`) return [];
  const test = [...names].find((name) => partOf(name) === "test" && names.has(`${name}_labels`));
  return test === undefined ? [] : [test, `${test}_labels`];
}

/**
 * Refuses another pair of samples and labels beside the training part if its name says no part, such as `x_dev` and
 * `y_dev`.
 */
export function expectNoOtherPart({ source, names }: NamedArrays, used: readonly (string | undefined)[]): void {
  const [x, y] = used as [string, string];
  if (!/train/i.test(x) || !/train/i.test(y)) return;
  const [before, after] = x.split(/train(?:ing)?/i);
  for (const name of names) {
    if (used.includes(name) || !name.startsWith(before) || !name.endsWith(after)) continue;
    const part = name.slice(before.length, name.length - after.length);
    if (part === "" || !names.has(y.replace(/train(ing)?/i, part))) continue;
    const text = `expected only train, val and test, found ${JSON.stringify(name)} too: rename or remove it`;
    throw badData(source, text);
  }
}

/** The arrays of the validation part: `x_val` and `y_val` beside `x_train`, and the like. */
export function validationFamily([x, y]: Family, names: ReadonlySet<string>): readonly [string, string] | null {
  const called = (name: string, part: string) => {
    const wanted = name.replace(/train(ing)?/i, part).toLowerCase();
    return [...names].find((one) => one.toLowerCase() === wanted);
  };
  if (!/train/i.test(x) || !/train/i.test(y)) return null;
  for (const part of VALIDATION_WORDS) {
    const [own, labels] = [called(x, part), called(y, part)];
    if (own === undefined && labels === undefined) continue;
    // If one of the two is missing, reading it reports that.
    return [own ?? x.replace(/train(ing)?/i, part), labels ?? y.replace(/train(ing)?/i, part)];
  }
  return null;
}

function isThere([x, y]: Family, names: ReadonlySet<string>): boolean {
  return names.has(x) && names.has(y);
}

export function familyOf(names: ReadonlySet<string>): Family | null {
  const family = FAMILIES.find((candidate) => isThere(candidate, names));
  if (family !== undefined) return withoutMissing(family, names);
  const alike = FAMILIES.map((candidate) => asWritten(candidate, names)).find((one) => isThere(one, names));
  return alike === undefined ? null : withoutMissing(alike, names);
}

/** A family by the names that arrays have, which may differ in case: `X_Train`. */
function asWritten(family: Family, names: ReadonlySet<string>): Family {
  const written = (wanted: string) => [...names].find((name) => name.toLowerCase() === wanted.toLowerCase()) ?? wanted;
  return family.map((name) => name && written(name)) as unknown as Family;
}

/** A family without its test part if no array of that is there. */
function withoutMissing(family: Family, names: ReadonlySet<string>): Family {
  const [x, y, testX, testY] = family;
  return [testX, testY].some((name) => name !== undefined && names.has(name)) ? family : [x, y];
}
