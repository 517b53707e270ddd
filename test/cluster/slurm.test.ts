import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MAIN, succeed, userFolder } from "../cli/support.js";
import { timeless } from "../compare/support.js";
import { describeWith } from "../helpers/needs.js";
import { temporaryFolder } from "../support.js";
import { SlurmCluster, slurm } from "./slurm.js";

const temporary = temporaryFolder();
const NETWORKS = ["--teacher-network", "mlp(hidden=[16])", "--student", "mlp(hidden=[8])"];
const ARGS = [
  "compare",
  "--data",
  "rows.csv",
  "--epochs",
  "1500",
  "--seeds",
  "2",
  "--batch-size",
  "20",
  "--out",
  "run",
];
ARGS.push(...NETWORKS, "--no-report");
const SCRIPT = new URL("../../examples/cluster/distillery.sbatch", import.meta.url);

describeWith(slurm(), "an array of SLURM", () => {
  let cluster: SlurmCluster;
  beforeAll(async () => {
    cluster = await SlurmCluster.start(join(temporary, "slurm"), 4);
  });
  afterAll(() => cluster?.stop());

  test("of four, one task told to stop, one killed, both requeued: the result of one machine", async () => {
    const [whole, cwd] = [userFolder(temporary), userFolder(temporary)];
    await succeed(ARGS, whole);
    copyFileSync(SCRIPT, join(cwd, "distillery.sbatch"));
    writeFileSync(join(cwd, "distillery"), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`, { mode: 0o755 });
    const env = { ...cluster.env, DISTILLERY: join(cwd, "distillery") };
    const sbatch = ["--parsable", `--chdir=${cwd}`, "--array=0-3", "distillery.sbatch"];
    const id = execFileSync("sbatch", [...sbatch, ...ARGS, "--parallel", "1"], { env, cwd, encoding: "utf8" }).trim();
    const log = (task: number) => join(cwd, `distillery-${id}_${task}.log`);
    const said = (task: number) => (existsSync(log(task)) ? readFileSync(log(task), "utf8") : "");
    const begins = (run: string) => existsSync(join(cwd, "run", run, "config.json"));

    await cluster.until(() => begins("seed-0/distilled") && begins("seed-1/baseline"), "two shares train");
    cluster.say("scancel", "--batch", "--signal=USR1", `${id}_1`);
    const pid = JSON.parse(readFileSync(join(cwd, "run/seed-1/baseline/run.owner"), "utf8")).pid as number;
    process.kill(pid, "SIGKILL");
    await cluster.until(
      () => said(1).includes("stopped with") && said(1).includes("run this share again"),
      "1 is saved",
    );
    await cluster.until(
      () => /JobState=(PENDING|RUNNING)/.test(cluster.say("scontrol", "show", "job", `${id}_1`)),
      "1 again",
    );
    await cluster.until(
      () => cluster.say("scontrol", "show", "job", `${id}_2`).includes("JobState=FAILED"),
      "2 failed",
    );
    cluster.say("scontrol", "requeue", `${id}_2`);
    const isDone = (task: number) => said(task).includes(`share ${task} of 4 (from 0 to 3) is done`);
    await cluster.until(() => [0, 1, 2, 3].map(isDone).every(Boolean), "all shares are done");
    await succeed([...ARGS, "--collect"], cwd);
    const resultOf = (folder: string) =>
      timeless(JSON.parse(readFileSync(join(folder, "run", "compare.json"), "utf8")), "run");
    expect(JSON.stringify(resultOf(cwd))).toBe(JSON.stringify(resultOf(whole)));
  }, 400_000);
});
