import { show } from "../../checks.js";
import { badData, readWhole } from "../../files/index.js";
import { decodeText } from "./text.js";

/** What the classes of data sets are called whose files do not say it. */
const USUAL_NAMES: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "fashion-mnist",
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
  ],
  ["kmnist", ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]],
]);

/** Of a known data set: the names of its classes, where it has as many. */
export function usualNames(name: string, classes: number): readonly string[] | undefined {
  const names = USUAL_NAMES.get(name);
  return names?.length === classes ? names : undefined;
}

/** The names of classes out of a text file, one a line, in their order; `BAD_DATA` with the line otherwise. */
export async function readClassNames(file: string, classes: number): Promise<string[]> {
  const lines = decodeText(await readWhole(file), file)
    .trimEnd()
    .split("\n")
    .map((line) => line.trim());
  const wrong = lines.findIndex((name, i) => name === "" || lines.indexOf(name) !== i);
  if (wrong >= 0) throw badData(file, `line ${wrong + 1}: expected a name, each once, got ${show(lines[wrong])}`);
  if (lines.length !== classes) throw badData(file, `expected ${classes} names, one a line, got ${lines.length}`);
  return lines;
}
