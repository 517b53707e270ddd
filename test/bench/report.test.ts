import { describe, expect, it } from "vitest";
import {
  againstCells,
  convolutionCells,
  digits,
  formatConditions,
  formatLimits,
  formatStep,
  inferenceCells,
  peerCells,
  peersTable,
  percent,
  profileCells,
  rowCells,
  rowsTable,
  runCells,
  scalingCells,
  Table,
} from "../../bench/report.js";
import { LIMITS, PEER_ROW, RESULTS, ROW, STEP_ROW } from "./sample.js";

describe("a table", () => {
  it("sets each cell in its column", () => {
    const table = new Table([
      { title: "name", width: 6, left: true },
      { title: "ms", width: 5 },
    ]);
    expect(table.heading("times")).toBe("\ntimes\nname     ms\n-----------");
    expect(table.row(["one", "1.5"])).toBe("one     1.5");
    expect(table.row(["two", ""])).toBe("two");
  });
});

describe("numbers", () => {
  it.each([
    [0.012345, "0.0123"],
    [1.5, "1.50"],
    [99.94, "99.9"],
    [1234.5, "1235"],
  ])("%d has three digits that count", (x, text) => expect(digits(x)).toBe(text));

  it("shares are percentages", () => {
    expect(percent(0.756)).toBe("76%");
    expect(percent(null)).toBe("");
  });
});

describe("the tables of the benchmark", () => {
  it("tell a kernel's times, rate and share", () => {
    expect(rowCells(ROW)).toEqual([
      ROW.name,
      "100×100×100",
      "0.0360",
      "0.0200",
      "0.0195-0.0210",
      "1.80x",
      "2.00",
      "100x",
      "100 GFLOP/s",
      "50%",
      "arithmetic",
    ]);
    expect(rowsTable(2).row(rowCells(ROW))).toContain("0.0200   0.0195-0.0210     1.80x");
  });

  it("tell rates in bytes and draws, and no share where there is none", () => {
    const draws = { ...ROW, work: { ...ROW.work, unit: "draws" as const }, rate: 0.25, share: null };
    expect(rowCells(draws).slice(-3)).toEqual(["250 M/s", "", ""]);
    expect(rowCells({ ...ROW, work: { ...ROW.work, unit: "B" as const } })[8]).toBe("100 GB/s");
  });

  it("tell a step's interval and limit", () => {
    expect(rowCells(STEP_ROW)[4]).toBe("3.90-4.25");
    expect(formatStep(STEP_ROW)).toBe("  the script: 4.00 ms, limit 3.50 ms");
  });

  it("tell the conditions and the limits", () => {
    expect(formatConditions(RESULTS)).toBe(
      "A Processor, 2 cores, 8 GiB, x-y\n" +
        "distillery 0.1.0 (abc1234), Node v20.17.0\n" +
        "kernels: 2 threads; plain TypeScript: 1 thread",
    );
    expect(formatLimits(LIMITS).split("\n")[2]).toBe(
      "  2 threads  200 GFLOP/s; 100 GB/s in 1 MiB, 25.0 GB/s in 256 MiB",
    );
  });

  it("tell a profile's line, a run, a size and a peer", () => {
    const entry = { kernel: "matmul", calls: 2, ms: 0.5, share: 0.125, gigabytesPerSecond: 4, gflops: 150 };
    expect(profileCells(entry)).toEqual(["matmul", "2.00", "0.500", "13%", "150", "4.00"]);
    const run = { name: "a", epochs: 3, seconds: 1, distillSeconds: null, firstStepSeconds: 0.25, peakRssBytes: 1.2e8 };
    expect(runCells(run)).toEqual(["a", "3", "1.00", "", "0.250", "120"]);
    expect(scalingCells(RESULTS.scaling.overWidth[0] as never)).toEqual([
      "64",
      "x0.25",
      "175",
      "0.777",
      "0.777-0.777",
      "61%",
    ]);
    const time = { median: 200, low: 190, high: 220 };
    const row = {
      name: "step of a",
      flops: 2e10,
      oneThread: { ...time, median: 300 },
      allThreads: time,
      shareOfPeak: 0.5,
    };
    const times = ["300 (190-220)", "200 (190-220)"];
    expect(convolutionCells(row)).toEqual(["step of a", "20.0", ...times, "1.50x", "50%"]);
    const latency = { p50: 0.125, p99: 0.5 };
    const call = { network: "student", rows: 8, oneThread: latency, allThreads: { ...latency, p50: 0.1 } };
    expect(inferenceCells(call)).toEqual(["student", "8", "0.125", "0.500", "0.100", "0.500"]);
    const against = { group: "steps", name: "a", threads: 2, ours: time, theirs: time, ratio: PEER_ROW.ours };
    expect(againstCells(against)).toEqual(["a", "2", "200 (190-220)", "200 (190-220)", "1.00 (0.900-1.10)"]);
    const cells = [
      "teacher's logits known",
      "PyTorch",
      "ms a step",
      "2.50 (2.25-3.00)",
      "1.00 (0.900-1.10)",
      "2.50 (2.40-2.75)",
    ];
    expect(peerCells(PEER_ROW)).toEqual(cells);
    expect(peersTable.row(cells)).toMatch(/2\.50 \(2\.40-2\.75\)$/);
  });
});
