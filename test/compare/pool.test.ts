import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type * as Library from "../../src/index.js";
import { HELD_STEPS } from "../cli/support.js";
import { newFolders, temporaryFolder } from "../support.js";
import { timeless } from "./support.js";

const DIST = new URL("../../dist/index.js", import.meta.url).href;
const temporary = temporaryFolder();
const newRun = newFolders(temporary, "processes");

/** The build: the program of the processes is a part of it. */
const built = (): Promise<typeof Library> => import(DIST);

const PROGRAM = `
import { Generator, randn, StudentNet, TeacherNet, TensorDataset, withGenerator } from ${JSON.stringify(DIST)};

function blobs(samples, seed) {
  const inputs = withGenerator(new Generator(seed), () => randn([samples, 4]));
  const labels = Int32Array.from({ length: samples }, (_, i) => i % 3);
  labels.forEach((label, i) => { inputs.data[4 * i + label] += 2; });
  return new TensorDataset(inputs, labels, { classes: 3, name: "blobs" });
}

export default ({ seed, fail, isHeld }) => {
  if (fail === "throw") throw new Error("no problem here");
  if (fail === "exit") process.exit(3);
  if (fail === "never") return new Promise(() => {});
  if (fail === "loop") for (;;);
  if (fail === "memory") throw new RangeError("Array buffer allocation failed");
  const task = {
    teacher: () => new TeacherNet({ inFeatures: 4, hidden: [24, 16, 12], classes: 3 }),
    student: () => {
      if (fail === "kill") process.kill(process.pid, "SIGKILL");
      return new StudentNet({ inFeatures: 4, hidden: [8, 6], classes: 3 });
    },
    data: blobs(300, seed),
    test: blobs(150, 2),
  };
  return isHeld ? import(${JSON.stringify(`${HELD_STEPS}?stop`)}).then(() => task) : task;
};
`;

/** What is compared, and the module that gives it in other processes too. */
async function setting(argument: { seed: number; fail?: string; isHeld?: boolean } = { seed: 1 }) {
  const module = pathToFileURL(join(temporary, "problem.mjs"));
  writeFileSync(module, PROGRAM);
  const { default: make } = await import(module.href);
  const workers = { module, argument };
  return { input: { ...make({ seed: 1 }), epochs: 3, batchSize: 32, lr: 0.01 }, workers };
}

describe("side by side in processes", () => {
  test("the figures are those of one after the other", async () => {
    const { compare } = await built();
    const { input, workers } = await setting();
    const [here, there] = [newRun(), newRun()];
    const baseline = timeless(await compare({ ...input, seeds: 2, out: here }), here);
    const trials: string[] = [];
    const side = await compare({
      ...input,
      seeds: 2,
      out: there,
      workers: { ...workers, count: 2 },
      onTrial: ({ name }) => void trials.push(name),
    });
    expect(timeless(side, there)).toEqual(baseline);
    expect(trials.sort()).toEqual([
      "seed-0/baseline",
      "seed-0/distilled",
      "seed-1/baseline",
      "seed-1/distilled",
      "teacher",
    ]);
  });

  test("nor do they change if there are more processes than trials", async () => {
    const { compare } = await built();
    const { input, workers } = await setting();
    const [here, there] = [newRun(), newRun()];
    const one = { ...input, seeds: 1, epochs: 1 };
    const baseline = timeless(await compare({ ...one, out: here }), here);
    const nine = await compare({ ...one, out: there, workers: { ...workers, count: 9 } });
    expect(timeless(nine, there)).toEqual(baseline);
  });

  test("so are a sweep's", async () => {
    const { sweep } = await built();
    const { input, workers } = await setting();
    const [here, there] = [newRun(), newRun()];
    const grid = { temperatures: [1, 4], alphas: [0.2, 0.8] };
    const baseline = timeless(await sweep({ ...input, ...grid, out: here }), here);
    const side = await sweep({ ...input, ...grid, out: there, workers: { ...workers, count: 2 } });
    expect(timeless(side, there)).toEqual(baseline);
  });

  test("an interrupted call saves all running trials, and resumes in this process or in workers", async () => {
    const { compare } = await built();
    const { input, workers } = await setting();
    const [whole, out] = [newRun(), newRun()];
    const baseline = timeless(await compare({ ...input, seeds: 1, out: whole }), whole);
    const call = { ...input, seeds: 1, out, workers: { ...workers, count: 2 } };
    const controller = new AbortController();
    const begun = new Set<string>();
    const stopped = compare({
      ...call,
      workers: { ...call.workers, argument: { seed: 1, isHeld: true } },
      signal: controller.signal,
      onProgress: ({ trial }) => begun.add(trial).size === 3 && controller.abort(),
    });
    expect((await failureOf(stopped)).message).toMatch(/^stopped with 1 of 3 runs done; /);
    expect(existsSync(join(out, "seed-0", "baseline", "checkpoint.safetensors"))).toBe(true);
    expect(timeless(await compare({ ...call, resume: true }), out)).toEqual(baseline);
  });
});

/** The build's own class of errors. */
async function failureOf(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  return promise.then(
    () => expect.fail("nothing was thrown"),
    (error) => error,
  );
}

