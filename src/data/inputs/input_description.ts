import * as v from "valibot";
import { show } from "../../checks.js";
import { badData } from "../bad_data.js";
import { firstTwice, MAX_CATEGORIES } from "./cells.js";
import { type InputDescription, inputFeatures } from "./inputs.js";

const MOST = 2 ** 31 - 1;
const expected =
  (what: string) =>
  ({ input }: { input: unknown }) =>
    `expected ${what}, got ${show(input)}`;

function whole(least: number) {
  const message = expected(`a whole number from ${least} to ${MOST}`);
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(MOST, message));
}

function finite() {
  return v.pipe(v.number(expected("a finite number")), v.finite(expected("a finite number")));
}

function deviation() {
  // In single precision, in which it divides.
  return v.pipe(
    finite(),
    v.check((x) => Math.fround(x) > 0, expected("a number above 0")),
  );
}

function texts(most: number) {
  const different = (list: string[]) => new Set(list).size === list.length;
  return v.pipe(
    v.array(v.string(expected("a text")), expected("a list of texts")),
    v.minLength(1, expected("a text at least")),
    v.maxLength(most, expected(`at most ${most} texts`)),
    v.check(different, "expected each text once"),
  );
}

const CLASSES = { classes: whole(1), classNames: v.nullable(texts(MOST)) };
const COLUMN = v.union(
  [
    v.object({ name: v.string(), mean: finite(), std: deviation() }),
    v.object({ name: v.string(), categories: texts(MAX_CATEGORIES) }),
  ],
  "expected a column with mean and std, or with categories",
);
const DESCRIPTION = v.variant(
  "kind",
  [
    v.object({
      kind: v.literal("image"),
      channels: whole(1),
      height: whole(1),
      width: whole(1),
      mean: v.array(finite()),
      std: v.array(deviation()),
      ...CLASSES,
    }),
    v.object({
      kind: v.literal("table"),
      columns: v.pipe(v.array(COLUMN), v.minLength(1, "expected a column at least")),
      label: v.object({ name: v.string(), place: whole(0) }, expected("the label's name and place")),
      header: v.boolean(expected("true or false")),
      ...CLASSES,
    }),
    v.object({ kind: v.literal("values"), features: whole(1), ...CLASSES }),
  ],
  expected("image, table or values"),
);

/**
 * A description out of JSON, all of it checked; `BAD_DATA` with the file, the path in the description and what was
 * expected otherwise.
 *
 * @example
 * ```ts
 * const { metadata } = decodeSafetensors(await readFile("student.safetensors"));
 * const inputs = readInputDescription(JSON.parse(metadata[INPUTS_KEY] ?? "null"), "student.safetensors");
 * ```
 */
export function readInputDescription(value: unknown, file: string): InputDescription {
  const { success, output, issues } = v.safeParse(DESCRIPTION, value);
  if (!success) throw refuse(file, v.getDotPath(issues[0]) ?? "", issues[0].message);
  const { classes, classNames } = output;
  if (classNames !== null && classNames.length !== classes) {
    throw refuse(file, "classNames", `expected ${classes} names, got ${classNames.length}`);
  }
  if (output.kind === "image") {
    for (const [name, list] of [["mean", output.mean] as const, ["std", output.std] as const]) {
      if (list.length === output.channels) continue;
      throw refuse(file, name, `expected ${output.channels} numbers, one a channel, got ${list.length}`);
    }
  }
  if (output.kind === "table") {
    const twice = firstTwice(output.columns.map(({ name }) => name));
    if (twice !== undefined) throw refuse(file, "columns", `two columns are called ${show(twice)}`);
  }
  if (inputFeatures(output) > MOST) throw refuse(file, "", `expected at most ${MOST} values an example`);
  return output;
}

function refuse(file: string, path: string, problem: string): Error {
  return badData(file, `its description of inputs${path === "" ? "" : `, ${path}`}: ${problem}`);
}
