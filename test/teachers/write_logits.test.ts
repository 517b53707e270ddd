import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  augment,
  type Batch,
  functionTeacher,
  Generator,
  logitsFile,
  noGrad,
  splitDataset,
  type Teacher,
  TeacherCache,
  Tensor,
  TensorDataset,
  withGenerator,
  writeLogits,
} from "../../src/index.js";
import { fromFloat16, toFloat16 } from "../../src/tensor/float16.js";
import { failure, temporaryFolder } from "../support.js";
import { SAMPLES, setting } from "../train/support.js";

const folder = temporaryFolder();

function own() {
  return withGenerator(new Generator(0), () => {
    const { teacher, data: plain } = setting();
    const { inputs, labels } = plain.slice(0, SAMPLES);
    const data = new TensorDataset(inputs, labels, { classNames: ["ant", "bee", "Käfer"], name: "insects" });
    const logits = noGrad(() => teacher.eval().forward(inputs)).data.slice();
    return { teacher, data, logits };
  });
}

describe("a network's logits are written bit for bit, and read as a teacher", () => {
  test.each([".npy", ".npz", ".safetensors"])("%s", async (extension) => {
    const { teacher, data, logits } = own();
    const file = join(folder, `whole${extension}`);
    // All samples of the source are written, whichever part is given.
    const { train } = splitDataset(data, { fraction: 0.2 });
    expect(await writeLogits(teacher, train, file, { batchSize: 16 })).toEqual({
      file,
      samples: SAMPLES,
      classes: 3,
      bytes: 600,
    });
    expect(existsSync(`${file}.part`)).toBe(false);
    const read = await logitsFile(file);
    read.open?.({ data, taps: [] });
    const outputs = await read.outputs(data.slice(0, SAMPLES));
    expect([...outputs.logits.data]).toEqual([...logits]);
    if (extension === ".npy") return;
    // Its classes are named.
    const { inputs, labels } = data.slice(0, SAMPLES);
    const others = new TensorDataset(inputs, labels, { classNames: ["ant", "Käfer", "bee"], name: "insects" });
    read.open?.({ data: others, taps: [] });
    const swapped = await read.outputs(others.slice(0, SAMPLES));
    expect([...swapped.logits.data]).toEqual([...logits].map((_, i) => logits[[i, i + 1, i - 1][i % 3]]));
  });
});

test.each([".npy", ".npz", ".safetensors"])("in float16, rounded: %s", async (extension) => {
  const { teacher, data, logits } = own();
  const file = join(folder, `half${extension}`);
  expect((await writeLogits(teacher, data, file, { dtype: "float16" })).bytes).toBe(300);
  const read = await logitsFile(file);
  read.open?.({ data, taps: [] });
  const { data: rounded } = (await read.outputs(data.slice(0, SAMPLES))).logits;
  expect([...rounded]).toEqual([...fromFloat16(toFloat16(logits))]);
  expect([...rounded].every((x, i) => Math.abs(x - logits[i]) <= 2 ** -11 * Math.abs(logits[i]))).toBe(true);
  // Of rounded logits no cache is made, which would be said to be exact.
  if (extension === ".safetensors") await failure(TeacherCache.load(file), "BAD_CHECKPOINT");
});

test("a number that float16 can't hold is refused with its sample", async () => {
  const { data } = own();
  const large = functionTeacher(({ indices }) => Array.from(indices, (i) => [0, i === 7 ? 65520 : 1, 2]));
  const file = join(folder, "large.npy");
  const error = await failure(writeLogits(large, data, file, { dtype: "float16" }), "BAD_ARGUMENT");
  expect(error.message).toBe("dtype: sample 7, class 1: float16 can't hold 65520: write float32");
  expect(existsSync(file)).toBe(false);
});

test("what is written as .safetensors is a TeacherCache, and tied to the data", async () => {
  const { teacher, data } = own();
  const file = join(folder, "cache.safetensors");
  await writeLogits(teacher, data, file);
  const cache = await TeacherCache.load(file);
  cache.expectOf(teacher, data);
  const { inputs, labels } = data.slice(0, SAMPLES);
  const changed = inputs.data.slice();
  changed[0] += 1;
  const { classNames } = data;
  const other = new TensorDataset(new Tensor(changed, inputs.shape), labels, { name: "insects", classNames });
  const read = await logitsFile(file, { classes: classNames });
  expect(() => read.open?.({ data: other, taps: [] })).toThrow(
    /was computed from other data than insects, by their hash/,
  );
});

