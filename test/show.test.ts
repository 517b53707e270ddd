import { expect, test } from "vitest";
import { badArgument } from "../src/checks.js";
import { capitalized, showBytes, showPercent } from "../src/show.js";

test.each([
  [2140, "2.1 kB"],
  [999_000, "999.0 kB"],
  [2_136_088, "2.14 MB"],
  [12_345_678_901, "12.35 GB"],
])("%i bytes", (bytes, shown) => {
  expect(showBytes(bytes)).toBe(shown);
});

test("a fraction in percent; what is none is unknown", () => {
  expect([showPercent(0.9018), showPercent(0.0723, 1), showPercent(1, 0)]).toEqual(["90.18%", "7.2%", "100%"]);
  expect([Number.NaN, Infinity, JSON.parse("null")].map((x) => showPercent(x))).toEqual(Array(3).fill("unknown"));
});

test("the first letter large, of nothing nothing", () => {
  expect(["temperature 4", "T 4", ""].map(capitalized)).toEqual(["Temperature 4", "T 4", ""]);
});

test("what an error shows: a value that refuses to be read, and a promise that nobody awaits", async () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  expect(badArgument("lr", "a number", proxy).message).toBe("lr: expected a number, got a value of type Object");
  expect(badArgument("lr", "a number", [proxy]).message).toBe("lr: expected a number, got [a value of type Object]");
  // Vitest fails if it is an unhandled rejection.
  expect(badArgument("lr", "a number", Promise.reject(new Error("late"))).message).toBe(
    "lr: expected a number, got a promise",
  );
  await new Promise((resolve) => setImmediate(resolve));
});
