import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { describeWith, hosts } from "../helpers/needs.js";
import { temporaryFolder } from "../support.js";
import { bytes, ended, MAIN, newFolder, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();
const AGENT = fileURLToPath(new URL("in_namespace.sh", import.meta.url));
/** Runs side by side have networks of their own. */
const NET = `10.${64 + (process.pid % 64)}.${Math.floor(process.pid / 64) % 256}`;
const HOSTS = [`${NET}.1`, `${NET}.2`];
const LINK = "link0";
const MEGABITS = 400;
const ARGS = ["--shards", "8", "--out", "run", "--threads", "1"];
/** Of an epoch of the reference script. */
const STEPS = 16;

const ip = (...args: readonly string[]) =>
  execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const inside = (host: string, ...args: readonly string[]) => ip("netns", "exec", `hosts_${host}`, ...args);

const processesOf = (host: string) => (ip("netns", "pids", `hosts_${host}`).match(/\d+/g) ?? []).map(Number);
const GONE = /^distillery: rank [01] gave no sign of life for 10 s: re-run with --resume/m;

/** The name of a process; empty if it has ended. */
function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

/** `distillery ARGS` on both hosts. */
function mpirun(args: readonly string[], cwd: string): ChildProcess {
  const launcher = ["mpirun", "--allow-run-as-root", "-n", "2", "--host", HOSTS.map((host) => `${host}:1`).join(",")];
  // They share a name and a memory, which two machines would not.
  const network = ["--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", `${NET}.0/24`];
  const ways = ["--mca", "plm_rsh_agent", AGENT, "--mca", "oob_tcp_if_include", `${NET}.0/24`, ...network];
  const program = [process.execPath, MAIN, ...args];
  const all = ["netns", "exec", `hosts_${HOSTS[0]}`, ...launcher, ...ways, ...program];
  return spawn("ip", all, { cwd, stdio: ["ignore", "pipe", "pipe"] });
}

describeWith(hosts(), "one run on two hosts with a network between them", () => {
  beforeAll(() => {
    for (const host of HOSTS) ip("netns", "add", `hosts_${host}`);
    const [first, second] = HOSTS.map((host) => `hosts_${host}`);
    ip("link", "add", LINK, "netns", first, "type", "veth", "peer", "name", LINK, "netns", second);
    for (const host of HOSTS) {
      ip("-n", `hosts_${host}`, "addr", "add", `${host}/24`, "dev", LINK);
      for (const device of [LINK, "lo"]) ip("-n", `hosts_${host}`, "link", "set", device, "up");
      const limit = ["rate", `${MEGABITS}mbit`, "burst", "64kb", "latency", "100ms"];
      inside(host, "tc", "qdisc", "add", "dev", LINK, "root", "tbf", ...limit);
    }
  });

  afterAll(() => {
    for (const pid of HOSTS.flatMap(processesOf)) process.kill(pid, "SIGKILL");
    for (const host of HOSTS) ip("netns", "del", `hosts_${host}`);
  });

  const sent = (host: string) => Number(inside(host, "cat", `/sys/class/net/${LINK}/statistics/tx_bytes`));

  test("writes what one process does, and sends what the formula says", async () => {
    const [alone, cwd] = [newFolder(temporary), newFolder(temporary)];
    await succeed(["distill", "--epochs", "1", ...ARGS], alone);
    const before = HOSTS.map(sent);
    const start = performance.now();
    const { code, stderr } = await ended(mpirun(["distill", "--epochs", "1", ...ARGS], cwd));
    const seconds = (performance.now() - start) / 1000;
    expect(code, stderr).toBe(0);
    const file = `${STUDENT}.safetensors`;
    expect(bytes(cwd, "run", file)).toBe(bytes(alone, "run", file));
    // 8 P (R - 1) / R bytes a step for P values, of which the file has 4 bytes each.
    const formula = STEPS * statSync(join(cwd, "run", file)).size;
    for (const [i, host] of HOSTS.entries()) {
      const ratio = (sent(host) - before[i]) / formula;
      // The rest is TCP's, signs of life and what the ranks tell each other of each step.
      expect(ratio).toBeGreaterThan(0.98);
      expect(ratio).toBeLessThan(1.15);
    }
    expect(seconds).toBeGreaterThan((8 * formula) / (1e6 * MEGABITS));
  });

  test("a network that is gone ends both ranks, with a line that says so", async () => {
    const cwd = newFolder(temporary);
    const child = mpirun(["distill", "--epochs", "1000", ...ARGS], cwd);
    let said = "";
    child.stderr?.on("data", (text) => {
      said += text;
    });
    child.stdout?.once("data", () => ip("-n", `hosts_${HOSTS[1]}`, "link", "set", LINK, "down"));
    const ranks = () => HOSTS.flatMap(processesOf).filter((pid) => nameOf(pid) === "node");
    await vi.waitFor(() => expect(said).toMatch(GONE), { timeout: 100_000, interval: 200 });
    await vi.waitFor(() => expect(ranks()).toEqual([]), { timeout: 20_000, interval: 200 });
    // Open MPI's own processes wait for each other: afterAll ends them.
  });
});
