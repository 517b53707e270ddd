// What some tests need and a machine may lack. A test whose need is not met is skipped, its reason in its title, which
// `npm test` lists at its end. DISTILLERY_WITHOUT=fashion-mnist,chromium,pytorch hides what is there.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, test } from "vitest";

/** Something that a machine may lack. */
export interface Need {
  readonly met: boolean;
  /** What is missing and how to get it. */
  readonly reason: string;
}

type Body = () => void | Promise<void>;

/** A group of tests that need something. */
export function describeWith({ met, reason }: Need, title: string, body: () => void): void {
  describe.skipIf(!met)(met ? title : `${title} [needs ${reason}]`, body);
}

/** A test that needs something. */
export function testWith({ met, reason }: Need, title: string, body: Body, timeout?: number): void {
  test.skipIf(!met)(met ? title : `${title} [needs ${reason}]`, body, timeout);
}

const hidden = new Set((process.env.DISTILLERY_WITHOUT ?? "").split(","));

/** A Python with PyTorch, such as scripts/pytorch.sh makes; empty if there is none. */
export const python = hidden.has("pytorch") ? "" : (process.env.DISTILLERY_PYTHON ?? "");

/** The path of a Chromium; empty if there is none. */
export const chromium = hidden.has("chromium") ? "" : onPath("chromium", "chromium-browser", "google-chrome");

/** Where scripts/runtimes.sh put other programs that run JavaScript; empty if it did not. */
export const runtimes = hidden.has("runtimes") ? "" : (process.env.DISTILLERY_RUNTIMES ?? "");

export const RUNTIMES: Need = {
  met: runtimes !== "",
  reason: "Node.js 18 to 26, Deno and Bun: DISTILLERY_RUNTIMES=$(scripts/runtimes.sh)",
};

export const PYTORCH: Need = {
  met: python !== "",
  reason: "PyTorch: DISTILLERY_PYTHON=$(scripts/pytorch.sh)",
};

export const CHROMIUM: Need = { met: chromium !== "", reason: "Chromium: apt install chromium" };

export const LINUX: Need = { met: process.platform === "linux", reason: "Linux" };

/** Root may write to what is read-only. */
export const ORDINARY_USER: Need = { met: process.getuid?.() !== 0, reason: "a user other than root" };

/** Fashion-MNIST, found as the library finds it. */
export async function fashionMnist(): Promise<Need> {
  const { findData } = await import("../../src/data/index.js");
  const met = !hidden.has("fashion-mnist") && (await findData("fashion-mnist")) !== null;
  return { met, reason: "Fashion-MNIST: apt install dataset-fashion-mnist" };
}

export function tensorBoard(): Need {
  const met = python !== "" && succeeds(python, "-c", "import tensorboard");
  return { met, reason: "TensorBoard: DISTILLERY_PYTHON=$(scripts/pytorch.sh)" };
}

/** util-linux's `script`, which runs a program in a terminal. */
export function terminal(): Need {
  const met = !hidden.has("terminal") && said("script", "--version").includes("util-linux");
  return { met, reason: "util-linux's script: apt install bsdutils" };
}

/** MPI's launcher, and the binding to it that `npm run build:mpi` makes. */
export function mpi(): Need {
  const isBuilt = existsSync(new URL("../../distillery-mpi.node", import.meta.url));
  const met = !hidden.has("mpi") && isBuilt && onPath("mpirun") !== "";
  return { met, reason: "MPI: apt install openmpi-bin libopenmpi-dev libclang-dev, npm run build:mpi" };
}

/** Ray's program. */
export const rayProgram = (): string => (hidden.has("ray") ? "" : onPath("ray"));

export function ray(): Need {
  return { met: rayProgram() !== "", reason: 'Ray on the path: pip install "ray[default]"' };
}

/** What {@link mpi} is, and the right to make network namespaces with a limited link between them. */
export function hosts(): Need {
  if (!mpi().met) return mpi();
  const isRoot = process.platform === "linux" && process.getuid?.() === 0 && !hidden.has("namespaces");
  const make =
    "ip link add veth0 type veth peer name veth1 && tc qdisc add dev veth0 root tbf rate 1gbit burst 64kb latency 50ms";
  const met = isRoot && succeeds("unshare", "-n", "sh", "-c", make) && succeeds("ip", "netns", "list");
  return { met, reason: "root on Linux with the right to make network namespaces, and iproute2" };
}

/** The right to mount a file system, which root has outside of most containers. */
export function mounts(): Need {
  const isRoot = process.platform === "linux" && process.getuid?.() === 0 && !hidden.has("mounts");
  const met = isRoot && succeeds("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp");
  return { met, reason: "root on Linux with the right to mount" };
}

/** What makes the site, fetched once by `npm run docs`. */
export function siteBuilder(): Need {
  const script = readFileSync(new URL("../../scripts/site.mjs", import.meta.url), "utf8");
  const [version = ""] = /vitepress@[\d.]+/.exec(script) ?? [];
  const met = !hidden.has("site") && succeeds("npx", "--offline", "--yes", "-p", version, "--", "node", "--eval", "");
  return { met, reason: `${version}: npm run docs` };
}

/** util-linux's `prlimit`, and no limit on the size of a file yet. */
export function fileLimits(): Need {
  const limit = said("prlimit", `--pid=${process.pid}`, "--fsize", "--output=SOFT", "--noheadings");
  return {
    met: !hidden.has("prlimit") && limit.trim() === "unlimited",
    reason: "util-linux's prlimit, without a limit",
  };
}

function onPath(...names: readonly string[]): string {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const files = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return files.find((file) => existsSync(file)) ?? "";
}

/** What a program prints; empty if it fails or is not there. */
function said(program: string, ...args: readonly string[]): string {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}

function succeeds(program: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
