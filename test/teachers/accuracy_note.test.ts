import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { TaskName } from "../../src/data/task_name.js";
import {
  distill,
  emaTeacher,
  functionTeacher,
  logitsFile,
  manualSeed,
  rand,
  StudentNet,
  type TeacherBatch,
  Tensor,
  TensorDataset,
  tensor,
} from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const labels = Int32Array.of(0, 1, 2, 0, 1, 2, 2, 2);
const classNames = ["ant", "bee", "wasp"];
const data = new TensorDataset(new Tensor(Float32Array.from(labels), [8, 1]), labels, { classNames, name: "insects" });
const student = () => new StudentNet({ inFeatures: 1, classes: 3, hidden: [3, 3] });

/** A file whose column c has the logits of class order[c]. */
function fileOf(order: number[]): string {
  const file = join(folder, `${order.join("")}.npy`);
  const rows = [...labels].flatMap((label) => order.map((c) => (c === label ? 3 : 0)));
  writeFileSync(file, npy([8, 3], Float32Array.from(rows)));
  return file;
}

async function notesOf(teacher: Parameters<typeof distill>[0]["teacher"], loss?: string): Promise<string[]> {
  const notes: string[] = [];
  const onNote = (text: string) => notes.push(text);
  await distill({ teacher, student: student(), data, epochs: 1, batchSize: 4, onNote, ...(loss && { loss }) });
  return notes.filter((note) => /teacher/.test(note));
}

test("a teacher's accuracy on the labelled training samples is said, and warned of if it is worse than a guess", async () => {
  const all = "accuracy 100.00% on the 8 labelled training samples";
  expect(await notesOf(await logitsFile(fileOf([0, 1, 2])))).toEqual([`teacher: ${fileOf([0, 1, 2])}: ${all}`]);
  const shuffled = fileOf([1, 2, 0]);
  expect(await notesOf(await logitsFile(shuffled))).toEqual([
    `warning: teacher: ${shuffled}: accuracy 0.00% on the 8 labelled training samples, less than the 50.00% of their most frequent class: are its rows the samples, its columns the classes, in the data's order?`,
  ]);
  const named = await logitsFile(shuffled, { classes: ["bee", "wasp", "ant"] });
  expect(await notesOf(named)).toEqual([`teacher: ${shuffled}: ${all}`]);
  const rowsOf = ({ labels: own }: TeacherBatch, right: number, other: number) =>
    Array.from(own?.data ?? [], (y) => [0, 1, 2].map((c) => (c === y ? right : other)));
  const ask = (batch: TeacherBatch) => rowsOf(batch, 1, 0.5);
  expect(await notesOf(ask)).toEqual([`teacher: ask: ${all}`]);
  const softmax = (batch: TeacherBatch) => rowsOf(batch, 0.8, 0.1);
  expect(await notesOf(softmax)).toEqual([
    "warning: teacher: softmax: its outputs look like probabilities (none below 0, each row sums to 1) and are used as logits: let it give their logarithms",
    `teacher: softmax: ${all}`,
  ]);
});

describe("of other tasks, a teacher at chance is warned of", () => {
  /** Four targets of 0 and 1 of 64 samples, of which the last one is 1 in an eighth. */
  const random = (() => {
    manualSeed(0);
    return rand([64, 4]).toArray() as number[][];
  })();
  const hot = random.map((row) => row.map((x, c) => Number(x > (c === 3 ? 0.875 : 0.5))));
  const notesFor = async (task: TaskName, targets: number[][], answers: number[][]) => {
    const samples = new TensorDataset(tensor(targets), tensor(targets), { task, name: "samples" });
    const teacher = functionTeacher(({ indices }) => Array.from(indices, (i) => answers[i] as number[]));
    const network = new StudentNet({ inFeatures: 4, classes: 4, hidden: [3, 3] });
    const notes: string[] = [];
    await distill({
      teacher,
      student: network,
      data: samples,
      epochs: 1,
      batchSize: 16,
      onNote: (text) => notes.push(text),
    });
    return notes.filter((note) => /teacher: /.test(note));
  };
  const constant = random.map(() => [1, 1, 1, 1]);

  test("average precision, of which chance is how many samples have the label", async () => {
    const mean = hot.flat().reduce((sum, x) => sum + x, 0) / hot.flat().length;
    expect(await notesFor("multi-label", hot, constant)).toEqual([
      expect.stringMatching(
        `^warning: .*average precision ${(100 * mean).toFixed(2)}% .*, hardly better than the ${(100 * mean).toFixed(2)}% of one`,
      ),
    ]);
    expect(await notesFor("multi-label", hot, hot)).toEqual([
      expect.stringMatching(/^teacher: .*precision 100\.00% on/),
    ]);
  });

  test("retrieval agreement, of which chance is ten of the others", async () => {
    const last = random.toReversed();
    expect(await notesFor("vectors", random, constant)).toEqual([
      expect.stringMatching(/^warning: .* hardly better than the 15\.87% of one/),
    ]);
    expect((await notesFor("vectors", random, random)).join()).toMatch(/^teacher: .* @10 100\.00% on/);
    expect((await notesFor("vectors", random, last)).join()).toMatch(/^warning: /);
  });

  test("R2, of which chance is 0", async () => {
    const means = random.map(() => [0.5, 0.5, 0.5, 0.5]);
    expect((await notesFor("regression", random, means)).join()).toMatch(
      /^warning: .* hardly better than the 0\.0000 of one/,
    );
    expect((await notesFor("regression", random, random)).join()).toMatch(/^teacher: .* R2 1\.0000 on/);
  });
});

test.each<[string, unknown, RegExp]>([
  [
    "a row that is too short",
    [
      [1, 2, 3],
      [1, 2],
    ],
    /sample 1: expected 3 numbers, one for each class, got 2$/,
  ],
  ["rows too few", [[1, 2, 3]], /samples 0 to 1: expected 2 rows, one for each sample, got a list of 1$/],
  [
    "a text",
    [
      [1, 2, 3],
      [1, "2", 3],
    ],
    /sample 1: class 1: expected a number, got "2"$/,
  ],
  [
    "a flat list",
    [1, 2, 3, 4, 5, 6],
    /got a list of 6: expected a list of numbers for each sample, as \[\[0\.1, 2\.5, -1\], \.\.\.\]/,
  ],
])("a function's rows: %s", async (_, answer, message) => {
  const teacher = functionTeacher(() => answer as never, { batchSize: 2 });
  const { message: text } = await failure(distill({ teacher, student: student(), data, epochs: 1 }), "BAD_ARGUMENT");
  expect(text).toMatch(message);
});

test("a promise of a teacher: await it", async () => {
  const teacher = logitsFile(fileOf([0, 1, 2]));
  const given = { teacher: teacher as never, student: student(), data, epochs: 1 };
  const { message } = await failure(distill(given), "BAD_ARGUMENT");
  await teacher;
  expect(message).toBe("teacher: got a promise: await it, as in distill({ teacher: await logitsFile(file), ... })");
});

test("the student's own average with a loss that reads no labels is warned of", async () => {
  expect((await notesOf(emaTeacher(), "kd")).join()).toMatch(
    /^warning: teacher: the student's own average starts equal/,
  );
  expect((await notesOf(emaTeacher(), "kd(alpha=1) + logit-mse")).length).toBe(1);
  expect(await notesOf(emaTeacher())).toEqual([]);
  expect(await notesOf(emaTeacher(), "cross-entropy + kd")).toEqual([]);
});
