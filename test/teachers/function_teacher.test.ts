import { appendFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { samplesOf as rawSamples } from "../../src/data/preprocessing/encode.js";
import {
  augment,
  Conv2d,
  csvLog,
  distill,
  Flatten,
  type FunctionTeacherOptions,
  functionTeacher,
  Generator,
  ImageDataset,
  Linear,
  live,
  loadData,
  logitsFile,
  noGrad,
  randn,
  Sequential,
  type Teacher,
  type TeacherBatch,
  type TeacherFunction,
  Tensor,
  TensorDataset,
  tensor,
  withGenerator,
  writeLogits,
} from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { folderOf } from "../data/support.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { BATCH, SAMPLES, setting, timeless } from "../train/support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);

type Own = ReturnType<typeof setting>;
const own = () => withGenerator(new Generator(0), setting);
/** The logits of a network as a function of one's own gives them. */
const logitsOf = ({ teacher }: Own, { inputs }: TeacherBatch) =>
  noGrad(() => teacher.eval().forward(inputs)).data.slice();

async function run(teacherOf: (own: Own) => Teacher | TeacherFunction, more: object = {}) {
  const given = own();
  const options = { student: given.student, data: given.data, epochs: 2, batchSize: BATCH, lr: 0.01, ...more };
  const { history } = await withGenerator(new Generator(7), () => distill({ ...options, teacher: teacherOf(given) }));
  return history.map(timeless);
}

/** A function that answers in no order, fails now and then, and counts. */
function unsteady(given: Own) {
  const counts = { calls: 0, inFlight: 0, most: 0, failed: new Set<number>(), asked: new Int32Array(SAMPLES) };
  const ask = async (batch: TeacherBatch) => {
    counts.inFlight++;
    counts.most = Math.max(counts.most, counts.inFlight);
    try {
      await setTimeout(1 + ((counts.calls * 7) % 5));
      counts.calls++;
      const [first] = batch.indices;
      const isNew = !counts.failed.has(first);
      counts.failed.add(first);
      if (isNew && first % 8 === 4) throw Object.assign(new Error("429"), { retryAfter: 0.001 });
      for (const index of batch.indices) counts.asked[index]++;
      return logitsOf(given, batch);
    } finally {
      counts.inFlight--;
    }
  };
  return { ask, counts };
}

test("a function that answers slowly and fails at times gives the run of its network, asked once a sample", async () => {
  const steady = unsteady(own());
  const out = newRun();
  const options: FunctionTeacherOptions = { batchSize: 4, concurrency: 3 };
  const expected = await run(({ teacher }) => live(teacher));
  expect(await run(() => functionTeacher(steady.ask, options), { out })).toEqual(expected);
  expect([...new Set(steady.counts.asked)]).toEqual([1]);
  expect(steady.counts.most).toBe(3);
  // Another run in the folder finds the answers there.
  expect(await run(() => functionTeacher(steady.ask, options), { out })).toEqual(expected);
  expect([...new Set(steady.counts.asked)]).toEqual([1]);
  // Of another version they are not.
  await run(() => functionTeacher(steady.ask, { ...options, version: "2" }), { out, overwrite: true });
  expect([...new Set(steady.counts.asked)]).toEqual([2]);
});

test("what was answered before a failure is kept, and an unfinished record is not counted", async () => {
  const given = own();
  const out = newRun();
  let isDown = true;
  const asked: number[] = [];
  const ask = (batch: TeacherBatch) => {
    if (isDown && batch.indices[0] >= 24) throw new Error("out of credit");
    asked.push(...batch.indices);
    return logitsOf(given, batch);
  };
  const teacher = () => functionTeacher(ask, { batchSize: 8, concurrency: 1 });
  const { message } = await failure(run(teacher, { out }), "BAD_ARGUMENT");
  expect(message).toMatch(/^teacher: samples 24 to 31: .*out of credit$/);
  expect(existsSync(join(out, "config.json"))).toBe(false);
  isDown = false;
  const [file] = readdirSync(join(out, "teacher_answers")).filter((name) => name.endsWith(".answers"));
  appendFileSync(join(out, "teacher_answers", file), Buffer.from([24, 0, 0, 0, 1, 2]));
  const notes: string[] = [];
  const history = await run(teacher, { out, onNote: (text: string) => notes.push(text) });
  expect(notes[0]).toMatch(/^teacher: 24 of 50 answers are in .*\.answers$/);
  expect(asked).toEqual(Array.from({ length: SAMPLES }, (_, i) => i));
  expect(history).toEqual(await run(({ teacher }) => live(teacher)));
});

