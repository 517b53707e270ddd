import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { folderOf, idx } from "../data/support.js";
import { commandEnvironment, freeHost, MAIN } from "./command_host.js";

export { MAIN };

export interface Ended {
  code: number | null;
  stdout: string;
  /** Without the opening. */
  stderr: string;
  /** The two lines about data and networks that a run starts with. */
  opening: string;
}

/** Its address. */
export const HELD_STEPS = new URL("held_steps.mjs", import.meta.url).href;
const OPENING = /^Data: .*\r?\n.*\d threads?\r?\n/m;

interface LaunchOptions {
  /** To lead a process group of its own, as a terminal starts it. */
  detached?: boolean;
  /** Holds the run some steps after its first line until this signal comes; "stop": compare's processes (`held_steps.mjs`). */
  heldUntil?: NodeJS.Signals | "stop";
}

/** Starts `distillery ARGS` in a folder. */
export function launch(args: readonly string[], cwd: string, options: LaunchOptions = {}): ChildProcess {
  const { detached = false, heldUntil } = options;
  const held = heldUntil === undefined ? {} : { NODE_OPTIONS: `--import=${HELD_STEPS}?${heldUntil}` };
  const env = { ...commandEnvironment(), ...held };
  return spawn(process.execPath, [MAIN, ...args], { cwd, env, detached, stdio: ["ignore", "pipe", "pipe"] });
}

/** Waits until a process has printed a text. */
export async function printed(child: ChildProcess, text: string): Promise<void> {
  let seen = "";
  await new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (part) => {
        seen += part;
        if (seen.includes(text)) resolve();
      });
    }
  });
}

/** Waits for a process to end, with what it printed. */
export async function ended(child: ChildProcess): Promise<Ended> {
  const texts = [child.stdout, child.stderr].map((stream) => {
    const parts: Buffer[] = [];
    stream?.on("data", (part: Buffer) => parts.push(part));
    return () => Buffer.concat(parts).toString();
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const [stdout, stderr] = texts.map((text) => text()) as [string, string];
  return withoutOpening({ code, stdout, stderr });
}

function withoutOpening({ code, stdout, stderr }: Omit<Ended, "opening">): Ended {
  const opening = OPENING.exec(stderr)?.[0] ?? "";
  return { code, stdout, stderr: stderr.replace(opening, ""), opening };
}

/**
 * Runs `distillery ARGS` in a folder to its end: in the process that has run others, or in one of its own while that is
 * busy. Tests of signals, of open files or of a process's end `launch` one.
 */
export async function distillery(args: readonly string[], cwd: string): Promise<Ended> {
  const host = freeHost(args, cwd);
  return host === null ? ended(launch(args, cwd)) : withoutOpening(await host.run(args, cwd));
}

/** Runs what must succeed, and gives its standard output. */
export async function succeed(args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await distillery(args, cwd);
  expect(code, stderr).toBe(0);
  return stdout;
}

/** Checks a refusal: its exit code, nothing on standard output, one line on standard error, which it gives. */
export async function refused(args: readonly string[], cwd: string, exit: number, code: string): Promise<string> {
  const { code: got, stdout, stderr } = await distillery(args, cwd);
  expect(stderr).toMatch(/^distillery: [^\n]*\n$/);
  expect(got, stderr).toBe(exit);
  expect(stdout).toBe("");
  expect(stderr).toContain(`(${code})`);
  return stderr.slice("distillery: ".length, -1);
}

let folders = 0;

/** A new folder inside a temporary one. */
export function newFolder(parent: string): string {
  const folder = join(parent, `cwd-${folders++}`);
  mkdirSync(folder);
  return folder;
}

export const EPOCH_LINE = /^Epoch \[(\d+)\/(\d+)\] \| (KD Loss|Loss): (\d+\.\d{4}) \| LR: (\d\.\d{6})$/;
/** The same with what was found on the validation set: its accuracy, and in a distillation the agreement. */
export const VALIDATED_LINE =
  /^Epoch \[(\d+)\/(\d+)\] \| (KD Loss|Loss): \d+\.\d{4} \| LR: \d\.\d{6} \| Validation: (\d+\.\d\d)%(?: \| Agreement: (\d+\.\d\d)%)?$/;
export const STUDENT = "distilled_student_model_lowest";

export const lines = (text: string): string[] => text.split("\n").slice(0, -1);
export const jsonLines = (text: string): Record<string, unknown>[] => lines(text).map((line) => JSON.parse(line));
export const bytes = (...path: string[]): string => readFileSync(join(...path)).toString("base64");
/** Everything under a folder. */
export const tree = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      // A link to this checkout, in which other tests and builds write at the same time, is one entry.
      const inside = entry.isDirectory() ? tree(join(folder, entry.name)) : [];
      return [entry.name, ...inside.map((path) => join(entry.name, path))];
    })
    .sort();

/** Networks for tests in which any does: the default ones have millions of parameters, on disk too. */
export const SMALL = ["--teacher-network", "teacher(hidden=[24,16,8])", "--student", "student(hidden=[12,8])"];
export const SMALL_TEACHER = SMALL.slice(0, 2);

/** Images of 4 x 4 in three classes that anything tells apart: each has its own lit row. */
export function imageFolder(): string {
  const part = (samples: number, name: string) => {
    const labels = Array.from({ length: samples }, (_, i) => i % 3);
    const pixels = labels.flatMap((label, i) =>
      Array.from({ length: 16 }, (_, at) => (Math.floor(at / 4) === label ? 200 : 20) + ((i * 7 + at * 3) % 30)),
    );
    return {
      [`${name}-images-idx3-ubyte`]: idx([samples, 4, 4], pixels),
      [`${name}-labels-idx1-ubyte`]: idx([samples], labels),
    };
  };
  return folderOf({ ...part(96, "train"), ...part(30, "t10k") }, "rows");
}

const MODULES = new URL("modules/", import.meta.url);

/**
 * A new folder of a user with modules of their own, which import `distillery`, and a table of three classes, rows.csv.
 */
export function userFolder(parent: string): string {
  const folder = newFolder(parent);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(fileURLToPath(new URL("../..", import.meta.url)), join(folder, "node_modules", "distillery"), "dir");
  for (const file of readdirSync(MODULES)) copyFileSync(new URL(file, MODULES), join(folder, file));
  const rows = Array.from({ length: 90 }, (_, i) => {
    const label = i % 3;
    return `${label + (i % 7) / 20},${2 - label + (i % 5) / 20},${["red", "green", "blue"][label]}`;
  });
  writeFileSync(join(folder, "rows.csv"), ["width,height,label", ...rows].join("\n"));
  return folder;
}
