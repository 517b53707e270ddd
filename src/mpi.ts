import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DistilleryError } from "./errors.js";
import { bindingFile } from "./native.js";
import { codeFolder, ROOT } from "./package.js";

/** The file that `npm run build:mpi` builds from crates/mpi. */
export interface Mpi {
  /** Starts MPI; may be called once per process. */
  start(): { rank: number; size: number; host: string };
  /** Sends message i to rank i; returns what each rank sent to this one. */
  exchange(messages: readonly Uint8Array[]): Promise<Uint8Array[]>;
  /** Ends MPI once all ranks have called this. */
  stop(): void;
  /** Ends all ranks with an exit code and a line on stderr. */
  abort(line: string, code: number): never;
}

const FILE = "distillery-mpi.node";

type Environment = Readonly<Record<string, string | undefined>>;

/** How many ranks `mpirun` started, as Open MPI, MPICH and SLURM's PMI tell their processes; 1 if nothing says so. */
export function ranksOfJob(environment: Environment = process.env): number {
  // A job's environment may pass on such a variable without a number in it.
  const size = Number(environment.OMPI_COMM_WORLD_SIZE || environment.PMI_SIZE);
  return Number.isSafeInteger(size) && size > 1 ? size : 1;
}

/** Whether another process of the job prints and writes for this one: only rank 0 does. */
export function isSilentRank(): boolean {
  const { env } = process;
  const rank = Number(env.OMPI_COMM_WORLD_RANK || env.PMI_RANK || 0);
  return ranksOfJob() > 1 && rank > 0;
}

/**
 * SHA-256 of the running code: its JavaScript and the native bindings. One version can be built in different ways, and
 * ranks with different code would produce other bits than one process.
 */
export function codeHash(): string {
  const folder = fileURLToPath(codeFolder());
  const names = readdirSync(folder, { recursive: true }).map(String).sort();
  const hash = createHash("sha256");
  for (const name of names.filter((name) => /(?<!\.d)\.[cm]?[jt]s$/.test(name))) {
    hash.update(`${name.replaceAll("\\", "/")}\n`).update(readFileSync(join(folder, name)));
  }
  for (const file of [bindingFile(), mpiFile()].filter(existsSync)) hash.update(readFileSync(file));
  return hash.digest("hex");
}

/**
 * The binding to MPI.
 *
 * @throws DistilleryError `NATIVE` that says how to build it.
 */
export function loadMpi(): Mpi {
  const file = mpiFile();
  if (!existsSync(file)) {
    const advice =
      "npm run build:mpi makes it, in a checkout with Rust, libclang and an MPI (apt install libopenmpi-dev libclang-dev)";
    throw new DistilleryError("NATIVE", `several ranks need ${FILE} beside package.json: ${advice}`);
  }
  let mpi: Mpi;
  try {
    mpi = createRequire(import.meta.url)(file) as Mpi;
  } catch (error) {
    const text = `${FILE} can't be loaded: ${(error as Error).message}: npm run build:mpi makes it anew`;
    throw new DistilleryError("NATIVE", text, { cause: error });
  }
  return guarded(mpi);
}

/** The binding, which throws its errors as `NATIVE`. */
export function guarded({ start, exchange, stop, abort }: Mpi): Mpi {
  const refuse = (error: unknown) => {
    throw new DistilleryError("NATIVE", `MPI: ${(error as Error).message}`, { cause: error });
  };
  const guard = <T>(call: () => T): T => {
    try {
      return call();
    } catch (error) {
      return refuse(error);
    }
  };
  return {
    start: () => guard(start),
    exchange: (messages) => guard(() => exchange(messages)).catch(refuse),
    stop: () => guard(stop),
    abort,
  };
}

function mpiFile(): string {
  return fileURLToPath(new URL(FILE, ROOT));
}
