import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import {
  distill,
  type EpochRecord,
  formatEpoch,
  manualSeed,
  StudentNet,
  synthetic,
  TeacherNet,
} from "../../src/index.js";
import { failure } from "../support.js";

type Mode = "train" | "eval";

/**
 * Epochs, by number, and how far their printed losses may be off: PyTorch's own noise between 1 and 2 threads, doubled.
 */
const TOLERANCES: [from: number, to: number, loss: number][] = [
  [1, 10, 1e-4],
  [11, 20, 2e-4],
  [21, 79, 0.015],
  [80, 150, 4e-4],
];
const EPOCHS = 150;
/** Printed losses are whole numbers of this. */
const UNIT = 1e-4;

/** What the PyTorch script printed, as it was handed over: no script here makes these files. */
function log(mode: Mode): string[] {
  const file = fileURLToPath(new URL(`fixtures/seed0-teacher-${mode}.log`, import.meta.url));
  return readFileSync(file, "utf8").trimEnd().split("\n");
}

/** The script, with the library's loop: its lines as they come, and its student. */
async function script(seed: number, teacherMode: Mode, onLine: (line: string) => void, signal?: AbortSignal) {
  manualSeed(seed);
  const teacher = new TeacherNet().freeze();
  const student = new StudentNet();
  const onEpoch = (record: EpochRecord) => onLine(formatEpoch("KD Loss", record));
  await distill({
    teacher,
    student,
    data: synthetic(),
    teacherMode,
    shuffle: false,
    onEpoch,
    ...(signal && { signal }),
  });
  return student;
}

/** Made by make_student.mjs. */
const hashes: Record<Mode, string> = JSON.parse(
  readFileSync(new URL("fixtures/student_seed0.json", import.meta.url), "utf8"),
);

const lossOf = (line = "") => Number(/KD Loss: (\d+\.\d{4}) /.exec(line)?.[1]);
const withoutLoss = (line: string) => line.replace(/KD Loss: \d+\.\d{4} /, "KD Loss: #.#### ");

describe.each<Mode>(["train", "eval"])(
  "the script with seed 0 and its teacher in %s mode prints PyTorch's lines",
  (mode) => {
    const [expected, lines] = [log(mode), [] as string[]];
    let student: StudentNet;

    beforeAll(async () => {
      student = await script(0, mode, (line) => lines.push(line));
    }, 600_000);

    test("150 of them, byte for byte but for the loss", () => {
      expect(expected).toHaveLength(EPOCHS);
      expect(lines.map(withoutLoss)).toEqual(expected.map(withoutLoss));
    });

    test.each(TOLERANCES)("the loss on lines %i to %i, within %d", (from, to, tolerance) => {
      const wrong = lines.slice(from - 1, to).filter((line, i) => {
        const units = Math.round((lossOf(line) - lossOf(expected[from - 1 + i])) / UNIT);
        return !(Math.abs(units) <= Math.round(tolerance / UNIT));
      });
      expect(wrong, `PyTorch:\n${expected.slice(from - 1, to).join("\n")}`).toEqual([]);
    });

    test("the student has the bits that it always had", () => {
      const hash = createHash("sha256");
      for (const { data } of Object.values(student.stateDict())) hash.update(data);
      expect(hash.digest("hex")).toBe(hashes[mode]);
    });
  },
);

test("another seed prints other losses, with the same learning rates", async () => {
  const lines: string[] = [];
  const controller = new AbortController();
  const onLine = (line: string) => lines.push(line) === 3 && controller.abort();
  await failure(script(1, "train", onLine, controller.signal), "ABORTED");
  const expected = log("train").slice(0, 3);
  expect(lines.map(withoutLoss)).toEqual(expected.map(withoutLoss));
  for (const [i, line] of lines.entries())
    expect(Math.abs(lossOf(line) - lossOf(expected[i]))).toBeGreaterThan(2 * UNIT);
});
