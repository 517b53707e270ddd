import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { getNumThreads } from "distillery";
import type { Extent } from "../extent.js";
import { spread } from "../measure.js";
import type { ProcessRun } from "../results.js";
import { LIBRARY } from "../root.js";

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Whole runs, each as a process of its own: through `distill()`, and by the command line. */
export async function* measureRuns({ epochs, starts }: Extent): AsyncGenerator<ProcessRun> {
  yield await measureStart(starts);
  yield await libraryRun("distill(), teacher's answers cached", "eval", epochs);
  yield await commandRun("distillery distill, the script", [], epochs);
  yield await commandRun("distillery distill --teacher-mode eval", ["--teacher-mode", "eval"], epochs);
}

/** The median of several starts of one epoch. */
async function measureStart(starts: number): Promise<ProcessRun> {
  const runs: ProcessRun[] = [];
  for (let i = 0; i < starts; i++) runs.push(await libraryRun("distill(), the script: start", "train", 1));
  const middle = (value: (run: ProcessRun) => number | null) => spread(runs.map((run) => value(run) ?? 0)).median;
  return {
    ...(runs[0] as ProcessRun),
    seconds: middle(({ seconds }) => seconds),
    distillSeconds: middle(({ distillSeconds }) => distillSeconds),
    firstStepSeconds: middle(({ firstStepSeconds }) => firstStepSeconds),
    peakRssBytes: Math.max(...runs.map(({ peakRssBytes }) => peakRssBytes)),
  };
}

async function libraryRun(name: string, mode: "train" | "eval", epochs: number): Promise<ProcessRun> {
  const { seconds, output, begunAt } = await runNode([file("child.js"), mode, String(epochs), String(getNumThreads())]);
  const { firstStepAt, distillSeconds, peakRssBytes } = JSON.parse(output);
  const firstStepSeconds = (firstStepAt - begunAt) / 1000;
  return { name, epochs, seconds, distillSeconds, firstStepSeconds, peakRssBytes };
}

async function commandRun(name: string, more: readonly string[], epochs: number): Promise<ProcessRun> {
  const out = await mkdtemp(join(tmpdir(), "distillery-bench-"));
  try {
    const { seconds, output } = await runNode([
      "--import",
      new URL("report_peak.js", import.meta.url).href,
      join(LIBRARY, "cli", "main.js"),
      ...[
        "distill",
        "--quiet",
        "--out",
        out,
        "--epochs",
        String(epochs),
        "--threads",
        String(getNumThreads()),
        ...more,
      ],
    ]);
    const { peakRssBytes } = JSON.parse(output);
    return { name, epochs, seconds, distillSeconds: null, firstStepSeconds: null, peakRssBytes };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Runs a program to its end; its output is what it writes to file descriptor 3, or else to standard output. */
async function runNode(args: readonly string[]): Promise<{ seconds: number; begunAt: number; output: string }> {
  const begun = performance.now();
  const child = spawn(process.execPath, [...args], { stdio: ["ignore", "pipe", "inherit", "pipe"] });
  const begunAt = performance.timeOrigin + begun;
  const [printed, told, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stdio[3] as unknown as NodeJS.ReadableStream),
    once(child, "close"),
  ]);
  if (code !== 0) throw new Error(`${args.join(" ")}: expected it to succeed, got exit code ${code}`);
  return { seconds: (performance.now() - begun) / 1000, begunAt, output: told || printed };
}