test("it is asked again as often as the options say, and stops when the run is stopped", async () => {
  let calls = 0;
  const down = () => {
    calls++;
    throw new Error("down");
  };
  const { message } = await failure(
    run(() => functionTeacher(down, { retries: 2, backoff: 1, concurrency: 1 })),
    "BAD_ARGUMENT",
  );
  expect(message).toMatch(/^teacher: samples 0 to 49, asked 3 times: .*down$/);
  expect(calls).toBe(3);
  const stop = new AbortController();
  const never = ({ signal }: TeacherBatch) => {
    stop.abort();
    expect(signal.aborted).toBe(true);
    return new Promise<Float32Array>(() => {});
  };
  await failure(
    run(() => never, { signal: stop.signal }),
    "ABORTED",
  );
});

test("a network is asked without a record, so its answers do not depend on who is asked about at once", async () => {
  const taught = async (batchSize: number) => {
    const [network, student, inputs] = withGenerator(new Generator(3), () => [
      new Sequential(new Conv2d(16, 16, 3, { padding: 1 }), new Flatten(), new Linear(256, 3)),
      new Sequential(new Flatten(), new Linear(256, 3)),
      randn([64, 16, 4, 4]),
    ]);
    const teacher = functionTeacher(({ inputs }) => network.forward(inputs), { batchSize });
    const data = new TensorDataset(inputs, new Int32Array(64).fill(1), { classes: 3 });
    await withGenerator(new Generator(7), () => distill({ teacher, student, data, epochs: 1, batchSize: 32 }));
    return student.parameters().map(({ data }) => [...data]);
  };
  expect(await taught(64)).toEqual(await taught(16));
});

describe("asked at each step and stopped meanwhile, the run ends before the step, saved", () => {
  const waiting = (given: Own, when: () => boolean, onWait: (signal: AbortSignal) => void) => {
    const ask = async (batch: TeacherBatch) => {
      if (when()) {
        onWait(batch.signal);
        await new Promise(() => {});
      }
      return logitsOf(given, batch);
    };
    return functionTeacher(ask, { answers: false, version: "waiting" });
  };
  const options = { shards: 2, epochs: 3 };

  test("by its signal, also if the function ignores it", async () => {
    const out = newRun();
    const stop = new AbortController();
    let asked = 0;
    const when = () => asked++ === 5;
    const abort = () => stop.abort();
    await failure(
      run((given) => waiting(given, when, abort), { ...options, out, signal: stop.signal }),
      "ABORTED",
    );
    const resumed = run((given) => waiting(given, () => false, abort), { ...options, out, resume: true });
    expect(await resumed).toEqual(await run((given) => waiting(given, () => false, abort), options));
  });

  test("by leaving the loop over its epochs, which the function's signal says", async () => {
    const given = own();
    let isOver = false;
    let [signal, isAsked] = [null as AbortSignal | null, () => {}];
    const waits = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    const teacher = waiting(
      given,
      () => isOver,
      (own) => {
        signal = own;
        isAsked();
      },
    );
    const handle = distill({ teacher, student: given.student, data: given.data, epochs: 3, batchSize: BATCH });
    for await (const _ of handle) {
      isOver = true;
      await waits;
      break;
    }
    await failure(handle, "ABORTED");
    expect(signal).toMatchObject({ aborted: true });
  });
});

test("a function may write all its answers into the same memory", async () => {
  const data = new TensorDataset(tensor(Array.from({ length: 12 }, (_, i) => [i])), new Int32Array(12), { classes: 2 });
  const memory = new Float32Array(6);
  const ask: TeacherFunction = ({ indices }) => {
    for (const [i, index] of indices.entries()) memory.set([index, 100 - index], 2 * i);
    return memory;
  };
  const out = newRun();
  // Once as they are asked for, once as they were kept.
  for (const _ of ["asked", "kept"]) {
    const teacher = functionTeacher(ask, { batchSize: 3 });
    teacher.open?.({ data, taps: [] });
    await teacher.prepare?.({ out });
    const { logits } = await teacher.outputs(data.slice(0, 12));
    expect(logits.toArray()).toEqual(Array.from({ length: 12 }, (_, i) => [i, 100 - i]));
  }
});

