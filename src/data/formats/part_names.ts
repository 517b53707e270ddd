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

/** The file beside a table that is its validation part: `val.csv` of `train.csv`, otherwise `NAME_val.csv`. */
export async function validationFile(file: string): Promise<string | null> {
  const { name, ext } = parse(file);
  const files = await listFiles(dirname(file));
  const [found, again] = VALIDATION_WORDS.map(
    (part) => (/(^|[_-])train$/i.test(name) ? name.replace(/train$/i, part) : `${name}_${part}`) + ext,
  ).filter((candidate) => files.has(candidate));
  if (again !== undefined) throw badData(file, `${found} and ${again} beside it are both its val part: keep one`);
  return found === undefined ? null : join(dirname(file), found);
}

/** The file beside a table that is its test part: `test.csv` of `train.csv`, otherwise `NAME_test.csv`. */
export async function testFile(file: string): Promise<string | null> {
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
export function filesOf(part: "train" | "test", files: ReadonlySet<string>, extension: string, start = ""): string[] {
  if (files.has(start + part + extension)) return [start + part + extension];
  const isOne = (file: string) => {
    const { name, ext } = parse(file);
    const isBehind = name.toLowerCase().startsWith(start.toLowerCase());
    return ext.toLowerCase() === extension.toLowerCase() && isBehind && partOf(name.slice(start.length)) === part;
  };
  return [...files].filter(isOne).sort();
}
