import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { ended, launch, lines, MAIN, newFolder, printed, SMALL, succeed } from "./support.js";

const temporary = temporaryFolder();
const onUnix = process.platform === "win32" ? describe.skip : describe;
const onLinux = process.platform === "linux" ? describe : describe.skip;
const STOPPING = "finishing the step and saving; once more stops at once";
/** Nobody waits for its end. */
const LONG = ["distill", ...SMALL, "--epochs", "1000000", "--out", "run"];

/** Two signals at once, in any order: of the same one the system may keep but one. */
function signalTwice(child: ChildProcess): void {
  child.kill("SIGINT");
  child.kill("SIGTERM");
}

/** Sends a signal again and again: to a process that gets no time, several are one. */
function killTillItEnds(child: ChildProcess, signal: NodeJS.Signals): void {
  child.kill(signal);
  const timer = setInterval(() => child.kill(signal), 200);
  child.once("exit", () => clearInterval(timer));
}

/** A table, and a loss whose step never ends. */
function folder(): string {
  const cwd = newFolder(temporary);
  const rows = Array.from({ length: 60 }, (_, i) => `${i % 7},${i % 5},${i % 2}`);
  writeFileSync(join(cwd, "rows.csv"), ["a,b,label", ...rows].join("\n"));
  writeFileSync(join(cwd, "stuck.mjs"), "export default () => { console.error('in the step'); for (;;); };");
  return cwd;
}

/** A table, and a network that sends its process a signal, once, as the 12 test samples are evaluated. */
function ending(signal: NodeJS.Signals): string {
  const cwd = folder();
  mkdirSync(join(cwd, "node_modules"));
  symlinkSync(fileURLToPath(new URL("../..", import.meta.url)), join(cwd, "node_modules", "distillery"), "dir");
  const text = `import { existsSync, writeFileSync } from "node:fs";
import { Mlp } from "distillery";
export default class Ending extends Mlp {
  constructor({ classes }) {
    super({ inFeatures: 2, hidden: [4], classes });
  }
  forward(x) {
    if (!this.training && x.shape[0] === 12 && !existsSync("sent")) {
      writeFileSync("sent", "");
      process.kill(process.pid, "${signal}");
    }
    return super.forward(x);
  }
}
`;
  writeFileSync(join(cwd, "ending.mjs"), text);
  return cwd;
}