test.each<[string, string, string]>([
  ["another unit", "x,label\n1,0\n2,1\n3,0", "x,label\n4,0\n8,1\n12,0"],
  ["other names of categories", "x,label\nred,0\nblue,1\nred,0", "x,label\nyes,0\nno,1\nyes,0"],
  ["what the student's encoding does not tell", "text,label\na b,0\nc,1\na,0", "text,label\nA b,0\nc,1\na,0"],
])("answers are not taken for samples of %s", async (_, first, second) => {
  const answers = newRun();
  const seen: unknown[] = [];
  const files = folderOf({ "a.csv": Buffer.from(first), "b.csv": Buffer.from(second) });
  for (const stream of [false, true]) {
    for (const name of ["a.csv", "b.csv"]) {
      const { train: data } = await loadData(join(files, name), { testFraction: 0, stream });
      const ask: TeacherFunction = ({ samples }) => {
        seen.push(name);
        return new Float32Array(2 * samples.length);
      };
      const teacher = functionTeacher(ask, { answers });
      teacher.open?.({ data, taps: [] });
      await teacher.prepare?.({ out: null });
    }
  }
  expect(seen).toEqual(["a.csv", "b.csv", "a.csv", "b.csv"]);
});

test("targets far from 0 keep their digits, or are refused where float32 has none left for them", async () => {
  const seconds = Array.from({ length: 10 }, (_, i) => 1_700_000_000 + i);
  const rows = ["x,target", ...seconds.map((second, i) => `${i},${second}`)].join("\n");
  const file = join(folderOf({ "t.csv": Buffer.from(rows) }), "t.csv");
  const { train: data } = await loadData(file, { testFraction: 0, task: "regression" });
  const opened = async (ask: TeacherFunction) => {
    const teacher = functionTeacher(ask);
    teacher.open?.({ data, taps: [] });
    await teacher.prepare?.({ out: null });
    return teacher;
  };
  const batch = data.slice(0, 10);
  const { logits } = await (await opened(({ indices }) => Array.from(indices, (i) => [seconds[i]]))).outputs(batch);
  expect(logits.data).toEqual(batch.targets?.data);
  const problem =
    '"target" has a mean of 1700000004.5 and a deviation of 2.8722813232690143, which float32 does not hold: ';
  const rounded: TeacherFunction = ({ indices }) => Float32Array.from(indices, (i) => seconds[i]);
  expect((await failure(opened(rounded), "BAD_ARGUMENT")).message).toMatch(`teacher: ${problem}`);
  const logitsPath = join(folder, "seconds.npy");
  expect((await failure(writeLogits(rounded, data, logitsPath), "BAD_ARGUMENT")).message).toMatch(
    `${logitsPath}: ${problem}`,
  );
  writeFileSync(logitsPath, npy([10, 1], Float32Array.from(seconds)));
  const teacher = await logitsFile(logitsPath);
  expect(() => teacher.open?.({ data, taps: [] })).toThrow(`${logitsPath}: ${problem}`);
});

test("answers of functions whose text does not tell them apart are kept in memory alone", async () => {
  const given = own();
  const out = newRun();
  const ask = logitsOf.bind(null, given);
  expect(await run(() => ask, { out })).toEqual(await run(({ teacher }) => live(teacher)));
  expect(existsSync(join(out, "teacher_answers"))).toBe(false);
  await run(() => functionTeacher(ask, { version: "1" }), { out, overwrite: true });
  expect(readdirSync(join(out, "teacher_answers"))).toHaveLength(2);
});

