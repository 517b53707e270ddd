import { appendFileSync, closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { ioError, writeWhole } from "../files/index.js";

/** A file that begins whole or not at all, and then grows at its end. Every failure is `IO_ERROR` with its name. */
export class GrowingFile {
  #descriptor: number | null;

  private constructor(
    readonly path: string,
    descriptor: number,
  ) {
    this.#descriptor = descriptor;
  }

  /** Writes what it begins with in the place of what was there; its folder is made. */
  static async begin(path: string, start: Uint8Array | string): Promise<GrowingFile> {
    writing(path, () => mkdirSync(dirname(path), { recursive: true }));
    await writeWhole(path, start);
    return new GrowingFile(
      path,
      writing(path, () => openSync(path, "a")),
    );
  }

  append(data: Uint8Array | string): void {
    const descriptor = this.#descriptor;
    if (descriptor !== null) writing(this.path, () => appendFileSync(descriptor, data));
  }

  /** All of it is on the disk afterwards. A second call does nothing. */
  close(): void {
    const descriptor = this.#descriptor;
    if (descriptor === null) return;
    this.#descriptor = null;
    try {
      writing(this.path, () => fsyncSync(descriptor));
    } finally {
      closeSync(descriptor);
    }
  }
}

function writing<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw ioError("write", path, error);
  }
}
