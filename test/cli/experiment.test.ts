import { expect, test } from "vitest";
import { workersOf } from "../../src/cli/experiment.js";

test("workers have as long as it took to open the data, up to what a comparison takes", () => {
  const startSeconds = (openSeconds: number) => {
    const settings = { config: { parallel: 8 }, userOptions: {}, flags: {} };
    return workersOf(settings as never, { openSeconds } as never).startSeconds;
  };
  expect([startSeconds(0.5), startSeconds(3600)]).toEqual([100, 86_400]);
});
