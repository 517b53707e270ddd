import { describe, expect, test } from "vitest";
import { packInt8, UNPACKED } from "../../../src/export/js/packed_int8.js";
import { Generator, randn, withGenerator } from "../../../src/index.js";
import { WEB_ASSEMBLY } from "../../../src/ops/web_assembly.js";

type Unpacked = (text: string, length: number) => Int8Array;
const made = new Function(
  "WebAssembly",
  `${WEB_ASSEMBLY.source}; ${UNPACKED.source}; const webAssembly = compiled(4); return unpacked;`,
);
/** By the runtime's WebAssembly, and where there is none. */
const [unpacked, inJavaScript] = [Reflect.get(globalThis, "WebAssembly"), undefined].map(
  (api) => made(api) as Unpacked,
);

/** Rounded normals, as weights are. */
function normals(count: number, deviation: number): Int8Array {
  const { data } = withGenerator(new Generator(2), () => randn([count]));
  return Int8Array.from(data, (x) => Math.max(-127, Math.min(127, Math.round(x * deviation))));
}

/** The least bits that numbers of these frequencies take. */
function entropy(values: Int8Array): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => bits - count * Math.log2(count / values.length), 0);
}

describe("numbers come back from their text", () => {
  test.each<[string, Int8Array]>([
    ["none", new Int8Array(0)],
    ["one", Int8Array.of(-127)],
    ["always the same", new Int8Array(5000).fill(3)],
    ["one rare among many", new Int8Array(50_000).fill(-1).map((x, i) => (i === 777 ? 127 : x))],
    ["all alike", Int8Array.from({ length: 25_500 }, (_, i) => ((i * 101) % 255) - 127)],
    ["two", Int8Array.from({ length: 999 }, (_, i) => (i % 3 === 0 ? 127 : -127))],
    ["few of each", Int8Array.from({ length: 255 }, (_, i) => i - 127)],
    ["a narrow bell", normals(40_000, 2)],
    ["a wide bell", normals(40_000, 40)],
  ])("%s", (_, values) => {
    const text = packInt8(values);
    expect(text).toMatch(/^[ !#-;=-[\]-~]*$/);
    expect(unpacked(text, values.length)).toEqual(values);
    expect(inJavaScript(text, values.length)).toEqual(values);
  });
});

test("a text is 1% longer than it has to be, and the table, of 512 at most", () => {
  for (const deviation of [2, 10, 40]) {
    const values = normals(200_000, deviation);
    const least = entropy(values) / Math.log2(92);
    expect(packInt8(values).length - 512).toBeLessThan(1.01 * least);
  }
});
