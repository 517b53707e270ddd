import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/index.js";
import {
  augment,
  averaged,
  cached,
  DataLoader,
  type Dataset,
  type DistillationLoss,
  distill,
  Generator,
  load,
  prefetch,
  save,
  splitDataset,
  type Teacher,
  TeacherCache,
  type Tensor,
  tensor,
  withGenerator,
  withPrecision,
} from "../../src/index.js";
import { currentPrecision } from "../../src/tensor/precision.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, type Setting, setting } from "../train/support.js";

const folder = temporaryFolder();
const file = join(folder, "teacher_logits.safetensors");

/** Answers in a file, with what they are of. */
async function saved() {
  const own = setting();
  const cache = await TeacherCache.compute(own.teacher, own.data);
  await cache.save(file);
  return { ...own, cache };
}

describe("a teacher's logits in a file", () => {
  test("are those that were computed, row by row", async () => {
    const { teacher, data, cache } = await saved();
    const read = await TeacherCache.load(file);
    expect([read.samples, read.classes]).toEqual([50, 3]);
    const rows = Int32Array.of(49, 0, 7);
    expect(read.batch(rows).toArray()).toEqual(cache.batch(rows).toArray());
    expect((await load(file)).logits?.shape).toEqual([50, 3]);
    read.expectOf(teacher, data);
  });

  test("serve their own teacher and data, and no others", async () => {
    const { teacher, student, data } = await saved();
    const teacherCache = await TeacherCache.load(file);
    const other = setting();
    const run = (more: object) =>
      distill({ teacher, student, data, epochs: 1, batchSize: BATCH, teacherCache, ...more });
    expect((await run({})).history).toHaveLength(1);
    const text = (wrong: string) => `teacherCache: was computed from another ${wrong}: compute it again`;
    expect((await failure(run({ teacher: other.teacher }), "BAD_ARGUMENT")).message).toBe(text("teacher"));
    expect((await failure(run({ data: other.data }), "BAD_ARGUMENT")).message).toBe(text("data set"));
  });
});

test("augmented data can't be cached, a call that was stopped computes nothing", async () => {
  const { teacher, data } = setting();
  const reason = "the data are augmented at random";
  expect(TeacherCache.whyNotCacheable(teacher, augment(data, { noise: 0.1 }))).toBe(reason);
  await failure(TeacherCache.compute(teacher, data, { signal: AbortSignal.abort() }), "ABORTED");
});

describe("cached(cache) as a run's teacher", () => {
  const run = async (more: (own: Awaited<ReturnType<typeof saved>>) => object) => {
    const own = await saved();
    const { student, data, cache } = own;
    return distill({ teacher: cached(cache), student, data, epochs: 1, batchSize: BATCH, ...more(own) });
  };
  test.each<[string, (data: Dataset) => Dataset]>([
    ["other data", () => setting().data],
    ["other samples of the same data", (data) => splitDataset(data, { fraction: 0.2 }).train],
    ["augmented data", (data) => augment(data, { noise: 0.1 })],
  ])("is refused for %s", async (_, change) => {
    const { message } = await failure(
      run(({ data }) => ({ data: change(data) })),
      "BAD_ARGUMENT",
    );
    expect(message).toBe("teacherCache: was computed from another data set: compute it again");
    const own = await saved();
    const loader = new DataLoader(change(own.data), { batchSize: BATCH });
    expect(() => [...prefetch(loader, cached(own.cache))]).toThrow("was computed from another data set");
  });

  test("is refused for a loss that reads hidden outputs, accepted for one that reads nothing of it", async () => {
    const loss: DistillationLoss = {
      name: "hint",
      needsTeacher: true,
      taps: { teacher: ["fc1"] },
      config: () => ({}),
      compute: ({ student }) => ({ loss: student.logits.mean(), metrics: {} }),
    };
    const { message } = await failure(
      run(() => ({ loss })),
      "BAD_ARGUMENT",
    );
    expect(message).toMatch(
      /^teacher: cached logits have no output of the module "fc1", which the loss reads: give the/,
    );
    const { history } = await run(() => ({ loss: "cross-entropy", data: setting().data }));
    expect(history).toHaveLength(1);
  });
});

describe("cached(cache) of logits in bfloat16", () => {
  const BFLOAT16 = { precision: "bfloat16" } as const;
  const text = "teacherCache: was computed in bfloat16, the run is in float32: compute it again";
  const started = async (make: (own: Setting, cache: TeacherCache) => Teacher, more: object) => {
    const own = withGenerator(new Generator(1), () => setting());
    const teacher = make(own, await TeacherCache.compute(own.teacher, own.data, BFLOAT16));
    const { student, data } = own;
    return withGenerator(new Generator(2), () =>
      distill({ teacher, student, data, epochs: 1, batchSize: BATCH, ...more }),
    );
  };
  const alone = (_: Setting, cache: TeacherCache) => cached(cache);

  test.each<[string, typeof alone]>([
    ["alone", alone],
    ["averaged with a network", ({ teacher }, cache) => averaged([cached(cache), teacher]) as Teacher],
  ])("is refused in float32, %s", async (_, make) => {
    expect((await failure(started(make, {}), "BAD_ARGUMENT")).message).toBe(text);
    expect((await started(make, BFLOAT16)).history).toHaveLength(1);
  });

  test("is refused in a loop of one's own that is in float32", async () => {
    const { teacher, data } = setting();
    const source = cached(await TeacherCache.compute(teacher, data, BFLOAT16));
    const pass = () => [...prefetch(new DataLoader(data, { batchSize: BATCH }), source)].length;
    expect(pass).toThrow(text);
    expect(withPrecision("bfloat16", pass)).toBe(4);
  });

  test("is another teacher than that of logits in float32", async () => {
    const { teacher, data } = setting();
    const [exact, rounded] = await Promise.all(
      [{}, BFLOAT16].map(async (options) => cached(await TeacherCache.compute(teacher, data, options)).fingerprint()),
    );
    expect(exact).toBe(fingerprint(teacher.stateDict()));
    expect(rounded).toMatch(/^[0-9a-f]{64}$/);
    expect(rounded).not.toBe(exact);
  });
});

