import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { announced } from "../../src/compare/shared_teacher.js";
import { DistilleryError } from "../../src/errors.js";
import {
  bfloat16Unit,
  type CompareInput,
  compare,
  compareShare,
  Generator,
  sweep,
  sweepShare,
  type TeacherBatch,
  withGenerator,
} from "../../src/index.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { compareInput, PROBLEM, sweepInput, timeless } from "./support.js";

const temporary = temporaryFolder();
const newRun = newFolders(temporary, "share");
const resultIn = (out: string, name = "compare.json") => JSON.parse(readFileSync(join(out, name), "utf8"));
/** To the order of the keys: the same text. */
const textOf = (out: string, name?: string) => JSON.stringify(timeless(resultIn(out, name), out));

/** Stops a call after a number of steps. */
function stopping(steps: number): Pick<CompareInput, "signal" | "onProgress"> {
  const controller = new AbortController();
  let made = 0;
  const onProgress = () => {
    made += 1;
    if (made === steps) controller.abort();
  };
  return { signal: controller.signal, onProgress };
}

describe("shares give what one call gives", () => {
  test("in any order, stopped and run again, and with another number of shares for the rest", async () => {
    const [whole, out] = [newRun(), newRun()];
    await compare(compareInput(whole, { seeds: 3 }));
    const early = await failure(compare(compareInput(out, { seeds: 3, collect: true })), "NOT_FOUND");
    expect(early.message).toBe(`${out}: no share of it has begun`);
    const notes: string[] = [];
    const input = compareInput(out, { seeds: 3, onNote: (text) => void notes.push(text) });
    // The others begin first, and wait.
    const late = [2, 1].map((index) => compareShare(input, { index, of: 3 }));
    await vi.waitFor(() => expect(notes).toHaveLength(2), 60_000);
    expect(notes.toSorted()).toEqual(
      [1, 2].map((i) => `share ${i} of 3 waits for the teacher: share 0 has not begun it`),
    );
    const stopped = await failure(compareShare({ ...input, ...stopping(3) }, { index: 0, of: 3 }), "ABORTED");
    expect(stopped.message).toBe(
      `stopped with 0 of 3 runs done; their state is saved in ${out}: run this share again to continue`,
    );
    expect(resultIn(out, "teacher.json").state).toBe("stopped");
    const first = compareShare(input, { index: 0, of: 3 });
    expect(await Promise.all([first, ...late])).toEqual([
      { share: { index: 0, of: 3 }, runs: ["seed-0/baseline", "seed-1/distilled"] },
      { share: { index: 2, of: 3 }, runs: ["seed-1/baseline", "seed-2/distilled"] },
      { share: { index: 1, of: 3 }, runs: ["seed-0/distilled", "seed-2/baseline"] },
    ]);
    for (const share of [1, 0]) {
      const other = compareShare({ ...input, batchSize: 10 }, { index: share, of: 2 });
      expect((await failure(other, "BAD_CONFIG")).message).toMatch(
        /batchSize .*: give the options of the other shares, or choose another folder for all of them$/,
      );
    }
    const nowhere = join(out, "no", "folder");
    await failure(compare({ ...input, out: nowhere, collect: true }), "NOT_FOUND");
    expect(existsSync(join(out, "no"))).toBe(false);
    rmSync(join(out, "seed-1", "distilled"), { recursive: true });
    const missing = await failure(compare({ ...input, collect: true }), "NOT_FOUND");
    expect(missing.message).toBe(
      `${out}: 1 of 7 runs are not done: seed-1/distilled (not begun): run their shares, then collect again`,
    );
    expect(existsSync(join(out, "compare.json"))).toBe(false);
    const logits = statSync(join(out, "teacher_logits.safetensors")).mtimeMs;
    await compareShare(input, { index: 1, of: 2 });
    await compare({ ...input, collect: true });
    expect(textOf(out)).toBe(textOf(whole));
    expect(readFileSync(join(out, "config.json"), "utf8")).toBe(readFileSync(join(whole, "config.json"), "utf8"));
    expect(statSync(join(out, "teacher_logits.safetensors")).mtimeMs).toBe(logits);
  });

  test("of a sweep, more of them than runs, with a teacher that comes trained", async () => {
    const [whole, out] = [newRun(), newRun()];
    const teacher = PROBLEM.teacher();
    await sweep(sweepInput(whole, { teacher }));
    const shares = await Promise.all(
      [3, 0, 5, 1, 2, 4].map((index) => sweepShare(sweepInput(out, { teacher }), { index, of: 6 })),
    );
    expect(shares.flatMap((share) => share.runs)).toHaveLength(4);
    await sweep(sweepInput(out, { teacher, collect: true }));
    expect(textOf(out, "sweep.json")).toBe(textOf(whole, "sweep.json"));
  });
});

