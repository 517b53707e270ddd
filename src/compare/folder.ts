import { rm } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointFiles, lockFolder } from "../checkpoint/index.js";
import { ioError, writeWhole } from "../files/index.js";

/** What stands in the folder of a comparison or a sweep. */
export interface FolderContents {
  out: string;
  resume: boolean;
  /** The runs' folders below it. */
  runs: readonly string[];
  /** Kept as `config.json`. */
  config: Readonly<Record<string, unknown>>;
  /** The name of the file that what `body` gives is kept in, as JSON. */
  result: string;
}

/**
 * Runs `body` with a folder locked for it, and keeps what it gives. Unless it is to go on with what is there, an earlier
 * result and the runs' checkpoints go first: a later call that goes on then finds none of them.
 */
export async function inFolder<T>(contents: FolderContents, body: () => Promise<T>): Promise<T> {
  const { out, resume, runs, config, result: name } = contents;
  const lock = lockFolder(out);
  try {
    if (!resume) {
      for (const run of runs) new CheckpointFiles(join(out, run), 2).remove();
      await remove(join(out, name));
    }
    await writeJson(join(out, "config.json"), config);
    const result = await body();
    await writeJson(join(out, name), result);
    return result;
  } finally {
    lock.release();
  }
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeWhole(file, `${JSON.stringify(value, null, 2)}\n`);
}

async function remove(file: string): Promise<void> {
  await rm(file, { force: true }).catch((error: unknown) => {
    throw ioError("write", file, error);
  });
}
