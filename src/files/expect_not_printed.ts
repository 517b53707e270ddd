import { fstatSync, statSync } from "node:fs";
import { DistilleryError } from "../errors.js";

/** Refuses a file that standard output or standard error goes to: what is printed and what is written would mix. */
export function expectNotPrinted(file: string): void {
  const own = identityOf(() => statSync(file, { bigint: true }));
  if (own === null || ![1, 2].some((printed) => identityOf(() => fstatSync(printed, { bigint: true })) === own)) return;
  throw new DistilleryError("IO_ERROR", `${file}: is where the output goes that is printed: choose another name`);
}

/** What tells a regular file from all others, whatever it is called; null for anything else. */
function identityOf(status: () => { isFile(): boolean; dev: bigint; ino: bigint }): string | null {
  try {
    const found = status();
    return found.isFile() ? `${found.dev}:${found.ino}` : null;
  } catch {
    return null;
  }
}
