import { DistilleryError } from "./errors.js";

/** What the system ran out of, by the codes of its errors, and what to do. */
export const SHORTAGES: Readonly<Record<string, string>> = {
  EMFILE: "too many files are open: raise the limit (ulimit -n)",
  ENFILE: "too many files are open on this system: close other programs",
  EFBIG: "files may get no larger: raise the limit (ulimit -f), or choose another disk",
  ENOMEM: "memory ran out: raise the limit (ulimit -v), or close other programs",
  EAGAIN: "no more processes or threads may be started: raise the limit (ulimit -u), or close other programs",
};

const NO_MEMORY =
  /Array buffer allocation failed|Invalid typed array length|out of memory|memory allocation of \d+ bytes failed/i;

/** The error of a system that ran out of a resource, as one that says so; null for any other error. */
export function shortageOf(error: unknown): DistilleryError | null {
  if (!(error instanceof Error) || error instanceof DistilleryError) return null;
  const { code = "", syscall = "", message } = error as NodeJS.ErrnoException;
  const isSystem = code !== "EAGAIN" || syscall.startsWith("spawn");
  const text = isSystem && Object.hasOwn(SHORTAGES, code) ? SHORTAGES[code] : shortageIn(message);
  return text === null || text === undefined ? null : new DistilleryError("IO_ERROR", text, { cause: error });
}

/** Which resource a dead process had run out of, according to what it printed; null if the text does not say. */
export function shortageIn(printed: string): string | null {
  const code = Object.keys(SHORTAGES).find((name) => new RegExp(`\\b${name}\\b`).test(printed));
  if (code !== undefined) return SHORTAGES[code];
  if (/Resource temporarily unavailable/.test(printed)) return SHORTAGES.EAGAIN;
  return NO_MEMORY.test(printed) || /cannot allocate memory|process OOM/i.test(printed) ? SHORTAGES.ENOMEM : null;
}
