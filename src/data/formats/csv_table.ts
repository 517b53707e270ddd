import { badData, openSliced } from "../../files/index.js";
import { isMissing } from "../preprocessing/encode.js";
import { isNumberLike } from "../preprocessing/number_format.js";
import { tableFormat } from "./table_format.js";
import { type ParsedText, type ParseText, type TextRecord, TextRecords } from "./text_records.js";

/** Tables in comma-separated text. */
export const csvTable = tableFormat({
  name: "csv",
  help: "a .csv or .tsv table",
  extensions: [".csv", ".tsv"],
  samplesHelp: "rows of a .csv or .tsv file (with or without labels)",
  takesOthers: true,
  openRecords: openCsv,
});

type Papa = typeof import("papaparse");

const DELIMITERS = [";", "\t", "|", ","] as const;
/** The line with which Excel says the delimiter. */
const SEP = /^sep=(.)\n/i;

/**
 * The records of comma-separated text (RFC 4180; semicolons, tabs, bars and a line `sep=;` are recognised): cells
 * without spaces around them. Blank lines are left out. `BAD_DATA` with file and line for quotes that do not close.
 */
async function openCsv(path: string, encoding?: string): Promise<TextRecords<readonly string[]>> {
  // A program that reads no table does not load the library.
  const { default: papa } = await import("papaparse");
  const isTabbed = /\.tsv$/i.test(path);
  let delimiter: string | undefined;
  const parse: ParseText<readonly string[]> = (text, line, isLast) => {
    const [said = "", own] = line === 1 ? (SEP.exec(text) ?? []) : [];
    delimiter ??= own ?? (isTabbed && text.split("\n", 1)[0].includes("\t") ? "\t" : delimiterOf(text));
    const firstLine = line + (said === "" ? 0 : 1);
    return parseCsv(papa, text.slice(said.length), { delimiter, firstLine, isLast, file: path });
  };
  return new TextRecords(await openSliced(path), parse, encoding);
}

/** Lines that are compared to find the delimiter. */
const COMPARED = 20;

/**
 * Guesses the delimiter. Candidates occur equally often in each of the first lines. Among them, one that does not split
 * numbers below the first line wins, otherwise the most frequent one; the comma comes last, because numbers may contain
 * it. Without candidates, the most frequent delimiter of the first line wins, or a comma.
 */
function delimiterOf(text: string): string {
  const unquoted = text.slice(0, 2 ** 16).replaceAll(/"[^"]*"/g, "");
  // The last line may be cut off.
  const lines = unquoted.split("\n").filter((line) => /[^ \r]/.test(line));
  const first = lines.slice(0, Math.max(1, Math.min(COMPARED, lines.length - (text.length > 2 ** 16 ? 1 : 0))));
  const count = (delimiter: string, line = "") => line.split(delimiter).length;
  const isEven = (delimiter: string) => first.every((line) => count(delimiter, line) === count(delimiter, first[0]));
  const found = DELIMITERS.filter((delimiter) => count(delimiter, first[0]) > 1);
  const even = found.filter(isEven);
  const isNumeric = (delimiter: string) =>
    first
      .slice(first.length > 1 ? 1 : 0)
      .every((line) => line.split(delimiter).every((cell) => isMissing(cell.trim()) || isNumberLike(cell.trim())));
  const numeric = even.filter(isNumeric);
  const most = (all: readonly string[]) =>
    all.reduce((best, one) => (count(one, first[0]) > count(best, first[0]) ? one : best), all[0] ?? ",");
  return most([numeric, even, found].find((all) => all.length > 0) ?? []);
}

function parseCsv(
  papa: Papa,
  text: string,
  { delimiter, firstLine, isLast, file }: { delimiter: string; firstLine: number; isLast: boolean; file: string },
): ParsedText<readonly string[]> {
  const records: TextRecord<readonly string[]>[] = [];
  const isQuoted = text.includes('"');
  let line = firstLine;
  let start = 0;
  let cut: number | null = null;
  papa.parse<string[]>(text, {
    delimiter,
    newline: "\n",
    step: ({ data, errors: [problem], meta: { cursor } }, parser) => {
      if (problem?.code === "MissingQuotes" && !isLast) {
        cut = line;
        return parser.abort();
      }
      if (problem !== undefined) throw badData(file, `line ${line}: ${problem.message.toLowerCase()}`);
      const cells = data.map((cell) => cell.trim());
      // Quotes alone are an empty cell, as pandas writes it in a table of one column.
      const isBlank = cells.length === 1 && cells[0] === "" && !text.slice(start, cursor).includes('"');
      if (!isBlank) records.push({ value: cells, line });
      start = cursor;
      line += isQuoted ? linesOf(data) : 1;
    },
  });
  return { records, cut };
}

/** The lines of a record: its quoted cells may hold line ends. */
function linesOf(cells: readonly string[]): number {
  return cells.reduce((sum, cell) => sum + (cell.includes("\n") ? cell.split("\n").length - 1 : 0), 1);
}
