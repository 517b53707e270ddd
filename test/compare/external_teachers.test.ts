import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { storedLogits, tooManyLogits } from "../../src/compare/external_teacher.js";
import {
  augment,
  type CompareInput,
  type CompareResult,
  compare,
  type Dataset,
  DistilleryError,
  emaTeacher,
  functionTeacher,
  Linear,
  live,
  logitsFile,
  logitsOf,
  type Precision,
  sweep,
  type TeacherBatch,
  TeacherCache,
  TensorDataset,
} from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { newFolders, temporaryFolder } from "../support.js";
import { blobs, compareInput, PROBLEM, sweepInput } from "./support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);

/** A network that knows a little, and its logits for the training data and the test set. */
function taught() {
  const network = new Linear(4, 3);
  network.weight.data.set([2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, 0]);
  return { network, training: logitsOf(network, PROBLEM.data), test: logitsOf(network, PROBLEM.test) };
}

const figures = ({ baseline, distilled, teacher }: CompareResult) => ({
  baseline: baseline.best.accuracy.values,
  distilled: distilled.best.accuracy.values,
  losses: distilled.histories.map((history) => history.map(({ metrics }) => metrics)),
  agreement: distilled.best.agreement?.values,
  teacher: teacher.evaluation,
});

async function failure(body: () => Promise<unknown>): Promise<DistilleryError> {
  const error = await body().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DistilleryError);
  return error as DistilleryError;
}

test("logits in a file teach as the network that gave them", async () => {
  const { network, training } = taught();
  const file = join(folder, "logits.npy");
  writeFileSync(file, npy([300, 3], training.data));
  const input = { seeds: 2, epochs: 2 } satisfies Partial<CompareInput>;
  const ofNetwork = figures(await compare(compareInput(newRun(), { ...input, teacher: network })));
  const out = newRun();
  const result = await compare(compareInput(out, { ...input, teacher: await logitsFile(file) }));
  // The file has no rows of the test set.
  expect({ ...figures(result), agreement: 0, teacher: 0 }).toEqual({ ...ofNetwork, agreement: 0, teacher: 0 });
  expect(result.teacher).toEqual({ file: null, history: [], evaluation: null });
  expect(result.distilled.last.agreement).toBe(undefined);
  expect(result.sizes.teacher).toBe(null);
  expect(JSON.parse(readFileSync(join(out, "seed-0/distilled/config.json"), "utf8"))).toMatchObject({
    teacher: "file",
    teacherHash: (await logitsFile(file)).fingerprint(),
  });
});

test("in bfloat16 a teacher that gives a network's logits teaches as the network", async () => {
  const { network } = taught();
  const input = { seeds: 1, epochs: 2, precision: "bfloat16" } satisfies Partial<CompareInput>;
  const ofNetwork = figures(await compare(compareInput(newRun(), { ...input, teacher: network })));
  const out = newRun();
  const ask = (more = {}) => compare(compareInput(out, { ...input, ...more, teacher: live(network) }));
  expect(figures(await ask())).toEqual(ofNetwork);
  const file = join(out, "teacher_logits.safetensors");
  expect((await TeacherCache.load(file)).precision).toBe("bfloat16");
  expect(figures(await ask({ resume: true }))).toEqual(ofNetwork);
  const exact = await compare(compareInput(newRun(), { seeds: 1, epochs: 2, teacher: live(network) }));
  expect(figures(exact).losses).not.toEqual(ofNetwork.losses);
});

test("a teacher of any sample is tested too, and calibrated", async () => {
  const { network } = taught();
  const calls: number[] = [];
  const teacher = {
    name: "own",
    fingerprint: () => null,
    outputs: ({ inputs }: TeacherBatch | { inputs: TeacherBatch["inputs"] }) => {
      calls.push(inputs.shape[0]);
      return { logits: network.forward(inputs), taps: {} };
    },
    evaluate: ({ inputs }: { inputs: TeacherBatch["inputs"] }) => ({ logits: network.forward(inputs), taps: {} }),
  };
  const input = { seeds: 1, epochs: 2, calibrateTeacher: true } satisfies Partial<CompareInput>;
  const notes = new Set<string>();
  const onNote = (text: string) => void notes.add(text);
  const out = newRun();
  const own = await compare(compareInput(out, { ...input, teacher, onNote }));
  expect(figures(own)).toEqual(figures(await compare(compareInput(newRun(), { ...input, teacher: network }))));
  // A probe of three and of one, and then all of them once.
  expect(calls).toEqual([3, 1, 256, 14]);
  expect([...notes].join()).toMatch(/teacher calibrated: logits divided by \d/);
  const { teacherTemperature } = JSON.parse(readFileSync(join(out, "seed-0/distilled@calibrated/config.json"), "utf8"));
  expect(teacherTemperature).toBeGreaterThan(0);
  expect(own.config).toMatchObject({ calibrateTeacher: true, teacherHash: null });
});

