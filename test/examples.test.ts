import { execFile, spawn } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { distill, load, manualSeed, StudentNet, synthetic, TeacherNet } from "../src/index.js";
import { type Ended, ended, imageFolder, jsonLines, newFolder, succeed, userFolder } from "./cli/support.js";
import { temporaryFolder } from "./support.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Inside the project: there "distillery" is the built package, as it is for a program that installed it. */
const compiled = join(ROOT, "target", `examples-${process.pid}`);
const folder = temporaryFolder();
const userFolders = temporaryFolder();
const EXAMPLES = new URL("../examples/", import.meta.url);

/**
 * An example that trains less, as a program beside it: its numbers of epochs, which are in it so many times, replaced.
 */
function shortened(name: string, epochs: RegExp, times: number, fewer: string): string {
  const parts = readFileSync(join(compiled, `${name}.js`), "utf8").split(epochs);
  expect(parts).toHaveLength(times + 1);
  writeFileSync(join(compiled, `${name}_short.js`), parts.join(fewer));
  return `${name}_short`;
}

beforeAll(async () => {
  const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  await promisify(execFile)(process.execPath, [compiler, "-p", join(ROOT, "examples"), "--outDir", compiled]);
});
afterAll(() => rmSync(compiled, { recursive: true, force: true }));

/** Runs one of the compiled examples to its end. */
function run(name: string, args: readonly string[], cwd: string): Promise<Ended> {
  return ended(
    spawn(process.execPath, [join(compiled, `${name}.js`), ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] }),
  );
}

