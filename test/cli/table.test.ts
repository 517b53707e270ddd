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
