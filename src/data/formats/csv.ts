import { badData, readWhole } from "../../files/index.js";
import { decodeText } from "./text.js";

/** Takes a record's cells, without spaces around them, and the line that it begins in, from 1. */
export type TakeRecord = (cells: readonly string[], line: number) => void;

const DELIMITERS = [",", ";", "\t"] as const;

/**
 * Reads comma-separated text (RFC 4180, in UTF-8; semicolons and tabs are recognised), record by record; blank lines are
 * left out. `BAD_DATA` with file and line for quotes that do not close.
 */
export async function readCsv(file: string, take: TakeRecord): Promise<void> {
  const text = decodeText(await readWhole(file), file);
  // Only here: a program that reads no table need not load the library behind it.
  const { default: papa } = await import("papaparse");
  const isQuoted = text.includes('"');
  let line = 1;
  papa.parse<string[]>(text, {
    delimiter: delimiterOf(text),
    newline: "\n",
    step: ({ data, errors }) => {
      const [problem] = errors;
      if (problem !== undefined) throw badData(file, `line ${line}: ${problem.message.toLowerCase()}`);
      const cells = data.map((cell) => cell.trim());
      if (cells.length > 1 || cells[0] !== "") take(cells, line);
      line += isQuoted ? linesOf(data) : 1;
    },
  });
}

/** The one that stands most often in the first line; a comma where none does. */
function delimiterOf(text: string): string {
  const end = text.indexOf("\n");
  const first = end < 0 ? text : text.slice(0, end);
  const count = (delimiter: string) => first.split(delimiter).length;
  return DELIMITERS.reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}

function linesOf(cells: readonly string[]): number {
  return cells.reduce((sum, cell) => sum + (cell.includes("\n") ? cell.split("\n").length - 1 : 0), 1);
}