test("an answer that comes after the run was stopped does not keep the folder from the next run", async () => {
  const given = own();
  const out = newRun();
  const stop = new AbortController();
  let answer = () => {};
  const slow = async (batch: TeacherBatch) => {
    if (batch.indices[0] > 0) return logitsOf(given, batch);
    stop.abort();
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return logitsOf(given, batch);
  };
  const options: FunctionTeacherOptions = { batchSize: 8, concurrency: 2, version: "1" };
  await failure(
    run(() => functionTeacher(slow, options), { out, signal: stop.signal }),
    "ABORTED",
  );
  answer();
  await setTimeout(50);
  const next = (batch: TeacherBatch) => logitsOf(given, batch);
  expect(await run(() => functionTeacher(next, options), { out })).toEqual(await run(({ teacher }) => live(teacher)));
});

test.skipIf(process.platform !== "linux")(
  "a folder for answers that the system does not make: one line, at once",
  async () => {
    const given = own();
    const teacher = () => functionTeacher((batch) => logitsOf(given, batch), { version: "1", answers: "/proc/x" });
    expect((await failure(run(teacher), "IO_ERROR")).message).toBe(
      "/proc/x: the system makes no folder there: choose another",
    );
  },
);

test("it is not asked for a run that its folder does not take", async () => {
  const given = own();
  let calls = 0;
  const teacher = () =>
    functionTeacher(
      (batch) => {
        calls++;
        return logitsOf(given, batch);
      },
      { version: "1", answers: join(folder, `answers-${calls}`) },
    );
  const out = newRun();
  await run(() => teacher(), { out });
  const before = calls;
  const other = () => teacher();
  for (const more of [{ lr: 0.02 }, { lr: 0.02, resume: true }, { logs: [csvLog(join(out, "metrics.jsonl"))] }]) {
    await failure(run(other, { out, ...more }), "logs" in more ? "BAD_ARGUMENT" : "BAD_CONFIG");
  }
  const things = join(folder, "things");
  mkdirSync(things);
  writeFileSync(join(things, "photo.jpg"), "");
  await failure(run(other, { out: things }), "BAD_ARGUMENT");
  const inUse = newRun();
  const onStep = () => failure(run(other, { out: inUse }), "IN_USE");
  await run(({ teacher }) => live(teacher), { out: inUse, epochs: 1, onStep });
  expect(calls).toBe(before);
  expect(readdirSync(things)).toEqual(["photo.jpg"]);
  // More epochs, and the same run again.
  await run(other, { out, resume: true, epochs: 3 });
});

test("retries hold too for a function that is asked at each step, whose samples are made when they are read", async () => {
  const given = own();
  let calls = 0;
  const ask: TeacherFunction = (batch) => {
    expect(Object.getOwnPropertyDescriptor(batch, "samples")?.get).toBeTypeOf("function");
    expect(batch.samples).toBe(batch.samples);
    if (calls++ % 2 === 0) throw new Error("down");
    return logitsOf(given, batch);
  };
  const expected = await run(({ teacher }) => live(teacher));
  expect(await run(() => functionTeacher(ask, { answers: false, retries: 1, backoff: 1 }))).toEqual(expected);
  const { message } = await failure(
    run(() => functionTeacher(() => Promise.reject(new Error("down")), { answers: false, retries: 1, backoff: 1 })),
    "BAD_ARGUMENT",
  );
  expect(message).toMatch(
    /^epoch 1, step 1 of 4: teacher: a batch of \d+ samples with sample \d+ first, asked 2 times: .*down$/,
  );
});

describe("refused in one line with the index, and nothing is written", () => {
  test.each<[string, (batch: TeacherBatch) => Float32Array, string, RegExp]>([
    [
      "an answer of another length",
      ({ indices }) => new Float32Array(3 * indices.length - 1),
      "BAD_ARGUMENT",
      /^teacher: samples 0 to 49: expected 50 x 3 = 150 numbers, got 149$/,
    ],
    [
      "NaN",
      ({ indices }) => new Float32Array(3 * indices.length).fill(Number.NaN, 52, 53),
      "NON_FINITE",
      /^teacher: sample 17, class 1: expected a finite number, got NaN$/,
    ],
  ])("%s", async (_, ask, code, expected) => {
    const out = newRun();
    const { message } = await failure(
      run(() => ask, { out }),
      code,
    );
    expect(message).toMatch(expected);
    expect(existsSync(out)).toBe(false);
  });

  test("samples that change at random, unless they are asked for at each step", async () => {
    const given = own();
    const data = augment(given.data, { noise: 0.1 });
    let calls = 0;
    const ask: TeacherFunction = (batch) => {
      calls++;
      return logitsOf(given, batch);
    };
    const { message } = await failure(
      run(() => ask, { data }),
      "BAD_ARGUMENT",
    );
    expect(message).toMatch(
      /augmented at random, .*: leave the augmentation out, or answers: false \(--no-teacher-answers\) asks at each step$/,
    );
    const expected = await run(({ teacher }) => live(teacher), { data });
    expect(await run(() => functionTeacher(ask, { answers: false }), { data })).toEqual(expected);
    expect(calls).toBe(8);
  });
});

