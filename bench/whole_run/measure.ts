import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { getNumThreads } from "distillery";
import type { Extent } from "../extent.js";
import { LIBRARY } from "../library.js";
import { estimate } from "../measure.js";
import type { ProcessRun } from "../results.js";

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Whole runs, each in its own process: through `distill()`, and by the command line. */
export async function* measureRuns({ epochs, starts }: Extent): AsyncGenerator<ProcessRun> {
  yield await measureStart(starts);
  yield await libraryRun("distill(), teacher logits cached", "eval", epochs);
  yield await commandRun("distillery distill, the script", [], epochs);
  yield await commandRun("distillery distill --teacher-mode eval", ["--teacher-mode", "eval"], epochs);
}

/** The median of several starts of one epoch. */
async function measureStart(starts: number): Promise<ProcessRun> {
  const runs: ProcessRun[] = [];
  for (let i = 0; i < starts; i++) runs.push(await libraryRun("distill(), the script: start", "train", 1));
  const middle = (value: (run: ProcessRun) => number | null) => estimate(runs.map((run) => value(run) ?? 0)).median;
  return {
    ...runs[0],
    seconds: middle(({ seconds }) => seconds),
    distillSeconds: middle(({ distillSeconds }) => distillSeconds),
    firstStepSeconds: middle(({ firstStepSeconds }) => firstStepSeconds),
    peakRssBytes: Math.max(...runs.map(({ peakRssBytes }) => peakRssBytes)),
  };
}

async function libraryRun(name: string, mode: "train" | "eval", epochs: number): Promise<ProcessRun> {
  const args = [mode, String(epochs), String(getNumThreads())];
  const { output, begunAt, ...process } = await runNode([file("child.js"), ...args]);
  const { firstStepAt, distillSeconds } = JSON.parse(output);
  return { name, epochs, ...process, distillSeconds, firstStepSeconds: (firstStepAt - begunAt) / 1000 };
}

async function commandRun(name: string, more: readonly string[], epochs: number): Promise<ProcessRun> {
  const out = await mkdtemp(join(tmpdir(), "distillery-bench-"));
  try {
    const run = ["--epochs", String(epochs), "--threads", String(getNumThreads()), ...more];
    const args = [join(LIBRARY, "cli", "main.js"), "distill", "--quiet", "--out", out, ...run];
    const { seconds, peakRssBytes } = await runNode(args);
    return { name, epochs, seconds, distillSeconds: null, firstStepSeconds: null, peakRssBytes };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** A program that ran to its end. */
interface Ended {
  readonly seconds: number;
  readonly peakRssBytes: number;
  /** When it was started, in ms since 1970. */
  readonly begunAt: number;
  /** Its standard output. */
  readonly output: string;
}

async function runNode(args: readonly string[]): Promise<Ended> {
  const begun = performance.now();
  const stdio = ["ignore", "pipe", "inherit", "pipe"] as const;
  const child = spawn(process.execPath, ["--import", file("report_peak.js"), ...args], { stdio: [...stdio] });
  const [output, peak, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stdio[3] as NodeJS.ReadableStream),
    once(child, "close"),
  ]);
  if (code !== 0) throw new Error(`${args.join(" ")}: expected it to succeed, got exit code ${code}`);
  const seconds = (performance.now() - begun) / 1000;
  return { seconds, begunAt: performance.timeOrigin + begun, output, ...JSON.parse(peak) };
}
