import { expect, test } from "vitest";
import { explained, wrapped } from "../../src/cli/terminal.js";

test("sentences break between words; tables, and words that are longer than a line, do not", () => {
  const table = "accuracy, best epoch           90.16%     89.75% ± 0.16";
  const text = `${table}\n\none two three\nWritten to runs/compare/compare.json`;
  expect(wrapped(text, 9).split("\n")).toEqual([
    table,
    "",
    "one two",
    "three",
    "Written",
    "to",
    "runs/compare/compare.json",
  ]);
  expect(wrapped(text, Number.POSITIVE_INFINITY)).toBe(text);
});

test("an explanation stands beside what it explains, or below it where few columns are left", () => {
  const text = "the factor on the soft part of the loss";
  expect(explained("  alpha", text, 10, 34).split("\n")).toEqual([
    "  alpha   the factor on the soft",
    "          part of the loss",
  ]);
  expect(explained("  alpha", text, 10, 33).split("\n")).toEqual([
    "  alpha",
    "        the factor on the soft",
    "        part of the loss",
  ]);
  expect(explained("  alpha", text, 10, Number.POSITIVE_INFINITY)).toBe(`  alpha   ${text}`);
});
