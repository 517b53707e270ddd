import { expect, test } from "vitest";
import { Runs } from "../../../src/watch/page/runs.js";

test("runs stand below the shortest path above them", () => {
  const runs = new Runs();
  const run = (path: string, changed: number) => ({
    ...{ path, command: "distill", data: null, epochs: 3, state: "done" as const, hasReport: false },
    ...{ changed, from: 0, records: [] },
  });
  const ordered = (...paths: string[]) => {
    runs.replace({ changed: paths.map(run), removed: [] });
    return runs.ordered().map(({ path }) => path);
  };
  expect(ordered("a/b/c", "ab", "a/b", "a", "d/e", "a/x/y")).toEqual(["a", "a/b", "a/b/c", "a/x/y", "d/e", "ab"]);
  expect(ordered("b", "a/c", "")).toEqual(["", "a/c", "b"]);
});
