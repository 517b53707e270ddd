import { appendFileSync, closeSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { ioError, makeFolder, writeWhole } from "../files/index.js";

/**
 * A file whose beginning is written whole or not at all, and that is then appended to. Every failure is `IO_ERROR` with
 * its path.
 */
export class AppendFile {
  #descriptor: number | null;

  private constructor(
    readonly path: string,
    descriptor: number,
  ) {
    this.#descriptor = descriptor;
  }

  /** Replaces the file with its beginning; the folder is made. */
  static async begin(path: string, start: Uint8Array | string): Promise<AppendFile> {
    makeFolder(dirname(path), path);
    await writeWhole(path, start);
    return new AppendFile(
      path,
      writing(path, () => openSync(path, "a")),
    );
  }

  append(data: Uint8Array | string): void {
    const descriptor = this.#descriptor;
    if (descriptor !== null) writing(this.path, () => appendFileSync(descriptor, data));
  }

  /** Everything appended is on the disk afterwards. A second call does nothing. */
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