test("a function is asked once about each sample, whatever is trained, and not again when resumed", async () => {
  const { network } = taught();
  const asked: number[] = [];
  const ask = ({ inputs, indices }: TeacherBatch) => {
    asked.push(...indices);
    return network.forward(inputs);
  };
  const out = newRun();
  const input = sweepInput(out, { teacher: functionTeacher(ask), epochs: 1 });
  const result = await sweep(input);
  expect(asked.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 270 }, (_, i) => i));
  expect(result.points.map(({ agreement }) => agreement)).toEqual([null, null, null, null]);
  expect(result.teacher.evaluation).toBe(null);
  const ofNetwork = await sweep(sweepInput(newRun(), { teacher: network, epochs: 1 }));
  expect(result.points.map(({ validationAccuracy }) => validationAccuracy)).toEqual(
    ofNetwork.points.map(({ validationAccuracy }) => validationAccuracy),
  );
  asked.length = 0;
  await sweep({ ...input, resume: true, temperatures: [1, 4, 8] });
  expect(asked).toEqual([]);
});

test("what can't be is refused in one line, and nothing is written", async () => {
  const out = newRun();
  const refused = async (more: Partial<CompareInput>) =>
    (await failure(() => compare(compareInput(out, more)))).message;
  const logits = async (rows: number, change?: (values: Float32Array) => void) => {
    const file = join(folder, `rows-${rows}.npy`);
    const values = new Float32Array(3 * rows).map((_, i) => i % 7);
    change?.(values);
    writeFileSync(file, npy([rows, 3], values));
    return logitsFile(file);
  };
  expect(await refused({ teacher: await logits(299) })).toBe(
    `${join(folder, "rows-299.npy")}: expected a row for each of the 300 samples of blobs, 270 of them to train on, got 299: row 299 is missing`,
  );
  expect(await refused({ teacher: await logits(300), data: augment(blobs(300, 1), { noise: 0.1 }) })).toMatch(
    /the data are augmented at random, and its logits are those of the samples as they are/,
  );
  expect(await refused({ teacher: functionTeacher(({ indices }) => new Float32Array(2 * indices.length)) })).toBe(
    "teacher: samples 0 to 63: expected 64 x 3 = 192 numbers, got 128",
  );
  const oneNaN = ({ indices }: TeacherBatch) => Array.from(indices, (index) => [index === 70 ? Number.NaN : 1, 2, 3]);
  expect(await refused({ teacher: functionTeacher(oneNaN) })).toBe(
    "teacher: sample 70, class 0: expected a finite number, got NaN",
  );
  let asked = 0;
  const zeros = ({ indices }: TeacherBatch) => {
    asked += 1;
    return new Float32Array(3 * indices.length);
  };
  const ofTraining = functionTeacher(zeros, { version: "zeros" });
  expect(await refused({ teacher: ofTraining, calibrateTeacher: true })).toMatch(
    /^calibrateTeacher: the teacher gives no logits for the validation set, /,
  );
  expect(asked).toBe(0);
  expect(await refused({ teacher: emaTeacher() })).toMatch(/ema\(decay=0.999\) changes with the run/);
  expect(await refused({ teacher: await logits(300), loss: "hint(student=fc1, teacher=fc1)" })).toMatch(/teacher/);
  const { inputs, labels } = PROBLEM.data.slice(0, 300);
  const named = new TensorDataset(inputs, labels, { classNames: ["a", "b", "c"], name: "named" });
  const teacher = await logitsFile(join(folder, "rows-300.npy"), { classes: ["a", "b", "d"] });
  expect(await refused({ teacher, data: named })).toMatch(/has no column of the class "c" of named/);
  expect(existsSync(out) ? readdirSync(out).filter((name) => name !== "teacher_answers") : []).toEqual([]);
});

test("a network that can't be calibrated is refused before anything is written", async () => {
  const network = new Linear(4, 3);
  network.weight.data.fill(0);
  network.bias?.data.fill(0);
  for (const run of [compare, sweep]) {
    const out = newRun();
    const input = run === compare ? compareInput(out, { teacher: network }) : sweepInput(out, { teacher: network });
    const { message } = await failure(() => run({ ...input, calibrateTeacher: true } as never));
    expect(message).toMatch(/^calibrateTeacher: the teacher does no better than chance on the validation set/);
    expect(existsSync(out)).toBe(false);
  }
});

test("kept logits are taken, those of others are not, and what can't be read is no reason to ask again", async () => {
  const { network } = taught();
  const file = join(folder, "kept.safetensors");
  const cache = await TeacherCache.compute(network, PROBLEM.data);
  const stored = (precision: Precision, path = file) => storedLogits(path, cache.teacherHash, PROBLEM.data, precision);
  expect(await stored("float32")).toBeNull();
  await cache.save(file);
  expect(await stored("float32")).toEqual(cache);
  expect(await stored("bfloat16")).toBeNull();
  expect(await storedLogits(file, "another", PROBLEM.data, "float32")).toBeNull();
  truncateSync(file, 100);
  expect(await stored("float32")).toBeNull();
  expect((await failure(() => stored("float32", folder))).code).toBe("IO_ERROR");
});

test("logits that are too many for a file are known before they are computed", () => {
  expect(tooManyLogits({ length: 536_870, classes: 1000 } as Dataset)).toBeNull();
  expect(tooManyLogits({ length: 1_281_167, classes: 1000 } as Dataset)).toBe(
    "they take 5124668000 bytes, and a file at most 2147483647",
  );
});