describe.concurrent("examples reach their targets", () => {
  test("own_network: networks of your own, distilled", async ({ expect }) => {
    const { code, stdout, stderr } = await run("own_network", [], folder);
    expect([code, stderr]).toEqual([0, ""]);
    const student = /^student: (\d+) parameters, accuracy (\S+), agreement (\S+)$/m.exec(stdout)?.slice(1).map(Number);
    const teacher = /^teacher: (\d+) parameters, accuracy (\S+)$/m.exec(stdout)?.slice(1).map(Number);
    const [size, accuracy, agreement] = student as [number, number, number];
    expect(accuracy).toBeGreaterThanOrEqual(0.95);
    expect(agreement).toBeGreaterThanOrEqual(0.95);
    expect(teacher?.[1]).toBeGreaterThanOrEqual(0.95);
    expect((teacher?.[0] as number) / size).toBeGreaterThan(60);
  });

  test("own_loop: a training loop and a loss of your own", async ({ expect }) => {
    const { code, stdout, stderr } = await run("own_loop", [], folder);
    expect([code, stderr]).toEqual([0, ""]);
    const errors = [...stdout.matchAll(/^epoch \d+: mean squared error (\S+)$/gm)].map(([, error]) => Number(error));
    expect(errors).toHaveLength(4);
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
    expect(errors.at(-1)).toBeLessThan(0.01);
  });

  test("omitted_class: a student recognises a class that it never saw", async ({ expect }) => {
    const { code, stdout, stderr } = await run("omitted_class", [imageFolder(), "2", "30", "0.9"], folder);
    expect([code, stderr]).toEqual([0, ""]);
    const recalls = [...stdout.matchAll(/ (\d+\.\d)%$/gm)].map(([, recall]) => Number(recall));
    expect(recalls).toHaveLength(4);
    expect(recalls[1]).toBe(0);
    expect(recalls[3]).toBeGreaterThanOrEqual(90);
  });

  test("own_loss: a weighted sum with losses of your own, and their metrics", async ({ expect }) => {
    const { code, stdout, stderr } = await run("own_loss", [], folder);
    expect([code, stderr]).toEqual([0, ""]);
    const metrics = [...stdout.matchAll(/^(\S+): -?\d+\.\d{4}$/gm)].map(([, name]) => name);
    expect(metrics).toEqual([
      "loss",
      "cross-entropy",
      "dkd",
      "dkd.targetPart",
      "dkd.otherPart",
      "hidden-cosine",
      "hidden-cosine.cosine",
      "validationLoss",
      "validationAccuracy",
      "agreement",
    ]);
  });

  test.each(["fine_tune", "own_operation"])("%s", async (name) => {
    const { code, stderr } = await run(name, [], folder);
    expect([code, stderr]).toEqual([0, ""]);
  });

  test.each([
    ["own_network", /(?<=epochs: )\d+/, 2, "1.01", "the student's accuracy is below its target of 1.01\n"],
    ["own_loop", /(?<=\[)40/, 1, "0", "the student's error is above its target of 0\n"],
  ])("%s fails if it misses its target", async (name, epochs, times, target, message) => {
    const { code, stderr } = await run(shortened(name, epochs, times, "1"), [target], folder);
    expect([code, stderr]).toEqual([1, message]);
  });
});

test("the modules of the examples are network, loss and optimizer of a run on the command line", async () => {
  const cwd = userFolder(userFolders);
  for (const name of ["net.mjs", "my_loss.mjs", "two_rates.mjs"])
    copyFileSync(new URL(name, EXAMPLES), join(cwd, name));
  const common = ["--data", "rows.csv", "--epochs", "2", "--no-report"];
  await succeed(["train-teacher", ...common, "--teacher-network", "mlp(hidden=[16])", "--out", "teacher"], cwd);
  const teacher = ["--teacher", join("teacher", "teacher.safetensors")];
  const network = ["--student", "./net.mjs#Tiny(hidden=24)"];
  const training = ["--loss", "./my_loss.mjs(weight=0.5)", "--optimizer", "./two_rates.mjs"];
  await succeed(["distill", ...common, ...teacher, ...network, ...training, "--out", "student"], cwd);
  const [record] = jsonLines(readFileSync(join(cwd, "student", "metrics.jsonl"), "utf8"));
  expect(record).toMatchObject({ logitError: expect.any(Number), labelLoss: expect.any(Number) });
});

// Its 150 epochs as the library's loop trains them are in parity/script.test.ts.
test("script: with fewer epochs it ends with the student of distill, to the byte", async () => {
  const short = shortened("script", /\b150\b/, 2, "3");
  const file = join(newFolder(userFolders), "example.pth");
  const { code, stdout, stderr } = await run(short, [file], folder);
  expect([code, stdout, stderr]).toEqual([0, "", ""]);
  manualSeed(0);
  const [teacher, student] = [new TeacherNet().freeze(), new StudentNet()];
  await distill({ teacher, student, data: synthetic(), teacherMode: "train", shuffle: false, epochs: 3 });
  const [saved, state] = [await load(file), student.stateDict()];
  expect(Object.keys(saved)).toEqual(Object.keys(state));
  for (const [key, { shape, data }] of Object.entries(state)) {
    expect(saved[key]?.shape, key).toEqual(shape);
    expect(saved[key]?.data, key).toEqual(data);
  }
});

test("they write nothing where they run", () => {
  expect(readdirSync(folder)).toEqual([]);
});

test("packages: Debian's packages as a table of texts", async () => {
  const own = newFolder(userFolders);
  const avail = [
    "Package: a\nSection: games\nDescription: a puzzle\n of many lines",
    'Package: b\nSection: contrib/net\nDescription-en: talks, "quickly"',
    "Package: c\nSection: games\nDescription: a puzzle",
    "Package: d\nSection: games",
  ];
  writeFileSync(join(own, "apt-cache"), `#!/bin/sh\ncat << 'END'\n${avail.join("\n\n")}\nEND\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${own}:${process.env.PATH}` };
  const script = fileURLToPath(new URL("packages.mjs", EXAMPLES));
  const { stdout } = await promisify(execFile)(process.execPath, [script, "p.jsonl"], { cwd: own, env });
  expect(stdout).toBe("p.jsonl: 2 packages in 2 sections\n");
  expect(
    readFileSync(join(own, "p.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { section: "games", description: "a puzzle" },
    { section: "net", description: 'talks, "quickly"' },
  ]);
  const failing = { ...process.env, PATH: join(own, "nothing") };
  await expect(promisify(execFile)(process.execPath, [script], { cwd: own, env: failing })).rejects.toThrow(
    "apt-cache dumpavail: spawnSync apt-cache ENOENT: it needs Debian or Ubuntu",
  );
});

test("worker: the epochs of a run in a worker thread reach the page, in order", async () => {
  const server = spawn(process.execPath, [join(compiled, "worker.js"), "0"], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void server.kill("SIGKILL"));
  // Once it listens.
  const line = await new Promise<Buffer>((resolve) => server.stdout.once("data", resolve));
  const address = line.toString().trim();
  expect(await (await fetch(address)).text()).toContain("EventSource");
  const stream = (await fetch(`${address}/events`)).body as ReadableStream<Uint8Array>;
  let text = "";
  for await (const part of stream) {
    text += Buffer.from(part).toString();
    if (text.split("\n\n").length > 20) break;
  }
  const records = text
    .split("\n\n")
    .slice(0, 20)
    .map((event) => JSON.parse(event.replace(/^data: /, "")));
  expect(records.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(records.at(-1).metrics.loss).toBeLessThan(records[0].metrics.loss);
});
