import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MAIN, newFolder, succeed, userFolder } from "../cli/support.js";
import { timeless } from "../compare/support.js";
import { describeWith, ray, rayProgram } from "../helpers/needs.js";
import { temporaryFolder } from "../support.js";

const temporary = temporaryFolder();
const NETWORKS = ["--teacher-network", "mlp(hidden=[16])", "--student", "mlp(hidden=[8])"];
const ARGS = ["compare", "--data", "rows.csv", "--epochs", "20", "--seeds", "2", "--batch-size", "20", "--no-report"];
const SCRIPT = new URL("../../examples/cluster/ray_job.py", import.meta.url);
const run = promisify(execFile);

describeWith(ray(), "a job of Ray", () => {
  const program = rayProgram();
  const env = {
    ...process.env,
    PATH: `${dirname(program)}:${process.env.PATH}`,
    RAY_USAGE_STATS_ENABLED: "0",
    RAY_ADDRESS: "",
  };
  let files = "";
  let address = "";
  let head: ChildProcess;

  beforeAll(async () => {
    const [port, dashboard] = await Promise.all([freePort(), freePort()]);
    address = `http://127.0.0.1:${dashboard}`;
    files = mkdtempSync("/tmp/ray-");
    const ports = [`--port=${port}`, `--dashboard-port=${dashboard}`];
    // Ray's sockets are below its folder, and their paths may have 107 characters.
    const options = ["--node-ip-address=127.0.0.1", ...ports, "--num-cpus=2", `--temp-dir=${files}`, "--block"];
    // It leads a process group, which ends with it: `ray stop` ends every Ray of the machine.
    head = spawn(program, ["start", "--head", ...options], { env, detached: true, stdio: "ignore" });
    while (!(await fetch(`${address}/api/version`).catch(() => null))?.ok) {
      if (head.exitCode !== null) throw new Error(`ray start ended: ${head.exitCode}`);
      await setTimeout(200);
    }
  });
  afterAll(async () => {
    const closed = once(head, "close");
    process.kill(-(head.pid as number), "SIGTERM");
    await Promise.race([closed, setTimeout(10_000)]);
    try {
      process.kill(-(head.pid as number), "SIGKILL");
    } catch (error) {
      // None is left.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    rmSync(files, { recursive: true, force: true, maxRetries: 10 });
  });

  test("of three shares: the result of one machine", async () => {
    const [whole, cwd, code] = [userFolder(temporary), userFolder(temporary), newFolder(temporary)];
    await succeed([...ARGS, "--out", "run", ...NETWORKS], whole);
    copyFileSync(SCRIPT, join(code, "ray_job.py"));
    const distillery = join(cwd, "distillery");
    // A job starts in a copy of its working folder.
    writeFileSync(distillery, `#!/bin/sh\ncd '${cwd}'\nexec '${process.execPath}' '${MAIN}' "$@"\n`, { mode: 0o755 });
    const variables = JSON.stringify({ env_vars: { DISTILLERY: distillery } });
    const submit = ["job", "submit", "--address", address, "--working-dir", code, "--runtime-env-json", variables];
    const job = ["python", "ray_job.py", "--shares", "3", ...ARGS, "--out", "run", ...NETWORKS];
    const { code: exit, stdout } = await run(program, [...submit, "--", ...job], { env, cwd }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string }) => error,
    );
    expect(exit, stdout).toBe(0);
    const resultOf = (folder: string) =>
      timeless(JSON.parse(readFileSync(join(folder, "run", "compare.json"), "utf8")), "run");
    expect(JSON.stringify(resultOf(cwd))).toBe(JSON.stringify(resultOf(whole)));
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
