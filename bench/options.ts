import { parseArgs } from "node:util";

/** What the command line of `npm run bench` says. */
export interface BenchOptions {
  readonly json: boolean;
  readonly quick: boolean;
  readonly help: boolean;
  /** null for the library's default, the cores. */
  readonly threads: number | null;
}

export const USAGE = `npm run bench -- [options]: one step of the script by the kernels and in plain TypeScript

  --quick       shorter, with more noise
  --threads N   threads of the kernels (default: the cores)
  --json        print one JSON object
  --help        this text`;

/** Reads the arguments; throws where one is unknown or makes no sense. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      threads: { type: "string" },
    },
  });
  const threads = values.threads === undefined ? null : Number(values.threads);
  if (threads !== null && !(Number.isInteger(threads) && threads > 0)) {
    throw new Error(`--threads: expected a whole number of at least 1, got ${values.threads}`);
  }
  return { json: values.json, quick: values.quick, help: values.help, threads };
}
