import { describe, expect, test } from "vitest";
import { printable, printableInline } from "../../src/log/index.js";

describe("what a terminal would obey is shown", () => {
  test.each([
    ["an escape sequence", "x\x1b[31mred", "x\\u001b[31mred"],
    ["the single-byte form of one", "x\x9b31mred", "x\\u009b31mred"],
    ["a title, a bell, a backspace", "\x1b]0;t\x07a\b", "\\u001b]0;t\\u0007a\\u0008"],
    ["a carriage return and a tab", "a\rb\tc\x7f", "a\\u000db\\u0009c\\u007f"],
    ["a turn of direction", "a\u202egnp.exe\u2066\u200f", "a\\u202egnp.exe\\u2066\\u200f"],
    ["separators of lines", "a\u2028b\u2029c\x85", "a\\u2028b\\u2029c\\u0085"],
    ["what is invisible", "a\u200b\u00ad\ufeff\u{e0041}b", "a\\u200b\\u00ad\\ufeff\\udb40\\udc41b"],
    ["half a character", "a\ud800b", "a\\ud800b"],
  ])("%s", (_, text, shown) => {
    expect(printable(text)).toBe(shown);
    // What is shown in JSON is the same JSON.
    expect(JSON.parse(printable(JSON.stringify({ [text]: text })))).toEqual({ [text]: text });
  });

  test("all else stays: newlines, other scripts, joiners, emoji", () => {
    const text = "ü → 東京 שלום می‌خواهم 👩‍👩‍👧 ━─\nsecond\n";
    expect(printable(text)).toBe(text);
  });

  test("a part of a line has no newlines", () => {
    expect(printableInline("a\nEpoch [1/1]\x1b")).toBe("a\\nEpoch [1/1]\\u001b");
  });
});
