import { readdir, rm, truncate } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { expectPath } from "../checks.js";
import { ioError } from "../files/index.js";
import { metricOfKey } from "../tasks/metrics.js";
import type { EpochRecord } from "./epoch_record.js";
import { FileMetricsLog, type MetricsLog } from "./metrics_log.js";

/**
 * The tags of what every run has; a loss's own metric is `loss/NAME`, a figure of the validation set `validation/NAME`.
 */
const TAGS: Readonly<Record<string, string>> = { loss: "loss", validationLoss: "validation/loss" };

const OURS = /^events\.out\.tfevents\..*\.distillery$/;

/**
 * Metrics as an event file that TensorBoard reads (`tensorboard --logdir FOLDER`), with the epochs as its steps. The
 * folder is made; an event file that Distillery left there before is replaced, other files stay. When a run is resumed,
 * the epochs before it are written anew, as if they had ended just now. Runs at the same time need folders of their
 * own.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if the folder is no path; its methods `IO_ERROR` if it can't be written.
 * @example
 * ```ts
 * await distill({ teacher, student, data, logs: [tensorBoardLog("runs/distill/tensorboard")] });
 * ```
 */
export function tensorBoardLog(folder: string): MetricsLog {
  expectPath("folder", folder, "a folder");
  let records: typeof import("./event_record.js");
  const row = (record: EpochRecord, time: number) => records.scalarsRecord(time, record.epoch, tagged(record));
  return new FileMetricsLog({
    async start(history) {
      // Only here: a process without such a log starts without it.
      records = await import("./event_record.js");
      const now = Date.now() / 1000;
      const [first, ...ends] = timesOf(history, now);
      const rows = history.map((record, i) => row(record, ends[i] ?? now));
      return { path: join(folder, fileName(now)), data: Buffer.concat([records.openingRecords(first, 1), ...rows]) };
    },
    begun: (path) => retire(folder, basename(path)),
    added: (record) => row(record, Date.now() / 1000),
  });
}

/** When the first epoch began and when each ended, in seconds since 1970, had the last one ended at `now`. */
function timesOf(history: readonly EpochRecord[], now: number): [number, ...number[]] {
  const times: [number, ...number[]] = [now];
  for (const { seconds } of history.toReversed()) times.unshift(times[0] - seconds);
  return times;
}

function tagged({ metrics, lr, samplesPerSecond }: EpochRecord): Record<string, number> {
  const named = Object.entries(metrics).map(([name, value]) => [tagOf(name), value]);
  return { ...Object.fromEntries(named), learning_rate: lr, samples_per_second: samplesPerSecond };
}

function tagOf(key: string): string {
  const metric = metricOfKey(key);
  return TAGS[key] ?? (metric === null ? `loss/${key}` : `validation/${metric.name}`);
}

/** As TensorBoard's own writer names files: it reads those of a folder in the order of their names. */
function fileName(now: number): string {
  return `events.out.tfevents.${Math.floor(now)}.${hostname()}.${process.pid}.distillery`;
}

/** The names of our files. */
async function eventFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw ioError("read", folder, error, "folder");
  });
  return names.filter((name) => OURS.test(name));
}

/**
 * Empties the file before `own`, at whose end a TensorBoard that is running waits for more or the next; removes others.
 */
async function retire(folder: string, own: string): Promise<void> {
  const former = (await eventFiles(folder)).filter((name) => name !== own).sort();
  for (const name of former) {
    const file = join(folder, name);
    await (name === former.at(-1) ? truncate(file) : rm(file)).catch((error: unknown) => {
      throw ioError("write", file, error);
    });
  }
}
