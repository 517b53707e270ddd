import { cpus } from "node:os";
import { MANIFEST } from "../package.js";
import { getNumThreads, numCores } from "../threads.js";
import type { ReportHead } from "./report_data.js";

/** What a caller may say of a report. */
export interface ReportOptions {
  /** Shown above the verdict; default: the kind of run and its data. */
  title?: string;
  /** The command that repeats it. */
  command?: string;
}

/** The part of a report that is the same for all kinds. */
export function headOf(
  config: Readonly<Record<string, unknown>>,
  classNames: readonly string[],
  usualTitle: string,
  { title = usualTitle, command = "" }: ReportOptions,
): Omit<ReportHead, "verdict"> {
  return { title, command, created: new Date().toISOString(), versions: versionsHere(), config, classNames };
}

/** The names of the classes, or their numbers. */
export function classNamesOf(classes: number, names?: readonly string[]): string[] {
  return Array.from({ length: classes }, (_, i) => names?.[i] ?? String(i));
}

/** What the figures were made with. */
function versionsHere(): Record<string, string> {
  const { platform, arch, versions } = process;
  return {
    distillery: MANIFEST.version,
    node: versions.node,
    platform: `${platform} ${arch}`,
    processor: `${cpus()[0]?.model.trim() || "unknown"}, ${numCores()} cores`,
    threads: String(getNumThreads()),
  };
}
