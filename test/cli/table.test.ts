import { expect, test } from "vitest";
import { formatTable } from "../../src/cli/table.js";

const ROWS = [
  ["test set, mean of 5", "accuracy", "agreement"],
  ["teacher", "90.16%", ""],
  ["kd, calibrated", "89.98%", "97.78%"],
];

test("columns are aligned, the first to the left", () => {
  expect(formatTable(ROWS, 40).split("\n")).toEqual([
    "test set, mean of 5  accuracy  agreement",
    "teacher                90.16%           ",
    "kd, calibrated         89.98%     97.78%",
  ]);
});

test("on a narrow terminal the title has its line, and what is still too wide comes in parts", () => {
  expect(formatTable(ROWS, 39).split("\n")).toEqual([
    "test set, mean of 5",
    "                accuracy  agreement",
    "teacher           90.16%           ",
    "kd, calibrated    89.98%     97.78%",
  ]);
  expect(formatTable(ROWS, 30).split("\n")).toEqual([
    "test set, mean of 5",
    "                accuracy",
    "teacher           90.16%",
    "kd, calibrated    89.98%",
    "",
    "                agreement",
    "teacher                  ",
    "kd, calibrated     97.78%",
  ]);
  // One column at least: nothing is left out.
  expect(formatTable(ROWS, 1).split("\n")).toHaveLength(8);
});

test("wide characters take two columns, dashes and curly quotes one", () => {
  const rows = [
    ["", "鸢尾花", "a\u2013b"],
    ["1", "9%", "don\u2019t \u2192"],
    ["\u2705", "99%", "1"],
  ];
  expect(formatTable(rows, 40).split("\n")).toEqual([
    "    鸢尾花      a\u2013b",
    "1       9%  don\u2019t \u2192",
    "\u2705     99%        1",
  ]);
});

test("a table may have more rows than a call takes arguments", () => {
  const table = formatTable([["", "1st"], ...Array.from({ length: 300_000 }, (_, i) => [`${i}`, "a"])], 40);
  expect(table.split("\n").at(-1)).toBe("299999    a");
});