onUnix("a signal", () => {
  test.each([
    ["SIGTERM", 75],
    ["SIGUSR1", 75],
  ] as const)("%s saves, ends with %i, and the run can be resumed", async (signal, exit) => {
    const cwd = folder();
    const child = launch(LONG, cwd);
    const end = ended(child);
    await printed(child, "Epoch [2/1000000]");
    child.kill(signal);
    // A scheduler may send it more than once.
    if (signal === "SIGUSR1") child.kill(signal);
    const { code, stderr } = await end;
    expect([code, lines(stderr)[0]]).toEqual([exit, STOPPING]);
    expect(stderr).toMatch(
      /distillery: stopped in epoch \d+ of 1000000, .*; its state is saved in run: re-run with --resume/,
    );
    expect(existsSync(join(cwd, "run", "checkpoint.safetensors"))).toBe(true);
  });

  test("SIGHUP of a process without a terminal, as nohup starts it, is ignored", async () => {
    const cwd = folder();
    const child = launch(LONG, cwd);
    const end = ended(child);
    await printed(child, "Epoch [2/1000000]");
    child.kill("SIGHUP");
    await printed(child, "Epoch [");
    child.kill("SIGTERM");
    const { code, stderr } = await end;
    expect([code, lines(stderr).filter((line) => line === STOPPING)]).toEqual([75, [STOPPING]]);
  });

  test.each([
    ["SIGINT", "SIGINT"],
    ["SIGTERM", "SIGTERM"],
    ["SIGTERM", "SIGINT"],
  ] as const)("%s and %s end it also in a step that never ends", async (first, second) => {
    const cwd = folder();
    const child = launch(["distill", ...SMALL, "--epochs", "1", "--loss", "./stuck.mjs"], cwd);
    const end = ended(child);
    await printed(child, "in the step");
    child.kill(first);
    await setTimeout(200);
    killTillItEnds(child, second);
    expect((await end).code).toBe(130);
  });

  test("that comes twice within milliseconds, as npm and the terminal send it, saves", async () => {
    const cwd = folder();
    const child = launch(LONG, cwd);
    const end = ended(child);
    await printed(child, "Epoch [2/1000000]");
    signalTwice(child);
    const { code, stderr } = await end;
    expect([75, 130]).toContain(code);
    expect(lines(stderr)[0]).toBe(STOPPING);
    expect(stderr).toMatch(/its state is saved in run: re-run with --resume/);
  });

  test("that comes twice within milliseconds while a step never ends: one more ends it", async () => {
    const cwd = folder();
    const child = launch(["distill", ...SMALL, "--epochs", "1", "--loss", "./stuck.mjs"], cwd);
    const end = ended(child);
    await printed(child, "in the step");
    signalTwice(child);
    await setTimeout(900);
    expect(child.exitCode).toBeNull();
    killTillItEnds(child, "SIGINT");
    expect((await end).code).toBe(130);
  });

  test("that interrupts another one's handler hangs nothing", async () => {
    const cwd = newFolder(temporary);
    const binding = new URL("../../dist/native.js", import.meta.url).href;
    const text = `import { native } from ${JSON.stringify(binding)};
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
native.endAtSecondSignal(() => {}, 1, 600_000, 0);
process.on("SIGUSR1", () => process.exit(3));
console.log("ready");
setInterval(() => {}, 1000);
`;
    writeFileSync(join(cwd, "handlers.mjs"), text);
    const child = spawn(process.execPath, ["handlers.mjs"], { cwd });
    const end = ended(child);
    await printed(child, "ready");
    for (const until = Date.now() + 2000; Date.now() < until; ) signalTwice(child);
    child.kill("SIGUSR1");
    expect((await end).code).toBe(3);
  });

  test("that comes a second time ends what waits, and leaves it to clean up", async () => {
    const cwd = folder();
    const text = `process.on("exit", () => console.error("cleaned up"));
export default () => new Promise(() => setInterval(() => {}, 1000) && console.error("asked"));
`;
    writeFileSync(join(cwd, "silent.mjs"), text);
    const child = launch(
      ["distill", "--data", "rows.csv", "--teacher", "silent.mjs", ...SMALL.slice(2), "--epochs", "1"],
      cwd,
    );
    const end = ended(child);
    await printed(child, "asked");
    child.kill("SIGINT");
    await setTimeout(200);
    killTillItEnds(child, "SIGINT");
    const { code, stderr } = await end;
    expect([code, lines(stderr).at(-1)]).toEqual([130, "cleaned up"]);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 75],
  ] as const)(
    "%s while the test set is evaluated ends with %i before the report, which --resume writes",
    async (signal, exit) => {
      const cwd = ending(signal);
      const args = ["train-teacher", "--data", "rows.csv", "--teacher-network", "./ending.mjs", "--epochs", "2"];
      const { code, stdout, stderr } = await ended(launch([...args, "--out", "run"], cwd));
      expect([code, ...lines(stderr)]).toEqual([
        exit,
        "finishing the part at hand; once more stops at once",
        "distillery: stopped before the report; the training is done and saved in run: re-run with --resume for the rest",
      ]);
      expect(stdout).toMatch(/^Teacher saved to run.teacher\.pth\n(.*\n)*Test accuracy: teacher /m);
      expect(existsSync(join(cwd, "run", "report.html"))).toBe(false);
      expect(await succeed([...args, "--out", "run", "--resume"], cwd)).toMatch(/^Report: run.report\.html$/m);
    },
  );

  test("while a chain evaluates a link: the next one is not trained", async () => {
    const cwd = ending("SIGINT");
    const args = ["distill", "--data", "rows.csv", "--chain", "./ending.mjs -> mlp([4])", "--epochs", "2"];
    const run = [...args, "--no-report", "--out", "run"];
    const { code, stderr } = await ended(launch(run, cwd));
    const text = "stopped; the training and all that follows it is done and saved in run/link-1";
    expect([code, lines(stderr).at(-1)]).toEqual([130, `distillery: ${text}`]);
    expect(existsSync(join(cwd, "run", "link-2"))).toBe(false);
  });

  test("between two links of a chain: a resumed run goes on from there", async () => {
    const cwd = ending("SIGINT");
    // It is made once to see whether it fits, and once more between the links.
    const text = `import { Mlp } from "distillery";
let made = 0;
export default class Between extends Mlp {
  constructor({ classes }) {
    super({ inFeatures: 2, hidden: [4], classes });
    made += 1;
    if (made === 2) process.kill(process.pid, "SIGINT");
  }
}
`;
    writeFileSync(join(cwd, "between.mjs"), text);
    const args = ["distill", "--data", "rows.csv", "--chain", "mlp([8]) -> ./between.mjs", "--epochs", "2"];
    const run = [...args, "--no-report", "--out"];
    const { code, stderr } = await ended(launch([...run, "run"], cwd));
    const stopped = "distillery: stopped while the teacher's logits were computed: re-run with --resume to continue";
    expect([code, lines(stderr).at(-1)]).toEqual([130, stopped]);
    expect(lines(stderr)).toContain(STOPPING);
    writeFileSync(join(cwd, "between.mjs"), text.replace("made === 2", "made < 0"));
    await succeed([...run, "run", "--resume"], cwd);
    await succeed([...run, "whole"], cwd);
    const student = (out: string) =>
      readFileSync(join(cwd, out, "link-2", "distilled_student_model_lowest.safetensors"));
    expect(student("run").equals(student("whole"))).toBe(true);
  });

  test("to all processes of the terminal while compare starts its own: stopped, not failed", async () => {
    const cwd = folder();
    const budget = ["--epochs", "4", "--seeds", "4", "--parallel", "2", "--no-report"];
    const args = ["compare", "--data", "rows.csv", ...SMALL, ...budget, "--out", "run"];
    const child = launch(args, cwd, { detached: true, heldUntil: "stop" });
    const end = ended(child);
    // Its processes begin to start at this line.
    await printed(child, "teacher: ");
    process.kill(-(child.pid as number), "SIGINT");
    const { code, stderr } = await end;
    expect(code, stderr).toBe(130);
    expect(stderr).toMatch(/distillery: stopped with 1 of 9 runs done; /);
    expect(stderr).not.toContain("INTERNAL");
    await succeed([...args, "--resume", "--quiet"], cwd);
  });
});

