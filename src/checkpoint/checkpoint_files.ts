import { copyFileSync, linkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { DistilleryError } from "../errors.js";
import { errorCode, ioError, readLarge, replaceFile, writeWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { badCheckpoint } from "./bad_checkpoint.js";
import { ageOf, namesIn } from "./run_folder.js";
import { decodeSafetensors, type Safetensors, safetensorsOf } from "./safetensors.js";

const CHECKSUM = "checksum";

/** A checkpoint that was read, and its file. */
export interface FoundCheckpoint extends Safetensors {
  file: string;
}

/**
 * The checkpoints in a run's folder: `checkpoint.safetensors` is the newest, `checkpoint.1.safetensors` and so on are
 * older ones. Each carries the CRC-32 of its content; if one is damaged, the one before it is used.
 */
export class CheckpointFiles {
  #writing: Promise<void> = Promise.resolve();
  /** The ages that {@link CheckpointFiles.newest} skipped. */
  #damaged: readonly number[] = [];

  constructor(
    private readonly folder: string,
    /** How many checkpoints are kept. */
    private readonly keep: number,
  ) {}

  /** Removes all checkpoints, for a run that starts from the beginning. */
  remove(): void {
    for (const age of this.#ages()) this.#delete(age);
  }

  /** Removes all checkpoints but the newest, once that one is written. */
  async removeOlder(): Promise<void> {
    await this.#writing;
    for (const age of this.#ages()) if (age > 0) this.#delete(age);
  }

  /** The newest undamaged checkpoint, or null. `onDamage` is called for each damaged one that is skipped. */
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
   * Starts to write a checkpoint of the values as they are now, once the previous one is written; resolves when the
   * previous one is written. {@link CheckpointFiles.written} waits for this one.
   */
  write(tensors: StateDict, metadata: Readonly<Record<string, string>>): Promise<void> {
    const bytes = safetensorsOf(tensors, { ...metadata, [CHECKSUM]: checksum({ tensors, metadata }) });
    const earlier = this.#writing;
    this.#writing = earlier.then(async () => {
      // A damaged checkpoint would replace the one that was read before a new one exists.
      if (this.#damaged.length === 0) this.#age();
      await writeWhole(this.#path(0), bytes);
      for (const age of this.#damaged) if (age > 0) this.#delete(age);
      this.#damaged = [];
      // Left by a run that kept more checkpoints before it was resumed.
      for (const age of this.#ages()) if (age >= this.keep) this.#delete(age);
    });
    // `written()` reports a failure; until then it must not count as an unhandled rejection.
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

  /** Every checkpoint becomes one older. The newest also keeps its name, so that there is one at any moment. */
  #age(): void {
    if (this.keep < 2) return;
    const beside = `${this.#path(1)}.new`;
    try {
      rmSync(beside, { force: true });
      linkOrCopy(this.#path(0), beside);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return;
      throw ioError("write", this.#path(0), error);
    }
    try {
      // Lists the existing ages, instead of trying every number.
      const older = this.#ages().filter((age) => age > 0 && age < this.keep - 1);
      for (const age of older.reverse()) replaceFile(this.#path(age), this.#path(age + 1));
      replaceFile(beside, this.#path(1));
    } catch (error) {
      throw ioError("write", this.#path(1), error);
    }
  }

  /** The ages of the existing checkpoints, newest first. */
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

/** Gives a file a second name; copies it if the file system has no hard links (exFAT, SMB, mounted buckets). */
function linkOrCopy(file: string, other: string): void {
  try {
    linkSync(file, other);
  } catch (error) {
    if (["ENOENT", "ENOSPC", "EDQUOT", "EROFS"].includes(errorCode(error))) throw error;
    copyFileSync(file, other);
  }
}

function verify({ tensors, metadata }: Safetensors, file: string): Safetensors {
  const { [CHECKSUM]: expected, ...rest } = metadata;
  if (expected === checksum({ tensors, metadata: rest })) return { tensors, metadata: rest };
  throw badCheckpoint(file, "is damaged: its checksum is wrong");
}

/** CRC-32, as in zip archives. SHA-256 would take five times as long: a tenth of a short epoch. */
function checksum({ tensors, metadata }: Safetensors): string {
  let crc = crc32(JSON.stringify(Object.entries(metadata)));
  for (const [key, tensor] of Object.entries(tensors)) {
    crc = crc32(tensor.data, crc32(JSON.stringify([key, tensor.dtype, tensor.shape]), crc));
  }
  return crc.toString(16).padStart(8, "0");
}