test("a teacher from elsewhere is asked by share 0 alone, also if only its answers tell it", async () => {
  const [whole, out] = [newRun(), newRun()];
  const network = withGenerator(new Generator(5), PROBLEM.teacher).eval();
  const teacherOf = (asked: () => void) => ({
    name: "own",
    fingerprint: () => null,
    outputs: ({ inputs }: Pick<TeacherBatch, "inputs">) => {
      asked();
      return { logits: network.forward(inputs), taps: {} };
    },
  });
  const input = { seeds: 1, epochs: 2 };
  await compare(compareInput(whole, { ...input, teacher: teacherOf(() => {}) }));
  const share = (index: number, asked: () => void) =>
    compareShare(compareInput(out, { ...input, teacher: teacherOf(asked) }), { index, of: 2 });
  const never = vi.fn();
  const late = share(1, never);
  await share(0, () => {});
  await late;
  await compare(compareInput(out, { ...input, teacher: teacherOf(never), collect: true }));
  expect(never).not.toHaveBeenCalled();
  expect(textOf(out)).toBe(textOf(whole));
});

describe("a share ends", () => {
  test("with the error of share 0, if that fails while it waits", async () => {
    const out = newRun();
    const waiting = failure(compareShare(compareInput(out), { index: 1, of: 2 }), "NON_FINITE");
    const bad = compareInput(out, { lr: 1e30 });
    await failure(compareShare(bad, { index: 0, of: 2 }), "NON_FINITE");
    const { message } = await waiting;
    expect(message).toMatch(/^share 0 failed to make the teacher: teacher: /);
  });

  test("with IN_USE, if it is another share 0: the others still see the one that makes the teacher", async () => {
    const out = newRun();
    mkdirSync(out);
    const file = join(out, "teacher.json");
    const place = { out, seed: 0, epochs: 2 };
    const describeMade = () => ({ file: null, hash: null, hasLogits: false });
    let begun = "";
    const made = await announced(
      place,
      async () => {
        begun = readFileSync(file, "utf8");
        const refused = () => Promise.reject(new DistilleryError("IN_USE", "another run is writing there"));
        await failure(announced(place, refused, describeMade), "IN_USE");
        expect(readFileSync(file, "utf8")).toBe(begun);
        return "made";
      },
      describeMade,
    );
    expect([made, begun.includes('"training"'), resultIn(out, "teacher.json").state]).toEqual(["made", true, "ready"]);
  });

  test("by its signal while it waits", async () => {
    const signal = AbortSignal.timeout(50);
    const { message } = await failure(compareShare(compareInput(newRun(), { signal }), { index: 1, of: 2 }), "ABORTED");
    expect(message).toContain("stopped with 0 of 2 runs done");
  });

  test("if share 0 has other options, and if the teacher's file has changed", async () => {
    const out = newRun();
    const other = failure(compareShare(compareInput(out, { lr: 0.02 }), { index: 1, of: 2 }), "BAD_CONFIG");
    await compareShare(compareInput(out), { index: 0, of: 2 });
    expect((await other).message).toContain("lr was 0.01, is 0.02");
    const file = join(out, "teacher", "teacher_best.safetensors");
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(file, bytes);
    const changed = await failure(compareShare(compareInput(out), { index: 1, of: 2 }), "BAD_CHECKPOINT");
    expect(changed.message).toBe(`${file}: is not what share 0 made: run share 0 again`);
  });

  test("if a run of its own has other options, without advice to replace it", async () => {
    const out = newRun();
    const share = { index: 0, of: 1 };
    await compareShare(compareInput(out, { seeds: [0] }), share);
    const { message } = await failure(compareShare(compareInput(out, { seeds: [0], loss: "kd" }), share), "BAD_CONFIG");
    expect(message).toMatch(/give the options of the other shares, or choose another folder for all of them$/);
  });

  test("in bfloat16, if its processor has another unit than that of the other shares", async () => {
    const out = newRun();
    const input = compareInput(out, { seeds: [0], precision: "bfloat16" });
    await compareShare(input, { index: 0, of: 2 });
    const config = join(out, "config.json");
    writeFileSync(config, JSON.stringify({ ...resultIn(out, "config.json"), bfloat16Unit: "another" }));
    const { message } = await failure(compareShare(input, { index: 1, of: 2 }), "BAD_CONFIG");
    expect(message).toContain(`bfloat16Unit was "another", is "${bfloat16Unit()}"`);
  });

  test("if it is none, or replaces or collects", async () => {
    const out = newRun();
    const share = { index: 0, of: 2 };
    await failure(compareShare(compareInput(out), { index: 2, of: 2 }), "BAD_ARGUMENT");
    await failure(compareShare(compareInput(out), { index: 0, of: 0 }), "BAD_ARGUMENT");
    await failure(compareShare(compareInput(out, { overwrite: true }), share), "BAD_ARGUMENT");
    await failure(compareShare(compareInput(out, { collect: true }), share), "BAD_ARGUMENT");
    expect(existsSync(out)).toBe(false);
  });
});
