import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { named } from "../../src/compare/pool.js";
import {
  type CompareInput,
  type CompareResult,
  compare,
  DistilleryError,
  Generator,
  save,
  sweep,
  withGenerator,
} from "../../src/index.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { compareInput, PROBLEM, STEPS, sweepInput, timeless } from "./support.js";

const temporary = temporaryFolder();
const newRun = newFolders(temporary, "resume");

/** What a comparison that nothing interrupted found, without its times. */
let whole: Promise<CompareResult> | undefined;
const uninterrupted = () => {
  const out = newRun();
  whole ??= compare(compareInput(out)).then((result) => timeless(result, out));
  return whole;
};

/** Stops a call after a number of steps; gives the message. */
async function stopAfter(steps: number, call: (more: Pick<CompareInput, "signal" | "onProgress">) => Promise<unknown>) {
  const controller = new AbortController();
  let made = 0;
  const onProgress = () => {
    made += 1;
    if (made === steps) controller.abort();
  };
  return (await failure(call({ signal: controller.signal, onProgress }), "ABORTED")).message;
}

describe("an interrupted comparison ends as one that was not", () => {
  test.each([
    ["in the teacher", 3, 0],
    ["in the first student", STEPS + 5, 1],
    ["in the fourth", 4 * STEPS + 5, 4],
  ])("stopped %s", async (_, steps, done) => {
    const out = newRun();
    const baseline = await uninterrupted();
    const message = await stopAfter(steps, (more) => compare(compareInput(out, more)));
    const rest = `their state is saved in ${out}: re-run with --resume to continue`;
    expect(message).toBe(`stopped with ${done} of 5 runs done; ${rest}`);
    expect(existsSync(join(out, "compare.json"))).toBe(false);
    const notes: string[] = [];
    const onNote = (text: string) => void notes.push(text);
    expect(timeless(await compare(compareInput(out, { resume: true, onNote })), out)).toEqual(baseline);
    // To the order of the keys: the same text.
    const written = timeless(JSON.parse(readFileSync(join(out, "compare.json"), "utf8")), out);
    expect(JSON.stringify(written)).toBe(JSON.stringify(baseline));
    expect(notes).toEqual([expect.stringMatching(/: resumed at epoch 1 of 3, step \d+$/)]);
  });

  test("finished runs are not trained again, and more seeds can be added", async () => {
    const out = newRun();
    const notes: string[] = [];
    const onNote = (text: string) => void notes.push(text);
    await compare(compareInput(out, { seeds: 1, onNote }));
    const before = statSync(join(out, "seed-0", "distilled", "checkpoint.safetensors")).mtimeMs;
    const steps: string[] = [];
    const onProgress: CompareInput["onProgress"] = ({ trial }) => void steps.push(trial);
    const result = await compare(compareInput(out, { seeds: 2, resume: true, onProgress, onNote }));
    expect(timeless(result, out)).toEqual(await uninterrupted());
    expect(notes).toEqual([]);
    // Each that is done tells so, once.
    expect(steps.filter((trial) => trial === "seed-0/distilled")).toHaveLength(1);
    expect(steps.filter((trial) => trial === "seed-1/distilled").length).toBeGreaterThan(STEPS);
    expect(before).toBeLessThanOrEqual(statSync(join(out, "seed-0", "distilled", "checkpoint.safetensors")).mtimeMs);
  });

  test("cached teacher logits that are damaged, or another teacher's, are computed again", async () => {
    const out = newRun();
    const baseline = await uninterrupted();
    const cache = join(out, "teacher_logits.safetensors");
    for (const harm of [
      () => appendFileSync(cache, "x"),
      () => writeFileSync(cache, ""),
      () => rmSync(cache),
      () => {
        const bytes = readFileSync(cache);
        bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
        writeFileSync(cache, bytes);
      },
    ]) {
      await stopAfter(3 * STEPS, (more) => compare(compareInput(out, more)));
      harm();
      expect(timeless(await compare(compareInput(out, { resume: true })), out)).toEqual(baseline);
    }
  });
});