test("a teacher's logits are probed in the precision that they are computed in", async () => {
  const { teacher, data } = setting();
  const seen = new Set<string>();
  const forward = teacher.forward.bind(teacher);
  teacher.forward = (x: Tensor) => {
    seen.add(currentPrecision());
    return forward(x);
  };
  await TeacherCache.compute(teacher, data, { precision: "bfloat16" });
  expect(seen).toEqual(new Set(["bfloat16"]));
  const wrong = TeacherCache.compute(teacher, data, { sginal: undefined, precison: "bfloat16" } as never);
  expect((await failure(wrong, "BAD_ARGUMENT")).message).toBe(
    'TeacherCache.compute: unknown option "precison", did you mean precision?',
  );
});

describe("what is no such file", () => {
  const hash = "0".repeat(64);
  const logits = tensor([[1, 2]]);
  const refused = async () => (await failure(TeacherCache.load(file), "BAD_CHECKPOINT")).message;

  test("one changed bit", async () => {
    await saved();
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    writeFileSync(file, bytes);
    expect(await refused()).toBe(`${file}: is damaged: its checksum is wrong`);
  });

  test.each<[string, Record<string, Tensor>, Record<string, string>]>([
    ["weights", { "fc1.weight": logits }, { teacherHash: hash, dataHash: hash }],
    ["more than logits", { logits, more: logits }, { teacherHash: hash, dataHash: hash }],
    ["logits without rows", { logits: tensor([1, 2]) }, { teacherHash: hash, dataHash: hash }],
    ["an empty hash", { logits }, { teacherHash: hash, dataHash: "" }],
    ["no hashes", { logits }, {}],
  ])("%s", async (_, state, metadata) => {
    await save(state, file, { metadata });
    expect(await refused()).toBe(`${file}: holds no teacher's logits as TeacherCache.save writes them`);
  });

  test("a precision that is none", async () => {
    const metadata = { teacherHash: hash, dataHash: hash, logitsHash: fingerprint({ logits }), precision: "float16" };
    await save({ logits }, file, { metadata });
    expect(await refused()).toBe(`${file}: holds logits of an unknown precision "float16"`);
  });

  test("no checksum", async () => {
    await save({ logits }, file, { metadata: { teacherHash: hash, dataHash: hash } });
    expect(await refused()).toBe(`${file}: is damaged: its checksum is wrong`);
  });

  test("nothing", async () => {
    const { message } = await failure(TeacherCache.load(join(folder, "nowhere.safetensors")), "NOT_FOUND");
    expect(message).toContain("nowhere.safetensors");
  });
});

test("cached refuses anything but a cache", () => {
  for (const value of [setting().teacher, undefined, {}]) {
    expect(() => cached(value as unknown as TeacherCache)).toThrow("cache: expected a TeacherCache, as ");
  }
});

describe("what is no cache's", () => {
  const { teacher, data } = setting();
  const logits = () => new Float32Array(150);
  const cache = () => TeacherCache.of(logits(), "a teacher", data);

  test.each<[code: string, text: string, call: () => unknown]>([
    ["BAD_DTYPE", "logits: expected a Float32Array", () => TeacherCache.of([1] as never, "x", data)],
    [
      "NON_FINITE",
      "logits[0]: expected finite numbers, got NaN",
      () => TeacherCache.of(logits().fill(Number.NaN), "x", data),
    ],
    ["BAD_ARGUMENT", "teacherHash: expected a text, got 7", () => TeacherCache.of(logits(), 7 as never, data)],
    ["BAD_ARGUMENT", "precision: expected ", () => TeacherCache.of(logits(), "x", data, "x" as never)],
    [
      "BAD_ARGUMENT",
      "signal: expected an AbortSignal",
      () => TeacherCache.compute(teacher, data, { signal: {} as never }),
    ],
    [
      "BAD_ARGUMENT",
      "onWork: expected a function, got 7",
      () => TeacherCache.compute(teacher, data, { onWork: 7 as never }),
    ],
    ["BAD_ARGUMENT", "teacher: expected a Module", () => TeacherCache.whyNotCacheable(undefined as never, data)],
    ["BAD_DTYPE", "indices: expected an Int32Array, got [7]", () => cache().batch([7] as never)],
    ["BAD_ARGUMENT", "file: expected a name that ends in .safetensors", () => cache().save("c.pth")],
    ["BAD_ARGUMENT", "inner: expected a Teacher, as live(network), got 7", () => cached(cache(), 7 as never)],
  ])("%s: %s", async (code, text, call) => {
    expect((await failure((async () => call())(), code)).message).toContain(text);
  });

  test("hashes of one's own teachers and data are read again", async () => {
    const own = { ...data, fingerprint: () => "my data", batch: data.batch.bind(data), slice: data.slice.bind(data) };
    const { length, features, classes, name } = data;
    await TeacherCache.of(logits(), "a teacher", { ...own, length, features, classes, name }).save(file);
    expect((await TeacherCache.load(file)).teacherHash).toBe("a teacher");
  });
});

test("what an async onWork rejects with is what computing them fails with", async () => {
  const { teacher, data } = setting();
  const computing = TeacherCache.compute(teacher, data, { onWork: () => Promise.reject(new RangeError("of my own")) });
  await expect(computing).rejects.toThrow(new RangeError("of my own"));
});
