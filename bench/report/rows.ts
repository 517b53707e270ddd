import type { Work } from "../cases/work.js";
import type { Row, StepRow } from "../results.js";
import { digits, percent, Table } from "./table.js";

/** The table of kernels and of whole steps, for so many threads. */
export function rowsTable(threads: number): Table {
  return new Table([
    { title: "", width: 37, left: true },
    { title: "shape", width: 15 },
    { title: "1 thread ms", width: 13 },
    { title: `${threads} threads ms`, width: 14 },
    { title: "speed-up", width: 10 },
    { title: "plain ms", width: 10 },
    { title: "ratio", width: 8 },
    { title: "rate", width: 14 },
    { title: "share", width: 7 },
    { title: "of", width: 12 },
  ]);
}

/** The cells of a row; of a step's rows, the last cell says what the machine's limit is. */
export function rowCells(row: Row | StepRow): string[] {
  const { name, shape, work, oneThreadMs, allThreadsMs, speedUp, plainMs, ratio, rate, share } = row;
  return [
    name,
    shape,
    digits(oneThreadMs),
    digits(allThreadsMs),
    `${speedUp.toFixed(2)}x`,
    digits(plainMs),
    `${digits(ratio)}x`,
    formatRate(rate, work.unit),
    percent(share?.share),
    share === null ? "" : share.bound,
  ];
}

/** What the steps' limits are, and how far their rounds lie apart. */
export function formatStep({ name, limitMs, allThreadsMs, spread: { allThreads } }: StepRow): string {
  const range = allThreads.min === allThreads.max ? "" : ` (${digits(allThreads.min)}-${digits(allThreads.max)})`;
  return `  ${name}: ${digits(allThreadsMs)} ms${range}, limit ${digits(limitMs)} ms`;
}

function formatRate(rate: number, unit: Work["unit"]): string {
  return unit === "draws" ? `${digits(rate * 1e3)} M/s` : `${digits(rate)} G${unit}/s`;
}
