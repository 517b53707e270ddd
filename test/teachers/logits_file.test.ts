import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeSafetensors } from "../../src/checkpoint/index.js";
import { zipStored } from "../../src/checkpoint/zip_writer.js";
import {
  augment,
  DataLoader,
  type DistillationLoss,
  distill,
  fromIterable,
  Generator,
  IntTensor,
  live,
  logitsFile,
  noGrad,
  openTeacher,
  prefetch,
  Subset,
  splitDataset,
  type Teacher,
  TeacherCache,
  Tensor,
  tensor,
  withGenerator,
} from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, SAMPLES, setting, timeless } from "../train/support.js";

const folder = temporaryFolder();
const CLASSES = 3;

/** A setting, and its teacher's logits for all samples, from its own run. */
function own() {
  return withGenerator(new Generator(0), () => {
    const { teacher, student, data } = setting();
    const logits = noGrad(() => teacher.eval().forward(data.slice(0, SAMPLES).inputs)).data.slice();
    return { teacher, student, data, logits };
  });
}

function write(name: string, bytes: Uint8Array): string {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

const inNpy = (logits: Float32Array, name = "logits.npy") =>
  write(name, npy([logits.length / CLASSES, CLASSES], logits));

/** Texts as NumPy's type <U5. */
function texts(names: readonly string[]): Uint8Array {
  const points = Int32Array.from(names.flatMap((name) => [...name.padEnd(5, "\0")].map((c) => c.codePointAt(0) ?? 0)));
  return npy([names.length], points, "<U5");
}

function inNpz(logits: Float32Array, names?: readonly string[]): string {
  const data = npy([logits.length / CLASSES, CLASSES], logits);
  const entries = [{ name: "logits.npy", data }, ...(names ? [{ name: "classes.npy", data: texts(names) }] : [])];
  return write("logits.npz", zipStored(entries));
}

function inSafetensors(logits: Float32Array, metadata: Record<string, string> = {}): string {
  const tensor = new Tensor(logits, [logits.length / CLASSES, CLASSES]);
  return write("logits.safetensors", encodeSafetensors({ logits: tensor }, metadata));
}

/** A run's figures, with a validation set that is held out of the same data. */
async function run(teacherOf: (setting: ReturnType<typeof own>) => unknown) {
  const given = own();
  const { train, heldOut } = splitDataset(given.data, { fraction: 0.2 });
  const teacher = (await teacherOf(given)) as Teacher;
  const options = { student: given.student, data: train, validation: heldOut, epochs: 2, batchSize: BATCH, lr: 0.01 };
  const { history } = await withGenerator(new Generator(7), () => distill({ ...options, teacher }));
  return history.map(timeless);
}

describe("logits from a file give the run of the network itself, bit for bit", () => {
  test.each<[string, (logits: Float32Array) => unknown]>([
    [".npy", (logits) => openTeacher(inNpy(logits))],
    [
      ".npy, column by column",
      (logits) => {
        const [rows, columns] = [logits.length / CLASSES, new Float32Array(logits.length)];
        for (let i = 0; i < logits.length; i++) columns[(i % CLASSES) * rows + Math.floor(i / CLASSES)] = logits[i];
        const bytes = Buffer.from(npy([rows, CLASSES], columns));
        const text = bytes.toString("latin1").replace("'fortran_order': False", "'fortran_order': True ");
        return openTeacher(write("fortran.npy", Buffer.from(text, "latin1")));
      },
    ],
    [".npy, read by index from the disk", (logits) => logitsFile(inNpy(logits), { memory: 0 })],
    [".npz, with the names of the classes", (logits) => openTeacher(inNpz(logits, ["0", "1", "2"]))],
    [".safetensors", (logits) => openTeacher(inSafetensors(logits))],
    [".safetensors, from the disk", (logits) => logitsFile(inSafetensors(logits), { memory: 0 })],
  ])("%s", async (_, teacherOf) => {
    expect(await run(({ logits }) => teacherOf(logits))).toEqual(await run(({ teacher }) => live(teacher)));
  });
});

/** What a teacher says of some samples of data that it is opened for. */
async function answers(teacher: Teacher, data: ReturnType<typeof own>["data"], indices: Int32Array) {
  await teacher.open?.({ data, taps: [] });
  return (await teacher.outputs(data.batch(indices))).logits;
}

test("float16 is read as the numbers that it has", async () => {
  const bits = Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff, 0x8000);
  const values = [
    [1, -2, 0.333251953125],
    [2 ** -24, 65504, -0],
  ];
  const data = fromIterable([
    { input: [0], label: 0 },
    { input: [1], label: 2 },
  ]);
  const stored = write("half.npy", npy([2, 3], bits, "<f2"));
  const header = JSON.stringify({ logits: { dtype: "F16", shape: [2, 3], data_offsets: [0, 12] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const tensors = write("half.safetensors", Buffer.concat([length, Buffer.from(header), Buffer.from(bits.buffer)]));
  for (const file of [stored, tensors]) {
    const logits = await answers(await logitsFile(file), await data, Int32Array.of(0, 1));
    expect(logits.toArray()).toEqual(values);
  }
});

test("of the k most probable classes the rest of the probability is spread over the others", async () => {
  const { data } = own();
  const ids = new IntTensor(
    Int32Array.from({ length: 2 * SAMPLES }, (_, i) => (i % 2 === 0 ? 2 : 0)),
    [SAMPLES, 2],
  );
  const probability = (i: number) => (i % 2 === 0 ? 0.5 : 0.3);
  const logprobs = new Tensor(
    Float32Array.from({ length: 2 * SAMPLES }, (_, i) => Math.log(probability(i))),
    [SAMPLES, 2],
  );
  const file = write("top.safetensors", encodeSafetensors({ ids, logprobs }));
  for (const memory of [2 ** 20, 0]) {
    const logits = await answers(await logitsFile(file, { memory }), data, Int32Array.of(49));
    const probabilities = logits.softmax(1).toArray() as number[][];
    for (const [i, expected] of [0.3, 0.2, 0.5].entries()) expect(probabilities[0][i]).toBeCloseTo(expected, 6);
  }
});

test("rows count in the source, or in the training data as they are given", async () => {
  const { data, logits } = own();
  const indices = Int32Array.of(40, 3, 17);
  const part = new Subset(data, indices);
  const whole = await answers(await logitsFile(inNpy(logits)), part, Int32Array.of(2, 0));
  expect([...whole.data]).toEqual([17, 40].flatMap((row) => [...logits.subarray(3 * row, 3 * row + 3)]));
  const own3 = await answers(await logitsFile(inNpy(logits.slice(0, 9))), part, Int32Array.of(2, 0));
  expect([...own3.data]).toEqual([...logits.subarray(6, 9), ...logits.subarray(0, 3)]);
});

describe("refused in one line", () => {
  const nan = () => {
    const { logits } = own();
    logits[3 * 17 + 1] = Number.NaN;
    return logits;
  };
  test.each<[string, () => string, RegExp]>([
    ["NaN in a .npy", () => inNpy(nan()), /logits\.npy: row 17, column 1: expected a finite number .*, got NaN$/],
    [
      "a class twice in a .npz",
      () => inNpz(own().logits, ["0", "1", "1"]),
      /logits\.npz: classNames\[2\]: expected texts, each once, got "1"$/,
    ],
    [
      "the log-probability of what can't be",
      () => inNpy(nan().fill(Number.NEGATIVE_INFINITY)),
      /row 0, column 0: .*, got -Infinity: np\.maximum\(logits, -30\) keeps it nearly impossible$/,
    ],
    ["NaN in a .npz", () => inNpz(nan()), /logits\.npz: logits: row 17, column 1: expected a finite number/],
    ["NaN in a .safetensors", () => inSafetensors(nan()), /: logits: row 17, column 1: expected a finite number/],
    [
      "four axes",
      () => write("v.npy", npy([6, 1, 1, 1], new Float32Array(6))),
      /expected a shape of \[samples, classes\], got \[6, 1, 1, 1\]/,
    ],
    [
      "no logits in an archive",
      () =>
        write("n.npz", zipStored(["a.npy", "b.npy"].map((name) => ({ name, data: npy([1], new Float32Array(1)) })))),
      /expected an array logits \[samples, classes\], or ids and logprobs \[samples, k\]; it has "a", "b"$/,
    ],
  ])("%s", async (_, file, message) => {
    const { message: text } = await failure(logitsFile(file()), "BAD_DATA");
    expect(text).toMatch(message);
  });

  test.each<[string, (logits: Float32Array) => Promise<Teacher>, RegExp]>([
    [
      "rows that are missing",
      (logits) => logitsFile(inNpy(logits.slice(0, 3 * 49))),
      /expected a row for each of the 50 samples of synthetic, got 49: row 49 is missing$/,
    ],
    [
      "rows too many",
      (logits) => logitsFile(inNpy(Float32Array.from([...logits, 0, 0, 0]))),
      /expected a row for each of the 50 samples of synthetic, got 51: row 50 belongs to none$/,
    ],
    [
      "another number of classes",
      async () => logitsFile(write("four.npy", npy([50, 4], new Float32Array(200)))),
      /expected a column for each of the 3 classes of synthetic, got 4 columns$/,
    ],
    [
      "other classes, in the file",
      (logits) => logitsFile(inNpz(logits, ["0", "2", "x"])),
      /has no column of the class "1" of synthetic: it has "0", "2", "x"$/,
    ],
    [
      "other classes, by an option",
      (logits) => logitsFile(inNpy(logits), { classes: ["1", "7", "8"] }),
      /has no column of the classes "0", "2" of synthetic: it has "1", "7", "8"$/,
    ],
    [
      "other data",
      (logits) => logitsFile(inSafetensors(logits, { dataHash: "0".repeat(64) })),
      /was computed from other data than synthetic, by their hash, which depends on split, standardization, text encoding and stream \(--stream\), too: load them as then, or compute it again$/,
    ],
  ])("%s", async (_, teacherOf, message) => {
    const { student, data, logits } = own();
    const teacher = await teacherOf(logits);
    const { message: text } = await failure(distill({ teacher, student, data, epochs: 1 }), "BAD_ARGUMENT");
    expect(text).toMatch(message);
  });

  test("samples that change at random, with the reason; hidden outputs", async () => {
    const { student, data, logits } = own();
    const teacher = await logitsFile(inNpy(logits));
    const augmented = augment(data, { noise: 0.1 });
    const changing = await failure(distill({ teacher, student, data: augmented, epochs: 1 }), "BAD_ARGUMENT");
    expect(changing.message).toMatch(/augmented at random, and its logits are those of the samples as they are: leave/);
    const loss: DistillationLoss = {
      name: "hidden",
      needsTeacher: true,
      taps: { teacher: ["fc1"] },
      compute: () => ({ loss: tensor(0), metrics: {} }),
      config: () => ({}),
    };
    const tapped = await failure(distill({ teacher, student, data, epochs: 1, loss }), "BAD_ARGUMENT");
    expect(tapped.message).toMatch(/its logits have no output of the module "fc1", which the loss reads/);
  });

  test("options of another kind of teacher", async () => {
    const { teacher } = own();
    const file = write("net.safetensors", encodeSafetensors(teacher.stateDict()));
    const { message } = await failure(openTeacher(file, { teacherClasses: ["a"] }), "BAD_ARGUMENT");
    expect(message).toMatch(
      /^teacherClasses: is an option of a file of logits or an ONNX network, and .*net\.safetensors is a network's weights$/,
    );
  });
});

test("those of a cache in bfloat16 are refused by a run in float32", async () => {
  const { teacher, student, data } = own();
  const file = join(folder, "bfloat16.safetensors");
  await (await TeacherCache.compute(teacher, data, { precision: "bfloat16" })).save(file);
  const run = async (more: object) =>
    distill({ teacher: await logitsFile(file), student, data, epochs: 1, batchSize: BATCH, ...more });
  expect((await failure(run({}), "BAD_ARGUMENT")).message).toBe(
    `${file}: was computed in bfloat16, the run is in float32: compute it again`,
  );
  expect((await run({ precision: "bfloat16" })).history).toHaveLength(1);
});

test("a loop of one's own takes the logits of a file, too", async () => {
  const { data, logits } = own();
  const teacher = await logitsFile(inNpy(logits));
  const seen: number[] = [];
  for (const { teacher: outputs } of prefetch(new DataLoader(data, { batchSize: 20 }), teacher))
    seen.push(...outputs.logits.data);
  expect(seen).toEqual([...logits]);
});

test("rows with more classes than the data: each is found by its name, or its number", async () => {
  const { data } = own();
  const wide = Float32Array.from({ length: 50 * 5 }, (_, i) => i % 5);
  const file = write("wide.npy", npy([50, 5], wide));
  const of = async (classes: string[]) => {
    const teacher = await logitsFile(file, { classes });
    teacher.open?.({ data, taps: [] });
    return [...(await teacher.outputs(data.slice(0, 1))).logits.data];
  };
  expect(await of(["7", "2", "1", "x", "0"])).toEqual([4, 2, 1]);
  expect(await of(["0", "1", "2", "3", "4"])).toEqual([0, 1, 2]);
});