test("a sweep resumes too", async () => {
  const [whole, out] = [newRun(), newRun()];
  const baseline = await sweep(sweepInput(whole));
  const message = await stopAfter(3 * STEPS, (more) => sweep(sweepInput(out, more)));
  expect(message).toMatch(/^stopped with 2 of 5 runs done; /);
  expect(timeless(await sweep(sweepInput(out, { resume: true })), out)).toEqual(timeless(baseline, whole));
});

describe("going on with other options is refused", () => {
  test("a failure names its trial once", async () => {
    const failed = (text: string) => Promise.reject(new DistilleryError("BAD_ARGUMENT", text));
    const messageOf = (text: string) => named("teacher", failed(text)).catch((error: Error) => error.message);
    expect(await messageOf("epoch 1: the teacher is wrong")).toBe("teacher: epoch 1: the teacher is wrong");
    expect(await messageOf("teacher: is wrong")).toBe("teacher: is wrong");
    expect(await messageOf("/runs/teacher: can't resume")).toBe("/runs/teacher: can't resume");
  });

  test("an option", async () => {
    const out = newRun();
    await compare(compareInput(out, { seeds: 1 }));
    const { message } = await failure(compare(compareInput(out, { seeds: 1, lr: 0.02, resume: true })), "BAD_CONFIG");
    const advice = "give the options of before, choose another folder, or --overwrite instead of --resume";
    expect(message).toBe(`${out}: can't resume a run with another configuration: lr was 0.01, is 0.02: ${advice}`);
  });

  test.each<[string, Partial<CompareInput>]>([
    ["an option of all", { lr: 0.02 }],
    ["the loss, which its trial refuses", { loss: "dkd" }],
    ["another first seed, which the teacher refuses", { seeds: [5] }],
  ])("%s: the folder stays that of the options before", async (_, more) => {
    const out = newRun();
    const before = { seeds: 1, epochs: 1 };
    await compare(compareInput(out, before));
    const contents = () =>
      [join(out, "config.json"), join(out, "compare.json")].map((file) => readFileSync(file, "utf8"));
    const kept = contents();
    const changed = { ...before, ...more };
    await failure(compare(compareInput(out, { ...changed, resume: true })), "BAD_CONFIG");
    expect((await failure(compare(compareInput(out, changed)), "BAD_CONFIG")).message).toContain(
      "--overwrite replaces",
    );
    expect(contents()).toEqual(kept);
  });

  test.each([0, 2])(
    "more epochs, with %d checkpoints kept: nothing offers to go on, and nothing does",
    async (keepCheckpoints) => {
      const out = newRun();
      const before = { seeds: 1, epochs: 1, keepCheckpoints, teacher: PROBLEM.teacher() };
      const result = await compare(compareInput(out, before));
      const longer = { ...before, epochs: 2 };
      const { message } = await failure(compare(compareInput(out, longer)), "BAD_CONFIG");
      const advice = "--overwrite replaces it (overwrite: true in a program), or choose another folder";
      expect(message).toBe(`${out}: a run with other options is there: epochs was 1, is 2: ${advice}`);
      const resumed = await failure(compare(compareInput(out, { ...longer, resume: true })), "BAD_CONFIG");
      expect(resumed.message).toContain("can't resume a run with another configuration: epochs was 1, is 2: ");
      // The runs are as they were.
      expect(timeless(await compare(compareInput(out, { ...before, resume: true })), out)).toEqual(
        timeless(result, out),
      );
    },
  );

  test("another teacher", async () => {
    const out = newRun();
    const teacherOf = (seed: number) => withGenerator(new Generator(seed), PROBLEM.teacher);
    await compare(compareInput(out, { seeds: 1, teacher: teacherOf(1) }));
    const again = compare(compareInput(out, { seeds: 1, teacher: teacherOf(2), resume: true }));
    expect((await failure(again, "BAD_CONFIG")).message).toMatch(
      /: can't resume .*: the teacher.s file .* has changed/,
    );
    // Nor is it replaced without a word.
    const fresh = compare(compareInput(out, { seeds: 1, teacher: teacherOf(2) }));
    expect((await failure(fresh, "BAD_CONFIG")).message).toMatch(
      /a run with other options is there: the teacher.s file .* has changed/,
    );
  });

  test("not after a fresh start with them, though runs of an earlier one are there", async () => {
    const out = newRun();
    await compare(compareInput(out, { lr: 0.02 }));
    expect(existsSync(join(out, "compare.json"))).toBe(true);
    await failure(compare(compareInput(out)), "BAD_CONFIG");
    await stopAfter(2 * STEPS, (more) => compare(compareInput(out, { ...more, overwrite: true })));
    expect(existsSync(join(out, "compare.json"))).toBe(false);
    const result = await compare(compareInput(out, { resume: true }));
    expect(timeless(result, out)).toEqual(await uninterrupted());
  });
});

