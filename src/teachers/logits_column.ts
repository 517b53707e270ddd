import { createHash } from "node:crypto";
import { join } from "node:path";
import { argumentError, badArgument, expectOptions, expectPath, show } from "../checks.js";
import { openTableRecords } from "../data/formats/index.js";
import { filesOf } from "../data/formats/part_names.js";
import { expectClassNames } from "../data/labels.js";
import { expectLoading, type TableOptions } from "../data/load_options.js";
import { indexOf, readTableHeader, type TableHeader } from "../data/table_header.js";
import { badData, kindOf, listFiles } from "../files/index.js";
import { rowOf } from "../slices.js";
import { byIndex } from "./by_index.js";
import type { Teacher } from "./teacher.js";

/** How {@link logitsColumn} reads a table. */
export interface LogitsColumnOptions
  extends Pick<TableOptions, "header" | "encoding" | "labelColumn" | "labelColumns"> {
  /** The names of the classes in the order of a cell's numbers; default: the data's order. */
  classes?: readonly string[];
}

/**
 * The logits in a column of a `.csv`, `.tsv` or `.jsonl` table as a teacher: a cell has a number for each class, such
 * as `[0.1, 2.5, -1]` or `0.1 2.5 -1`. Load the data without this column, by `dropColumns`.
 *
 * @throws DistilleryError `BAD_DATA` with the line of a cell that contains anything else, `BAD_ARGUMENT` if the column
 * does not exist.
 * @example
 * ```ts
 * const { train } = await loadData("flowers.csv", { dropColumns: ["scores"] });
 * await distill({ teacher: await logitsColumn("flowers.csv", "scores"), student, data: train });
 * ```
 */
export async function logitsColumn(
  path: string,
  column: string | number,
  options: LogitsColumnOptions = {},
): Promise<Teacher> {
  expectOptions("logitsColumn", options, ["header", "encoding", "labelColumn", "labelColumns", "classes"]);
  const { classes: names, ...table } = options;
  const { encoding } = table;
  if (typeof column !== "string" && typeof column !== "number") {
    throw badArgument("column", "a column's name, or its index", column);
  }
  expectLoading(table);
  const file = await tableOf(expectPath("path", path, "a table, .csv, .tsv or .jsonl, or its folder"));
  const records = await openTableRecords(file, encoding);
  if (records === null) {
    throw argumentError("teacherColumn", `expected a table, .csv, .tsv or .jsonl, got ${path}`);
  }
  let header: TableHeader | null = null;
  let at = -1;
  let width = 0;
  const values: number[] = [];
  const take = (cells: readonly string[], line: number) => {
    const numbers = numbersOf(cells[at] ?? "");
    const place = `line ${line}, ${show(header?.names[at])}`;
    if (numbers === null) {
      const text = `${place}: expected a finite number for each class, as [0.1, 2.5, -1], got ${show(cells[at] ?? "")}`;
      throw badData(file, text);
    }
    width ||= numbers.length;
    if (numbers.length !== width)
      throw badData(file, `${place}: expected ${width} numbers as before, got ${numbers.length}`);
    for (const x of numbers) values.push(x);
  };
  await records.scan((cells, line) => {
    if (header !== null) return take(cells, line);
    header = readTableHeader(cells, line, file, table);
    at = indexOf(header.names, "teacherColumn", column, file);
    if (!header.isNamed) take(cells, line);
  });
  const all = Float32Array.from(values);
  const hash = createHash("sha256").update(`${width} columns\n`).update(new Uint8Array(all.buffer)).digest("hex");
  return byIndex("column", {
    name: `${file}: ${show(column)}`,
    samples: all.length / width,
    classes: width,
    lowestClasses: width,
    hash,
    ...(names && { classNames: expectClassNames(names, width) }),
    read: (index, out) => out.set(rowOf(all, index, width)),
  });
}

/** The file of a table, or the training file in a folder. */
async function tableOf(path: string): Promise<string> {
  if ((await kindOf(path)) !== "folder") return path;
  const names = await listFiles(path);
  const [name = "train.csv"] = [".csv", ".tsv", ".jsonl"].flatMap((extension) => filesOf("train", names, extension));
  return join(path, name);
}

/** The numbers in a cell; null if it contains anything else. */
function numbersOf(cell: string): number[] | null {
  const inside = /^\s*\[(.*)\]\s*$/s.exec(cell)?.[1] ?? cell;
  const texts = inside.trim().split(/[\s,;]+/);
  const numbers = texts.map((text) => (text === "" ? Number.NaN : Math.fround(Number(text))));
  return numbers.every(Number.isFinite) ? numbers : null;
}
