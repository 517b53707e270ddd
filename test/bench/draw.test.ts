import { describe, expect, it } from "vitest";
import { drawRoofline } from "../../bench/draw/roofline.js";
import { drawScaling } from "../../bench/draw/scaling.js";
import { COLOURS } from "../../bench/draw/svg.js";
import { RESULTS } from "./sample.js";

/** Throws where tags do not close in the order in which they opened, or text holds a bare `<` or `&`. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  const text = svg.replaceAll(/<!\[CDATA\[[\s\S]*?\]\]>/g, "");
  for (const [, end, name, self] of text.matchAll(/<(\/?)([a-zA-Z]+)(?:\s+[\w:-]+="[^"<]*")*\s*(\/?)>/g)) {
    if (end) expect(open.pop()).toBe(name);
    else if (!self) open.push(name);
  }
  expect(open).toEqual([]);
  const between = text.replaceAll(/<\/?[a-zA-Z]+(?:\s+[\w:-]+="[^"<]*")*\s*\/?>/g, "");
  expect(between).not.toMatch(/<|&(?!(amp|lt|gt|quot|#\d+);)/);
}

describe.each([
  ["roofline", drawRoofline(RESULTS)],
  ["scaling", drawScaling(RESULTS)],
])("the figure %s", (_, svg) => {
  it("is a well-formed SVG with a size", () => {
    expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 \d+ \d+"/);
    expectWellFormed(svg);
  });

  it("can be read aloud", () => {
    expect(svg).toMatch(/^<svg role="img" aria-labelledby="title desc"/);
    expect(svg).toMatch(/<title id="title">[^<]+<\/title><desc id="desc">[^<]+<\/desc>/);
  });

  it("has a dark colour for each of its own", () => {
    for (const colour of Object.values(COLOURS)) expect(svg).toContain(`[fill="${colour}"]{fill:#`);
  });

  it("names the machine", () => expect(svg).toContain("A Processor, 2 threads"));
});

describe("the roofline figure", () => {
  const svg = drawRoofline(RESULTS);

  it("has a dot for each kernel and none for a step", () => {
    expect(svg.match(/<desc[^>]*>([^<]*)</)?.[1]).toBe("1: A*Bᵀ  &lt;teacher&gt; &amp; fc1, 16.7 FLOP/B, 100 GFLOP/s");
  });

  it("has axes with units, and the roofs", () => {
    for (const text of ["FLOP per byte", "rate (GFLOP/s)", "1 MiB: 100 GB/s", "256 MiB: 25.0 GB/s"]) {
      expect(svg).toContain(text);
    }
  });
});

describe("the figure of sizes", () => {
  const svg = drawScaling(RESULTS);

  it("has every time and share", () => {
    for (const { ms } of [...RESULTS.scaling.overBatch, ...RESULTS.scaling.overWidth]) {
      expect(svg).toContain(`>${ms.toPrecision(3)}<`);
    }
    expect(svg.match(/>61%</g)).toHaveLength(4);
  });

  it("has axes with units", () => {
    for (const text of ["batch (rows)", "width of both networks", "time of a step (ms)", "share of the peak (%)"]) {
      expect(svg).toContain(text);
    }
  });
});
