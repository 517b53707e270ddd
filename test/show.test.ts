import { expect, test } from "vitest";
import { showBytes } from "../src/show.js";

test.each([
  [2140, "2.1 kB"],
  [999_000, "999.0 kB"],
  [2_136_088, "2.14 MB"],
  [12_345_678_901, "12.35 GB"],
])("%i bytes", (bytes, shown) => {
  expect(showBytes(bytes)).toBe(shown);
});
