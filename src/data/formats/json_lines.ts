import { isObject, show } from "../../checks.js";
import { badData, openSliced } from "../../files/index.js";
import { numberText } from "../preprocessing/number_format.js";
import { tableFormat } from "./table_format.js";
import { type ParseText, type TextRecord, TextRecords } from "./text_records.js";

/** Tables in JSON lines: an object a line, whose keys are the columns. */
export const jsonLines = tableFormat({
  name: "jsonl",
  help: "a .jsonl or .ndjson table",
  extensions: [".jsonl", ".ndjson"],
  samplesHelp: "lines of a .jsonl or .ndjson file (with or without labels)",
  isNamed: true,
  openRecords: openJsonLines,
});

/** The names of the columns, out of the first object, then the cells of each object, without spaces around them. */
async function openJsonLines(path: string, encoding?: string): Promise<TextRecords<readonly string[]>> {
  let names: ReadonlySet<string> | undefined;
  const parse: ParseText<readonly string[]> = (text, firstLine) => {
    const records: TextRecord<readonly string[]>[] = [];
    for (const [i, row] of text.split("\n").entries()) {
      if (row.trim() === "") continue;
      const line = firstLine + i;
      const object = parseObject(row, line, path);
      names ??= new Set(Object.keys(object));
      // The first block begins in line 1; when it is read again, the names are its first record again.
      if (firstLine === 1 && records.length === 0) records.push({ value: [...names], line });
      records.push({ value: cellsOf(object, names, line, path), line });
    }
    return { records, cut: null };
  };
  return new TextRecords(await openSliced(path), parse, encoding);
}

function parseObject(row: string, line: number, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(row);
  } catch (error) {
    throw badData(file, `line ${line}: ${(error as Error).message}`, error);
  }
  if (isObject(value)) return value;
  throw badData(file, `line ${line}: expected an object, got ${show(value)}`);
}

const KEYS = "its keys are the columns: add it there, with null if it is missing";

function cellsOf(object: Record<string, unknown>, names: ReadonlySet<string>, line: number, file: string): string[] {
  const unknown = Object.keys(object).find((name) => !names.has(name));
  if (unknown !== undefined)
    throw badData(file, `line ${line}: the first line has no column ${show(unknown)}: ${KEYS}`);
  return Array.from(names, (name) => {
    const cell = (Object.hasOwn(object, name) ? object[name] : null) ?? "";
    if (typeof cell === "string") return cell.trim();
    if (typeof cell === "number") return numberText(cell);
    // A list of numbers is a teacher's logits, not a column of the samples. Only lists begin with a space.
    if (Array.isArray(cell) && cell.length > 1 && cell.every((x) => typeof x === "number"))
      return ` ${JSON.stringify(cell)}`;
    const advice = typeof cell === "boolean" ? `: write ${Number(cell)}, or "${cell}" for a text` : "";
    throw badData(file, `line ${line}, ${show(name)}: expected a number or a text, got ${show(cell)}${advice}`);
  });
}
