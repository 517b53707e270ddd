// A SLURM cluster of one node on this machine, started and stopped by a test; in a folder of its own, at ports of its
// own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Need } from "../helpers/needs.js";

const PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol"];
const PATH = `${process.env.PATH}${delimiter}/usr/sbin`;

/** Debian's SLURM, and root, who may start its daemons. */
export function slurm(): Need {
  const isThere = (name: string) => PATH.split(delimiter).some((folder) => existsSync(join(folder, name)));
  const isHidden = (process.env.DISTILLERY_WITHOUT ?? "").split(",").includes("slurm");
  const met = process.platform === "linux" && process.getuid?.() === 0 && !isHidden && PROGRAMS.every(isThere);
  return { met, reason: "SLURM, as root: apt install slurm-wlm munge" };
}

export class SlurmCluster {
  readonly #daemons: ChildProcess[] = [];
  readonly env: NodeJS.ProcessEnv;

  private constructor(private readonly folder: string) {
    this.env = { ...process.env, PATH, SLURM_CONF: join(folder, "slurm.conf") };
  }

  /** Starts one with so many processors, whatever the machine has. */
  static async start(folder: string, cpus: number): Promise<SlurmCluster> {
    const cluster = new SlurmCluster(folder);
    for (const name of ["state", "spool", "munge"]) mkdirSync(join(folder, name), { recursive: true });
    const key = join(folder, "munge", "key");
    writeFileSync(key, Buffer.alloc(1024, "distillery's test"), { mode: 0o600 });
    const socket = join(folder, "munge", "socket");
    const munge = ["key-file", "socket", "pid-file", "log-file", "seed-file"].map(
      (name) => `--${name}=${name === "socket" ? socket : name === "key-file" ? key : join(folder, "munge", name)}`,
    );
    const port = 20_000 + (process.pid % 20_000);
    const host = hostname();
    writeFileSync(
      cluster.env.SLURM_CONF as string,
      `ClusterName=distillery
SlurmctldHost=${host}(127.0.0.1)
SlurmUser=root
SlurmctldPort=${port}
SlurmdPort=${port + 1}
AuthType=auth/munge
AuthInfo=socket=${socket},cred_expire=5
CredType=cred/munge
StateSaveLocation=${join(folder, "state")}
SlurmdSpoolDir=${join(folder, "spool")}
SlurmctldPidFile=${join(folder, "slurmctld.pid")}
SlurmdPidFile=${join(folder, "slurmd.pid")}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
NodeName=${host} NodeAddr=127.0.0.1 CPUs=${cpus} RealMemory=1000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`,
    );
    cluster.#daemon("munged", ["--foreground", "--force", ...munge]);
    while (!existsSync(socket)) await setTimeout(50);
    cluster.#daemon("slurmctld", ["-D"]);
    cluster.#daemon("slurmd", ["-D"]);
    await cluster.until(() => /\bidle\b/.test(cluster.say("sinfo", "-h", "-o", "%T")), "the node is idle");
    return cluster;
  }

  /** Runs one of SLURM's programs; gives what it prints, nothing if it fails. */
  say(program: string, ...args: string[]): string {
    try {
      return execFileSync(program, args, {
        env: this.env,
        cwd: this.folder,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    } catch {
      return "";
    }
  }

  async until(condition: () => boolean, what: string, seconds = 120): Promise<void> {
    for (const start = performance.now(); !condition(); await setTimeout(100)) {
      if (performance.now() - start > 1000 * seconds) throw new Error(`never: ${what}\n${this.log()}`);
    }
  }

  log(): string {
    return ["munged", "slurmctld", "slurmd"]
      .map((name) => readFileSync(join(this.folder, `${name}.log`), "utf8").slice(-3000))
      .join("\n");
  }

  /** Ends the daemons, and waits until they no longer write. */
  async stop(): Promise<void> {
    this.say("scancel", "--user=root");
    for (const daemon of this.#daemons.toReversed()) {
      const ended = new Promise((resolve) => daemon.once("exit", resolve));
      if (daemon.exitCode === null && daemon.kill("SIGTERM")) await ended;
    }
  }

  #daemon(program: string, args: readonly string[]): void {
    const out = openSync(join(this.folder, `${program}.log`), "a");
    const path = PATH.split(delimiter)
      .map((folder) => join(folder, program))
      .find(existsSync) as string;
    this.#daemons.push(spawn(path, args, { env: this.env, stdio: ["ignore", out, out] }));
  }
}
