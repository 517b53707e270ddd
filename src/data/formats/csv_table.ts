import { badData, openSliced } from "../../files/index.js";
import { tableFormat } from "./table_format.js";
import { type TextRecord, TextRecords } from "./text_records.js";

/** Tables in comma-separated text. */
export const csvTable = tableFormat({
  name: "csv",
  help: "a .csv or .tsv table",
  extensions: [".csv", ".tsv"],
  samplesHelp: "rows of a .csv or .tsv file (with or without labels)",
  takesOthers: true,
  openRecords: openCsv,
});

const DELIMITERS = [",", ";", "\t", "|"] as const;
/** The line with which Excel says the delimiter. */
const SEP = /^sep=(.)\n/i;

/**
 * The records of comma-separated text (RFC 4180, in UTF-8; semicolons, tabs, bars and a line `sep=;` are recognised): cells without spaces
 * around them. Blank lines are left out. `BAD_DATA` with file and line for quotes that do not close.
 */
async function openCsv(path: string): Promise<TextRecords<readonly string[]>> {
  let delimiter: string | undefined;
  return new TextRecords(await openSliced(path), (text, line, isLast) => {
    const [said = "", own] = line === 1 ? (SEP.exec(text) ?? []) : [];
    delimiter ??= own ?? delimiterOf(text);
    return parseCsv(text.slice(said.length), delimiter, line + (said === "" ? 0 : 1), isLast, path);
  });
}

/** The one that occurs most often in the first line; a comma if none does. */
function delimiterOf(text: string): string {
  const end = text.indexOf("\n");
  const first = end < 0 ? text : text.slice(0, end);
  const count = (delimiter: string) => first.split(delimiter).length;
  return DELIMITERS.reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}

function parseCsv(
  text: string,
  delimiter: string,
  firstLine: number,
  isLast: boolean,
  file: string,
): TextRecord<readonly string[]>[] | null {
  const records: TextRecord<readonly string[]>[] = [];
  let [at, line] = [0, firstLine];
  while (at < text.length) {
    const end = text.indexOf("\n", at);
    const row = text.slice(at, end < 0 ? text.length : end);
    // Most records have no quotes: then a record is a line.
    const quoted = row.includes('"') ? parseQuoted(text, at, delimiter) : null;
    if (quoted !== null && "problem" in quoted) {
      if (quoted.isOpen && !isLast) return null;
      throw badData(file, `line ${line}: ${quoted.problem}`);
    }
    const cells = (quoted?.cells ?? row.split(delimiter)).map((cell) => cell.trim());
    if (cells.length > 1 || cells[0] !== "") records.push({ value: cells, line });
    line += quoted?.lines ?? 1;
    at = quoted?.next ?? at + row.length + 1;
  }
  return records;
}

type Quoted = { cells: string[]; lines: number; next: number } | { problem: string; isOpen: boolean };

/** A record some of whose cells may be quoted: these hold delimiters, line ends, and doubled quotes. */
function parseQuoted(text: string, start: number, delimiter: string): Quoted {
  const cells: string[] = [];
  let [at, lines] = [start, 1];
  for (;;) {
    let cell = "";
    if (text[at] === '"') {
      let from = at + 1;
      for (;;) {
        const quote = text.indexOf('"', from);
        if (quote < 0) return { problem: "quoted field unterminated", isOpen: true };
        cell += text.slice(from, quote);
        at = quote + 1;
        if (text[at] !== '"') break;
        cell += '"';
        from = at + 1;
      }
      lines += cell.split("\n").length - 1;
      while (text[at] === " " && delimiter !== " ") at++;
      if (at < text.length && text[at] !== "\n" && !text.startsWith(delimiter, at)) {
        return { problem: "trailing quote on quoted field is malformed", isOpen: false };
      }
    } else {
      const [next, end] = [text.indexOf(delimiter, at), text.indexOf("\n", at)];
      const stop = Math.min(next < 0 ? text.length : next, end < 0 ? text.length : end);
      cell = text.slice(at, stop);
      at = stop;
    }
    cells.push(cell);
    if (at >= text.length || text[at] === "\n") return { cells, lines, next: at + 1 };
    at += delimiter.length;
  }
}