onLinux("what the system gives too little of is said in one line", () => {
  const under = (limit: string, args: string) =>
    spawnSync("sh", ["-c", `${limit} && exec '${process.execPath}' '${MAIN}' ${args}`], {
      cwd: folder(),
      encoding: "utf8",
    });

  test.each([
    ["ulimit -n 22", "open files are limited to 22 (ulimit -n): at least 56 are needed"],
    ["ulimit -n 36", "open files are limited to 36 (ulimit -n): at least 56 are needed"],
    ["ulimit -v 1000000", "memory is limited to 1.02 GB of addresses (ulimit -v): at least 1.3 GB are needed"],
  ])("%s", (limit, text) => {
    const { status, stdout, stderr } = under(limit, "distill --epochs 1");
    expect([stderr, stdout, status]).toEqual([`distillery: ${text} (IO_ERROR)\n`, "", 1]);
  });

  test("room in a file", () => {
    const args = "train-teacher --data rows.csv --epochs 1 --out run --no-report --quiet";
    const { status, stderr } = under("ulimit -f 4", args);
    const text =
      "run/teacher.pth: can't write it: files may get no larger: raise the limit (ulimit -f), or choose another disk";
    expect([stderr, status]).toEqual([`distillery: ${text} (IO_ERROR)\n`, 1]);
  });

  test("files for the processes of compare", () => {
    const args = "compare --data rows.csv --epochs 1 --seeds 20 --parallel 40 --out run --no-report --threads 1";
    const { status, stderr } = under("ulimit -n 60", args);
    const text =
      "a worker process ended (too many files are open: raise the limit (ulimit -n)): re-run with --resume to continue";
    const [line] = lines(stderr).slice(-1);
    expect([line, status]).toEqual([`distillery: ${text} (IO_ERROR)`, 1]);
  });
});
