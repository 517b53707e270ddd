import { PacedRun } from "./steps/paced_run.js";
import { EXAMPLES, scriptSetup } from "./steps/setup.js";

const PARTS = 10;
/** Until the compiler has what it wants and the collector its room: about 400 steps. */
const WARM_EPOCHS = 25;
const MB = 1e6;

/** The memory in use after some steps. */
interface SoakPoint {
  readonly steps: number;
  readonly rssBytes: number;
}

/**
 * Makes `steps` warm steps of the script in the library's loop, rounded up to whole epochs, and gives the resident
 * memory at the start, once warm, and after each tenth.
 */
export async function* soak(steps: number, warmEpochs = WARM_EPOCHS): AsyncGenerator<SoakPoint> {
  const setup = scriptSetup("train");
  const run = await PacedRun.start(setup);
  const epochs = Math.ceil((steps * setup.rows) / EXAMPLES);
  let made = 0;
  await run.epoch(warmEpochs);
  yield { steps: 0, rssBytes: process.memoryUsage.rss() };
  for (let part = 1; part <= PARTS; part++) {
    const more = Math.round((epochs * part) / PARTS) - made;
    if (more === 0) continue;
    await run.epoch(more);
    made += more;
    yield { steps: made * run.stepsPerEpoch, rssBytes: process.memoryUsage.rss() };
  }
  await run.stop();
}

/** A line of the soak, with what was added since the start. */
export function formatSoak({ steps, rssBytes }: SoakPoint, start: SoakPoint): string {
  const more = (rssBytes - start.rssBytes) / MB;
  const sign = more < 0 ? "-" : "+";
  return `${String(steps).padStart(9)} steps  ${(rssBytes / MB).toFixed(1).padStart(7)} MB  ${sign}${Math.abs(more).toFixed(1)}`;
}
