#!/usr/bin/env node
// Nothing is imported before it is known that memory suffices; a failure to load is reported like any other.
import { readFileSync } from "node:fs";

/** What every command needs, measured, with a margin. Below it Node.js aborts, or fails in the middle of an import. */
const NEEDED = [
  {
    limit: "Max open files",
    least: 56,
    text: (n: number) => `open files are limited to ${n} (ulimit -n): at least 56 are needed`,
  },
  {
    limit: "Max address space",
    least: 1.3e9,
    text: (n: number) =>
      `memory is limited to ${(n / 1e9).toFixed(2)} GB of addresses (ulimit -v): at least 1.3 GB are needed`,
  },
];

// If the signal is ignored, a write beyond the file size limit (ulimit -f) fails like any other.
process.on("SIGXFSZ", () => {});

const shortage = tooLittle();
if (shortage === null) {
  try {
    const { run } = await import("./program.js");
    await run();
  } catch (error) {
    const { reportFailure } = await import("./error_boundary.js");
    reportFailure(error, process.argv.includes("--debug"));
  }
} else {
  process.exitCode = 1;
  process.stderr.write(`distillery: ${shortage} (IO_ERROR)\n`);
}

/** The limit of this process that leaves too little memory; null if none does, or if the system does not report it. */
function tooLittle(): string | null {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "utf8");
  } catch (error) {
    const isFull = (error as NodeJS.ErrnoException).code === "EMFILE";
    return isFull ? "open files are limited to fewer than Node.js opens itself (ulimit -n)" : null;
  }
  for (const { limit, least, text } of NEEDED) {
    const [, soft = ""] = new RegExp(`^${limit} +(\\d+)`, "m").exec(limits) ?? [];
    if (soft !== "" && Number(soft) < least) return text(Number(soft));
  }
  return null;
}
