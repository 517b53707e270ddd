import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { failure, temporaryFolder } from "../support.js";
import { start } from "./support.js";

const folder = temporaryFolder();
afterEach(() => vi.restoreAllMocks());

/** A system clock that is set back and forth by up to ten years at each look. */
function jump(): void {
  const now = Date.now;
  let looks = 0;
  vi.spyOn(Date, "now").mockImplementation(() => now() + (looks++ % 2 === 0 ? -1 : 1) * (looks % 7) * 5e10);
}

test("a clock that jumps changes nothing: numbers, durations, checkpoints, resuming", async () => {
  const alone = await start().end;
  jump();
  const out = join(folder, "run");
  const controller = new AbortController();
  const onStep = ({ step }: { step: number }) => step === 6 && controller.abort();
  await failure(start({ out, checkpointEvery: { steps: 1 }, signal: controller.signal, onStep }).done, "ABORTED");
  const resumed = start({ out, checkpointEvery: { steps: 1 }, resume: true });
  expect(await resumed.end).toEqual(alone);
  for (const { seconds } of (await resumed.done).history) {
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(1e5);
  }
});