test("a file that is there is replaced if that is asked for", async () => {
  const { teacher, data } = own();
  const file = join(folder, "there.npy");
  await writeLogits(teacher, data, file);
  const before = readFileSync(file);
  const error = await failure(writeLogits(teacher, data, file, { dtype: "float16" }), "BAD_ARGUMENT");
  expect(error.message).toBe(`${file}: is there already: overwrite (--overwrite) replaces it`);
  expect(readFileSync(file).equals(before)).toBe(true);
  await writeLogits(teacher, data, file, { dtype: "float16", overwrite: true });
  expect(readFileSync(file).length).toBe(before.length - 300);
});

test("other class names than the file's own are refused", async () => {
  const { teacher, data } = own();
  const file = join(folder, "named.npz");
  await writeLogits(teacher, data, file);
  const error = await failure(logitsFile(file, { classes: ["bee", "ant", "Käfer"] }), "BAD_ARGUMENT");
  expect(error.message).toBe(
    `${file}: says that its classes are "ant", "bee", "Käfer": leave teacherClasses (--teacher-classes) out, or mend the file; got "bee", "ant", "Käfer"`,
  );
});

/** A teacher that stops at a sample, and says about which it was asked. */
function stopping(at: number, asked: number[]) {
  const { teacher: network, data, logits } = own();
  const teacher: Teacher = {
    name: "stopping",
    fingerprint: () => "f".repeat(64),
    outputs({ inputs, indices }: Batch) {
      if (indices.includes(at)) throw new Error("power cut");
      asked.push(...indices);
      return { logits: noGrad(() => network.eval().forward(inputs)), taps: {} };
    },
  };
  return { teacher, data, logits };
}

test("an interrupted call goes on where it was, also behind half a row, and the file is the same to the byte", async () => {
  const [file, asked] = [join(folder, "again.npy"), [] as number[]];
  const { teacher, data } = stopping(30, asked);
  await expect(writeLogits(teacher, data, file, { batchSize: 8 })).rejects.toThrow("power cut");
  expect(existsSync(file)).toBe(false);
  appendFileSync(join(`${file}.part`, "rows.f32"), Buffer.alloc(5));
  const stop = new AbortController();
  stop.abort();
  await failure(writeLogits(stopping(-1, asked).teacher, data, file, { signal: stop.signal }), "ABORTED");
  const notes: string[] = [];
  await writeLogits(stopping(-1, asked).teacher, data, file, { batchSize: 8, onNote: (text) => notes.push(text) });
  expect(notes).toEqual([`${file}: going on after 24 of 50 samples`]);
  expect(asked).toEqual(Array.from({ length: SAMPLES }, (_, i) => i));
  const whole = join(folder, "at-once.npy");
  await writeLogits(own().teacher, data, whole);
  expect(readFileSync(file).equals(readFileSync(whole))).toBe(true);
});

test("of a function what was answered out of order is kept, too", async () => {
  const { teacher: network, data, logits } = own();
  const file = join(folder, "asked.safetensors");
  let isDown = true;
  const asked: number[] = [];
  const ask = async ({ inputs, indices }: Batch) => {
    if (isDown && indices[0] === 0) throw new Error("down");
    asked.push(...indices);
    return noGrad(() => network.eval().forward(inputs)).data.slice();
  };
  const teacher = () => functionTeacher(ask, { batchSize: 10, concurrency: 3 });
  await failure(writeLogits(teacher(), data, file), "BAD_ARGUMENT");
  expect(asked.length).toBeGreaterThan(0);
  isDown = false;
  await writeLogits(teacher(), data, file);
  expect(asked.toSorted((a, b) => a - b)).toEqual(Array.from({ length: SAMPLES }, (_, i) => i));
  expect([...(await TeacherCache.load(file)).batch(Int32Array.of(49)).data]).toEqual([...logits.subarray(147)]);
});

test("refused, with nothing written", async () => {
  const { teacher, data } = own();
  const at = (name: string) => join(folder, name);
  const changing = augment(data, { noise: 0.1 });
  expect((await failure(writeLogits(teacher, changing, at("r.npy")), "BAD_ARGUMENT")).message).toMatch(
    /augmented at random/,
  );
  expect((await failure(writeLogits(teacher, data, at("r.csv")), "BAD_ARGUMENT")).message).toMatch(
    /^file: expected a name that ends in \.npy or \.npz or \.safetensors, got /,
  );
  const nan = ({ indices }: Batch) => new Float32Array(3 * indices.length).fill(Number.NaN, 100);
  expect((await failure(writeLogits(nan, data, at("r.npy")), "NON_FINITE")).message).toMatch(
    /^teacher: sample 33, class 1: /,
  );
  expect(readdirSync(folder).filter((name) => name.startsWith("r."))).toEqual([]);
});

test.skipIf(process.platform !== "linux")("a folder that the system does not make: one line, at once", async () => {
  const { teacher, data } = own();
  expect((await failure(writeLogits(teacher, data, "/proc/x/l.npy"), "IO_ERROR")).message).toBe(
    "/proc/x/l.npy.part: the system makes no folder there: choose another",
  );
});