test("a callback that is async and rejects ends the call with its reason", async () => {
  const { compare } = await built();
  const { input } = await setting();
  const reject = () => Promise.reject(new RangeError("enough"));
  for (const name of ["onTrial", "onProgress"]) {
    const call = compare({ ...input, epochs: 1, seeds: 1, out: newRun(), [name]: reject });
    expect(await failureOf(call)).toMatchObject({ name: "RangeError", message: "enough" });
  }
});

describe("processes that do not do what they should", () => {
  test.each([
    [
      { seed: 2 },
      "BAD_ARGUMENT",
      /^workers\.module: file:.*problem\.mjs gives other data than those that are compared on$/,
    ],
    [{ seed: 1, fail: "throw" }, "BAD_ARGUMENT", /problem\.mjs:\d+:\d+: Error: no problem here$/],
    [
      { seed: 1, fail: "memory" },
      "IO_ERROR",
      /^memory ran out: raise the limit \(ulimit -v\), or close other programs$/,
    ],
    [
      { seed: 1, fail: "exit" },
      "INTERNAL",
      /^a worker process ended \(exit code 3\): re-run with --resume to continue$/,
    ],
    [
      { seed: 1, fail: "kill" },
      "INTERNAL",
      /^seed-0\/(baseline|distilled): a worker process ended \(killed by SIGKILL; a system that runs out of memory does that\): re-run with /,
    ],
  ])("%j", async (argument, code, message) => {
    const { compare } = await built();
    const { input, workers } = await setting(argument);
    const error = await failureOf(compare({ ...input, out: newRun(), workers: { ...workers, count: 2 } }));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test.each(["never", "loop"])("one that sticks at its start: %s", async (fail) => {
    const { compare } = await built();
    const { input, workers } = await setting({ seed: 1, fail });
    const call = compare({ ...input, out: newRun(), workers: { ...workers, count: 2, startSeconds: 0.5 } });
    expect(await failureOf(call)).toMatchObject({
      code: "IO_ERROR",
      message: "workers: a process did not open its task within 0.5 s: see why, or raise workers.startSeconds",
    });
  });

  test("a call that is stopped while they start", async () => {
    const { compare } = await built();
    const { input, workers } = await setting({ seed: 1, fail: "never" });
    const controller = new AbortController();
    const { signal } = controller;
    const onWork = ({ work }: { work: string }) => {
      if (work === "starting processes") setTimeout(() => controller.abort(), 100);
    };
    const call = compare({ ...input, out: newRun(), signal, onWork, workers: { ...workers, count: 2 } });
    expect(await failureOf(call)).toMatchObject({
      code: "ABORTED",
      message: expect.stringMatching(/^stopped with 1 of/),
    });
  });

  test("a program that was piped to Node.js, which no other process can import", () => {
    const program = (module: string) => `
      const { compare } = await import(${JSON.stringify(DIST)});
      const { default: make } = await import(${JSON.stringify(pathToFileURL(join(temporary, "problem.mjs")).href)});
      const workers = { module: ${module}, argument: { seed: 1 }, count: 2 };
      compare({ ...make({ seed: 1 }), epochs: 1, seeds: 1, out: ${JSON.stringify(newRun())}, workers })
        .then(() => console.log("done"), ({ code, message }) => console.log(code, message));`;
    const piped = (module: string) =>
      spawnSync(process.execPath, ["--input-type=module", "-"], {
        input: program(module),
        encoding: "utf8",
        cwd: temporary,
      });
    writeFileSync(join(temporary, "problem.mjs"), PROGRAM);
    expect(piped('"problem.mjs"')).toMatchObject({ stdout: "done\n", stderr: "" });
    expect(piped("import.meta.url").stdout).toMatch(
      /^BAD_ARGUMENT workers\.module: file:.* can't be imported by another process: give a file that exports the task \(.*\)\n$/,
    );
  });

  test.each([
    [
      "workers.startSeconds: expected a number above 0, up to 86400, got 0",
      { workers: { module: "x.mjs", startSeconds: 0 } },
    ],
    ["seeds: expected a whole number from 1 to 1000, got 1000000", { seeds: 1e6 }],
    ["seeds: expected at most 1000 numbers, got 1001", { seeds: Array.from({ length: 1001 }, (_, i) => i) }],
  ])("%s", async (message, more) => {
    const { compare } = await built();
    const { input } = await setting();
    expect(await failureOf(compare({ ...input, out: newRun(), ...more }))).toMatchObject({
      code: "BAD_ARGUMENT",
      message,
    });
  });

  test("a module that is not there, and one without a function", async () => {
    const { compare } = await built();
    const { input } = await setting();
    const call = (module: string) => failureOf(compare({ ...input, out: newRun(), workers: { module, count: 2 } }));
    expect((await call(join(temporary, "nowhere.mjs"))).message).toContain("nowhere.mjs");
    writeFileSync(join(temporary, "empty.mjs"), "");
    const { code, message } = await call(join(temporary, "empty.mjs"));
    expect(code).toBe("BAD_ARGUMENT");
    expect(message).toMatch(/^workers\.module: expected a default export, a function that gives the task, in file:/);
  });
});
