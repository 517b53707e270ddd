import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { DistilleryError } from "../src/errors.js";

/** A folder that goes when the test file is done. */
export function temporaryFolder(): string {
  const folder = join(tmpdir(), `distillery-test-${randomUUID()}`);
  // Not now: where every test is left out, nothing would remove it.
  beforeAll(() => void mkdirSync(folder));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Gives a path at each call, of a folder that is not there yet: `run-0`, `run-1`, ... */
export function newFolders(parent: string, name = "run"): () => string {
  let count = 0;
  return () => join(parent, `${name}-${count++}`);
}

/** The error that a promise ends with, which must be a DistilleryError of that code. */
export async function failure(promise: Promise<unknown>, code: string): Promise<DistilleryError> {
  const error = await promise.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DistilleryError);
  expect((error as DistilleryError).code, String(error)).toBe(code);
  return error as DistilleryError;
}
