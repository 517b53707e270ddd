import { expect, test } from "vitest";
import { compared, counted, fewer, ordinal } from "../../src/report/text.js";

test("one of a thing and several, also where the plural is another word", () => {
  expect([counted(1, "run"), counted(2000, "run")]).toEqual(["1 run", "2,000 runs"]);
  expect([counted(1, "class", "classes"), counted(10, "class", "classes")]).toEqual(["1 class", "10 classes"]);
});

test("ordinals", () => {
  const numbers = [1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 101, 111, 112, 512, 1022];
  const expected = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 101st 111th 112th 512th 1022nd";
  expect(numbers.map(ordinal).join(" ")).toBe(expected);
});

test("a student may have more parameters than its teacher", () => {
  expect([7.9, 12.4, 0.5, 1, 1.04, 0.96].map(fewer)).toEqual([
    "7.9 times fewer",
    "12 times fewer",
    "2.0 times more",
    "as many",
    "as many",
    "as many",
  ]);
  expect(compared(1.06, ["\u00d7 faster", "\u00d7 slower", "as fast"])).toBe("1.1\u00d7 faster");
});
