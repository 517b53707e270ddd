import { dirname, join, parse } from "node:path";
import { showList } from "../../checks.js";
import { badData, listFiles } from "../../files/index.js";

const WORDS: Readonly<Record<string, "train" | "validation" | "test">> = {
  ...{ train: "train", training: "train" },
  ...{ val: "validation", valid: "validation", validation: "validation" },
  ...{ test: "test", testing: "test" },
};

/** The part of a data set that a folder or file of this name holds, as people write it: `train`, `Training`, `train_set`. */
export function partOf(name: string): "train" | "validation" | "test" | null {
  const word = name.toLowerCase().replace(/[-_ ]?set$/, "");
  return Object.hasOwn(WORDS, word) ? WORDS[word] : null;
}

/** What the validation part is called beside a training part. */
export const VALIDATION_WORDS = Object.keys(WORDS).filter((word) => WORDS[word] === "validation");

/** The file beside a table that is its test or validation part: `test.csv` of `train.csv`, otherwise `NAME_test.csv`. */
export async function fileOf(part: "validation" | "test", file: string): Promise<string | null> {
  const { name, ext } = parse(file);
  const files = await listFiles(dirname(file));
  const start = /^(|.*[_-])train(ing)?([-_ ]?set)?$/i.exec(name)?.[1];
  const usual = (part === "test" ? [part] : VALIDATION_WORDS).map((word) => `${name}_${word}${ext}`);
  const found = start === undefined ? usual.filter((one) => files.has(one)) : filesOf(part, files, ext, start);
  if (found.length > 1) throw badData(dirname(file), `expected one ${part} file, has ${showList(found)}`);
  return found.length === 0 ? null : join(dirname(file), found[0]);
}

/** The files of a part: `train.csv`, otherwise all that are named so, as `Train.csv`, behind what the names start with. */
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
