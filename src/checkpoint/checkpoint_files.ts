import { copyFileSync, linkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { DistilleryError } from "../errors.js";
import { ioError, readLarge, replaceFile, writeWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { badCheckpoint } from "./bad_checkpoint.js";
import { ageOf, namesIn } from "./run_folder.js";
import { decodeSafetensors, type Safetensors, safetensorsOf } from "./safetensors.js";

const CHECKSUM = "checksum";

/** A checkpoint that was read, and the file that it came from. */
export interface FoundCheckpoint extends Safetensors {
  file: string;
}

/**
 * The checkpoints of a run in its folder: `checkpoint.safetensors`, the newest, and `checkpoint.1.safetensors` and so
 * on, those before it. Each carries the CRC-32 of its content; a damaged one is skipped for the one before.
 */
export class CheckpointFiles {
  #writing: Promise<void> = Promise.resolve();
  /** The ages that {@link CheckpointFiles.newest} skipped. */
  #damaged: readonly number[] = [];

  constructor(
    private readonly folder: string,
    /** How many are kept. */
    private readonly keep: number,
  ) {}

  /** Removes all, for a run that starts from its beginning. */
  remove(): void {
    for (const age of this.#ages()) this.#delete(age);
  }

  /** Removes all but the newest, once that is written. */
  async removeOlder(): Promise<void> {
    await this.#writing;
    for (const age of this.#ages()) if (age > 0) this.#delete(age);
  }

  /** The newest undamaged checkpoint, or null; `onDamage` is called for each damaged one that was skipped. */
  async newest(onDamage: (error: DistilleryError) => void): Promise<FoundCheckpoint | null> {
    const damages = new Map<number, DistilleryError>();
    for (const age of this.#ages()) {
      const file = this.#path(age);
      try {
        const found = { ...verify(decodeSafetensors(await readLarge(file), file), file), file };
        for (const damage of damages.values()) onDamage(damage);
        this.#damaged = [...damages.keys()];
        return found;
      } catch (error) {
        if (!(error instanceof DistilleryError)) throw error;
        if (error.code !== "BAD_CHECKPOINT") throw error;
        damages.set(age, error);
      }
    }
    const [first] = damages.values();
    if (first !== undefined) throw first;
    return null;
  }

  /**
   * Starts to write a checkpoint of the values at the time of the call, once the one before is written; resolves when
   * the one before is written. {@link CheckpointFiles.written} waits for this one.
   */
  write(tensors: StateDict, metadata: Readonly<Record<string, string>>): Promise<void> {
    const bytes = safetensorsOf(tensors, { ...metadata, [CHECKSUM]: checksum({ tensors, metadata }) });
    const earlier = this.#writing;
    this.#writing = earlier.then(async () => {
      // A damaged one would replace the one that was read, before there is another.
      if (this.#damaged.length === 0) this.#age();
      await writeWhole(this.#path(0), bytes);
      for (const age of this.#damaged) if (age > 0) this.#delete(age);
      this.#damaged = [];
      // Of a run that kept more of them before it was resumed.
      for (const age of this.#ages()) if (age >= this.keep) this.#delete(age);
    });
    // written() reports a failure; until then it must not count as an unhandled rejection.
    this.#writing.catch(() => {});
    return earlier;
  }

  /** Waits for the checkpoint that is being written. */
  written(): Promise<void> {
    return this.#writing;
  }

  #path(age: number): string {
    return join(this.folder, age === 0 ? "checkpoint.safetensors" : `checkpoint.${age}.safetensors`);
  }

  /** Every checkpoint becomes one older; the newest keeps its name too, so that there is one at any moment. */
  #age(): void {
    if (this.keep < 2) return;
    const beside = `${this.#path(1)}.new`;
    try {
      rmSync(beside, { force: true });
      linkOrCopy(this.#path(0), beside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw ioError("write", this.#path(0), error);
    }
    try {
      // Those that are there, not the numbers that could be.
      const older = this.#ages().filter((age) => age > 0 && age < this.keep - 1);
      for (const age of older.reverse()) replaceFile(this.#path(age), this.#path(age + 1));
      replaceFile(beside, this.#path(1));
    } catch (error) {
      throw ioError("write", this.#path(1), error);
    }
  }

  /** The ages of the checkpoints that are there, the newest first. */
  #ages(): number[] {
    const ages = namesIn(this.folder).map(ageOf);
    return ages.filter((age) => age !== null).sort((a, b) => a - b);
  }

  #delete(age: number): void {
    try {
      rmSync(this.#path(age));
    } catch (error) {
      throw ioError("write", this.#path(age), error);
    }
  }
}

/** A file under another name too; as a copy if the file system has no links, as exFAT, SMB and mounted buckets. */
function linkOrCopy(file: string, other: string): void {
  try {
    linkSync(file, other);
  } catch (error) {
    if (["ENOENT", "ENOSPC", "EDQUOT", "EROFS"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    copyFileSync(file, other);
  }
}

function verify({ tensors, metadata }: Safetensors, file: string): Safetensors {
  const { [CHECKSUM]: expected, ...rest } = metadata;
  if (expected === checksum({ tensors, metadata: rest })) return { tensors, metadata: rest };
  throw badCheckpoint(file, "is damaged: its checksum is wrong");
}

/** CRC-32, as zip archives have it: SHA-256 would take five times as long, a tenth of a short epoch. */
function checksum({ tensors, metadata }: Safetensors): string {
  let crc = crc32(JSON.stringify(Object.entries(metadata)));
  for (const [key, tensor] of Object.entries(tensors)) {
    crc = crc32(tensor.data, crc32(JSON.stringify([key, tensor.dtype, tensor.shape]), crc));
  }
  return crc.toString(16).padStart(8, "0");
}
