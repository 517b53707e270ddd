import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Dataset, fingerprintOf } from "../data/dataset.js";
import { DistilleryError } from "../errors.js";
import { bytesOf, ioError, kindOf, makeFolder, openSliced, readWhole, writeWhole } from "../files/index.js";
import { native } from "../native.js";

/** Rows of logits in a growing file, with a file beside it that says what they belong to. */
export class PartialLogits {
  private constructor(
    readonly file: string,
    private readonly folder: string,
    private readonly identity: string,
    private readonly width: number,
    /** Whole rows that are there. */
    public count: number,
    private lock: { release(): void } | null,
  ) {}

  /** The logits in a folder, if they belong to the same teacher and data; otherwise none. Nothing is written yet. */
  static async open(folder: string, teacher: string | null, data: Dataset): Promise<PartialLogits> {
    const identity = JSON.stringify({
      teacher,
      data: fingerprintOf(data),
      samples: data.length,
      classes: data.classes,
    });
    const [file, width] = [join(folder, "rows.f32"), 4 * data.classes];
    const lock = (await kindOf(folder)) === null ? null : locked(folder);
    const known = (await kindOf(join(folder, "of.json"))) !== null && (await kindOf(file)) !== null;
    const isSame =
      known && Buffer.from(await readWhole(join(folder, "of.json"))).toString() === identity && teacher !== null;
    const size = isSame ? (await openSliced(file)).size : 0;
    return new PartialLogits(file, folder, identity, width, Math.min(Math.floor(size / width), data.length), lock);
  }

  /** Appends rows, which are on disk when the promise resolves. */
  async append(logits: Float32Array): Promise<void> {
    try {
      if (this.count === 0) {
        makeFolder(this.folder);
        this.lock ??= locked(this.folder);
        await rm(this.file, { force: true });
        await writeWhole(join(this.folder, "of.json"), this.identity);
      }
      const handle = await open(this.file, this.count === 0 ? "w" : "r+");
      try {
        // A partial row that a killed process left is overwritten.
        await handle.truncate(this.count * this.width);
        const bytes = bytesOf(logits);
        for (let at = 0; at < bytes.length; ) {
          at += (await handle.write(bytes, at, bytes.length - at, this.count * this.width + at)).bytesWritten;
        }
        await handle.datasync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw error instanceof DistilleryError ? error : ioError("write", this.file, error);
    }
    this.count += (4 * logits.length) / this.width;
  }

  /** Releases the folder for others. */
  close(): void {
    this.lock?.release();
    this.lock = null;
  }
}

function locked(folder: string): { release(): void } {
  const lock = native.lockFile(join(folder, "lock"));
  if (lock !== null) return lock;
  throw new DistilleryError("IN_USE", `${folder}: another process is writing there: wait for its end`);
}
