import { resolve } from "node:path";
import { isFileOfRun } from "../checkpoint/index.js";
import type { ConfigName, ResolvedConfig } from "../config/index.js";
import { DEFAULT_LOG_FILE } from "../log/index.js";
import { UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";

/** The options of a command that name a file which is read. */
const INPUTS = ["data", "teacher", "from"] as const;

type Paths = Partial<Record<(typeof INPUTS)[number], string | readonly string[] | undefined>> & {
  out: string;
  csv?: string | boolean;
  logFile: string | boolean;
};

/** Refuses logs that would be written onto a file of the run itself, onto one that is read, or onto each other. */
export function expectOutputs(config: ResolvedConfig<ConfigName>, configFile: string | undefined): void {
  const paths: Paths = config;
  const { out, csv = false, logFile } = paths;
  const read = new Map<string, string>();
  for (const name of INPUTS) for (const file of [paths[name] ?? []].flat()) read.set(resolve(file), flagOf(name));
  if (configFile !== undefined) read.set(resolve(configFile), "--config");
  const written = Object.entries({ "--csv": csv, "--log-file": logFile === true ? DEFAULT_LOG_FILE : logFile });
  for (const [flag, file] of written) {
    if (typeof file !== "string") continue;
    const other = read.get(resolve(file));
    const user = isFileOfRun(file, out) ? "the run itself writes" : other && `${other} names`;
    if (user !== undefined) throw new UsageError(`${flag}: ${file} is the file that ${user}: give another name`);
    read.set(resolve(file), flag);
  }
}