describe("the samples are what they were before they became values", () => {
  async function samplesOf(data: Parameters<typeof distill>[0]["data"]) {
    const seen: unknown[] = [];
    const ask: TeacherFunction = ({ samples }) => {
      seen.push(...samples);
      return new Float32Array(samples.length * data.classes);
    };
    const teacher = functionTeacher(ask);
    teacher.open?.({ data, taps: [] });
    await teacher.prepare?.({ out: null });
    return seen;
  }

  test("cells of a table, by column", async () => {
    const rows = ["5.1,red,0", "4.25,blue,1", "1200,red,0", "0.1,blue,1"];
    const file = join(folderOf({ "t.csv": Buffer.from(["size,colour,label", ...rows].join("\n")) }), "t.csv");
    const { train } = await loadData(file, { testFraction: 0 });
    expect(await samplesOf(train)).toEqual([
      { size: 5.1, colour: "red" },
      { size: 4.25, colour: "blue" },
      { size: 1200, colour: "red" },
      { size: 0.1, colour: "blue" },
    ]);
  });

  test("of what noise or a mean of two rows moved: the nearest category and bytes", async () => {
    const rows = ["5,red,,0", "4,blue,2,1"];
    const file = join(folderOf({ "n.csv": Buffer.from(["size,colour,gap,label", ...rows].join("\n")) }), "n.csv");
    const { train } = await loadData(file, { testFraction: 0, missing: "category" });
    const { inputs } = train.slice(0, 2);
    const moved = new Tensor(
      inputs.data.map((x, i) => (i % inputs.shape[1] === 0 ? x : x + [0.25, -0.125][i % 2])),
      inputs.shape,
    );
    const colours = (x: Tensor) => rawSamples(train, { inputs: x }).map((row) => (row as { colour: string }).colour);
    expect(colours(moved)).toEqual(colours(inputs));
    expect(rawSamples(train, { inputs: moved }).map((row) => (row as { gap: number | null }).gap === null)).toEqual([
      true,
      false,
    ]);
    const image = { channels: 1, height: 1, width: 4 };
    const data = new ImageDataset(Uint8Array.of(255, 0, 128, 7), Int32Array.of(0), { image, mean: 0, std: 1 });
    const pixels = tensor([[1.02, -0.02, 128.4 / 255, 7.6 / 255]]);
    expect(rawSamples(data, { inputs: pixels })).toEqual([Uint8Array.of(255, 0, 128, 8)]);
  });

  test("bytes of images", async () => {
    const pixels = Uint8Array.from({ length: 512 }, (_, i) => i);
    const image = { channels: 1, height: 16, width: 16 };
    const data = new ImageDataset(pixels, Int32Array.of(0, 1), { image, mean: 0.2861, std: 0.353 });
    expect(await samplesOf(data)).toEqual([pixels.subarray(0, 256), pixels.subarray(256)]);
  });
});

test("a request that fails says why: where nobody listens, and where a host has several addresses", async () => {
  const refused = async (cause: Error) => {
    const ask = () => Promise.reject(new TypeError("fetch failed", { cause }));
    return (
      await failure(
        run(() => functionTeacher(ask)),
        "BAD_ARGUMENT",
      )
    ).message;
  };
  expect(await refused(new Error("connect ECONNREFUSED 127.0.0.1:1"))).toMatch(
    /^teacher: samples 0 to \d+: .*fetch failed \(connect ECONNREFUSED 127\.0\.0\.1:1\)$/,
  );
  const several = Object.assign(new AggregateError([], ""), { code: "ECONNREFUSED" });
  expect(await refused(several)).toMatch(/fetch failed \(ECONNREFUSED\)$/);
});