test("--overwrite with other options leaves nothing of the runs before, so that the new comparison can grow; files of a person stay", async () => {
  const out = newRun();
  const budget = { epochs: 1, seeds: 2 };
  await compare(compareInput(out, budget));
  writeFileSync(join(out, "report.html"), "");
  writeFileSync(join(out, "seed-1", "notes.txt"), "mine");
  mkdirSync(join(out, "seed-9"));
  writeFileSync(join(out, "seed-9", "config.json"), JSON.stringify({ command: "distill", userOptions: {} }));
  await compare(compareInput(out, { ...budget, seeds: 1, lr: 0.02, overwrite: true }));
  expect(readdirSync(join(out, "seed-9"))).toEqual(["config.json"]);
  expect(readdirSync(join(out, "seed-1"))).toEqual(["notes.txt"]);
  expect(existsSync(join(out, "report.html"))).toBe(false);
  const grown = await compare(compareInput(out, { ...budget, lr: 0.02, resume: true }));
  expect(grown.seeds).toEqual([0, 1]);
});

test("a folder is one comparison's at a time", async () => {
  const out = newRun();
  const first = compare(compareInput(out, { seeds: 1 }));
  const { message } = await failure(compare(compareInput(out, { seeds: 1 })), "IN_USE");
  expect(message).toMatch(
    /: another run is writing there \(process \d+ on .+\): wait for its end or choose another folder$/,
  );
  await first;
});

test("a run that fails ends the comparison, and its error names it", async () => {
  const out = newRun();
  const { message } = await failure(compare(compareInput(out, { lr: 1e30, seeds: 1 })), "NON_FINITE");
  expect(message).toMatch(/^teacher: epoch \d+, step \d+ of \d+: /);
});

test("a teacher's file that is emptied or replaced meanwhile is reported, not measured", async () => {
  const other = join(temporary, "other.safetensors");
  await save(PROBLEM.teacher().stateDict(), other);
  const emptied = (file: string) => writeFileSync(file, "");
  const replaced = (file: string) => copyFileSync(other, file);
  for (const [change, text] of [
    [emptied, "is empty"],
    [replaced, "changed while the students were trained"],
  ] as const) {
    const out = newRun();
    const file = join(out, "teacher", "teacher_best.safetensors");
    const onTrial = ({ name }: { name: string }) => {
      if (name === "seed-0/distilled") change(file);
    };
    const { message } = await failure(compare(compareInput(out, { seeds: 1, onTrial })), "BAD_CHECKPOINT");
    expect(message).toContain(text);
  }
});

test("finished trials keep no optimizer's state, unless it is asked for", async () => {
  const sizes = async (more: Partial<CompareInput>) => {
    const out = newRun();
    await compare(compareInput(out, { seeds: 1, ...more }));
    const folder = join(out, "seed-0", "distilled");
    const names = readdirSync(folder).filter((name) => name.startsWith("checkpoint."));
    return [names.length, statSync(join(folder, "checkpoint.safetensors")).size];
  };
  const [[few, small], [more, large]] = [await sizes({}), await sizes({ keepCheckpoints: 2 })];
  expect([few, more >= 1]).toEqual([1, true]);
  expect(small).toBeLessThan(0.9 * large);
});
