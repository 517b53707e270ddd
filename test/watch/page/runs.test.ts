import { describe, expect, test } from "vitest";
import { Runs } from "../../../src/watch/page/runs.js";

test("runs stand below the shortest path above them", () => {
  const runs = new Runs();
  const run = (path: string, changed: number) => ({
    path,
    command: "distill",
    data: null,
    epochs: 3,
    state: "done" as const,
    hasReport: false,
    changed,
    from: 0,
    records: [],
  });
  const ordered = (...paths: string[]) => {
    runs.replace({ changed: paths.map(run), removed: [] });
    return runs.ordered().map(({ path }) => path);
  };
  expect(ordered("a/b/c", "ab", "a/b", "a", "d/e", "a/x/y")).toEqual(["a", "a/b", "a/b/c", "a/x/y", "d/e", "ab"]);
  expect(ordered("b", "a/c", "")).toEqual(["", "a/c", "b"]);
});

describe("the box of an experiment", () => {
  const record = { epoch: 1, epochs: 3, lr: 0.1, seconds: 1, samplesPerSecond: 9, metrics: { loss: 1 } };
  const run = (path: string, records: (typeof record)[]) => ({
    path,
    command: "distill",
    data: null,
    epochs: 3,
    state: "done" as const,
    hasReport: false,
    changed: 1,
    from: 0,
    records,
  });
  const [baseline, distilled] = ["compare/seed-0/baseline", "compare/seed-0/distilled"];
  const filled = () => {
    const runs = new Runs();
    const changed = [run("compare", []), run(baseline, [record]), run(distilled, [record]), run("other", [record])];
    runs.replace({ changed, removed: [] });
    return runs;
  };
  const shown = (runs: Runs) => runs.shown().map(({ run: { path } }) => path);

  test("takes away what is shown by default", () => {
    const runs = filled();
    expect(shown(runs)).toEqual([baseline, distilled, "other"]);
    runs.choose("compare", false);
    expect(shown(runs)).toEqual(["other"]);
    runs.choose("compare", true);
    expect(shown(runs)).toEqual([baseline, distilled, "other"]);
  });

  test("leaves the boxes below it free", () => {
    const runs = filled();
    runs.showOnly("compare");
    runs.choose(baseline, false);
    expect(shown(runs)).toEqual([distilled]);
    runs.choose("compare", false);
    expect(shown(runs)).toEqual([]);
  });
});
