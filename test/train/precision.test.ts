import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import {
  bfloat16Unit,
  Conv2d,
  Flatten,
  getNumThreads,
  type Module,
  type Precision,
  ReLU,
  Sequential,
  StudentNet,
  setNumThreads,
  synthetic,
  TeacherCache,
  trainTeacher,
} from "../../src/index.js";
import { native } from "../../src/native.js";
import { precisionNote } from "../../src/train/run_precision.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { type Options, setting, start } from "./support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);
const BFLOAT16 = { precision: "bfloat16" } as const;

/** The runs of a distillation: their bits depend on how the teacher is run. */
const KINDS: [string, Options][] = [
  ["cached logits", {}],
  ["a frozen teacher", { teacherCache: false }],
  ["a teacher in train mode", { teacherMode: "train" }],
  ["shards", { shards: 2 }],
];

describe.each(KINDS)("a run in bfloat16, with %s", (_, options) => {
  test("follows one in float32, within what rounding of its operands does", async () => {
    const [exact, rounded] = await Promise.all([start(options).end, start({ ...options, ...BFLOAT16 }).end]);
    expect(rounded.student).not.toBe(exact.student);
    for (const [i, { loss }] of exact.history.entries()) {
      // Operands have 8 significant bits.
      expect(Math.abs(rounded.history[i].loss / loss - 1)).toBeLessThan(2 ** -8);
      expect(rounded.history[i].loss).not.toBe(loss);
    }
  });

  test("ends with the same bits at any number of threads, and by either name", async () => {
    const before = getNumThreads();
    const endings = [];
    try {
      for (const threads of [1, 2, 5]) {
        setNumThreads(threads);
        endings.push(await start({ ...options, ...BFLOAT16 }).end);
      }
    } finally {
      setNumThreads(before);
    }
    endings.push(await start({ ...options, precision: "bf16" }).end);
    for (const ending of endings) expect(ending).toEqual(endings[0]);
  });

  test("resumes to the bit", async () => {
    const alone = await start({ ...options, ...BFLOAT16 }).end;
    const out = newRun();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 5 && controller.abort();
    const stopped = start({ ...options, ...BFLOAT16, out, signal: controller.signal, onStep });
    await failure(stopped.done, "ABORTED");
    expect(await start({ ...options, ...BFLOAT16, out, resume: true }).end).toEqual(alone);
  });
});

test("cached logits and a frozen teacher give the same bits", async () => {
  const [known, frozen] = [true, false].map((teacherCache) => start({ ...BFLOAT16, teacherCache }).end);
  expect(await known).toEqual(await frozen);
});

test("a resumed run says that it goes on on another unit", async () => {
  const out = newRun();
  const stoppedAt = async (end: number, notes: string[]) => {
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === end && controller.abort();
    const onNote = (text: string) => notes.push(text);
    await failure(start({ ...BFLOAT16, out, resume: true, signal: controller.signal, onStep, onNote }).done, "ABORTED");
  };
  const unit = bfloat16Unit();
  const elsewhere = vi.spyOn(native, "bfloat16Unit").mockReturnValue("elsewhere");
  await stoppedAt(2, []);
  const [again, here]: [string[], string[]] = [[], []];
  await stoppedAt(3, again);
  expect(again.filter((note) => note.includes("began"))).toEqual([]);
  elsewhere.mockRestore();
  await stoppedAt(4, here);
  expect(here.filter((note) => note.includes("began"))).toEqual([
    `this run began on elsewhere, goes on on ${unit}: its bits differ from an uninterrupted run`,
  ]);
});

test("another precision is noticed on resume", async () => {
  const out = newRun();
  await start({ ...BFLOAT16, out, epochs: 1 }).end;
  const { message } = await failure(start({ out, epochs: 1, resume: true }).done, "BAD_CONFIG");
  expect(message).toContain('precision was "bfloat16", is "float32"');
});

describe("what is said at the start", () => {
  const notesOf = async (precision: Precision, model: Module) => {
    const notes: string[] = [];
    const { data } = setting();
    await trainTeacher({ model, data, epochs: 1, batchSize: 16, precision, onNote: (text) => notes.push(text) });
    return notes;
  };

  test("what multiplies", async () => {
    expect(["AMX-BF16", "AVX512-BF16", "float32 arithmetic"]).toContain(bfloat16Unit());
    const slower = bfloat16Unit() === "float32 arithmetic" ? ", which is slower than float32" : "";
    const make = () => new StudentNet({ inFeatures: 6, classes: 3, hidden: [8, 5] });
    expect(await notesOf("bfloat16", make())).toEqual([`bfloat16: ${bfloat16Unit()}${slower}`]);
    expect(await notesOf("float32", make())).toEqual([]);
  });

  test("what of convolutions stays in float32", () => {
    const network = (groups: number) => new Sequential(new Conv2d(4, 4, 1, { groups }), new ReLU(), new Flatten());
    expect(precisionNote(network(4))).toMatch(/^bfloat16: .*; depthwise convolutions stay in float32$/);
    expect(precisionNote(network(2))).not.toContain("depthwise");
  });
});

describe("teacher logits", () => {
  test("belong to a precision", async () => {
    const { teacher, student, data } = setting();
    const teacherCache = await TeacherCache.compute(teacher, data, BFLOAT16);
    const run = start({ teacher, student, data, teacherCache }).done;
    expect((await failure(run, "BAD_ARGUMENT")).message).toBe(
      "teacherCache: was computed in bfloat16, the run is in float32: compute it again",
    );
    const file = join(folder, "logits.safetensors");
    await teacherCache.save(file);
    expect((await TeacherCache.load(file)).precision).toBe("bfloat16");
    await start({ teacher, student, data, teacherCache: await TeacherCache.load(file), ...BFLOAT16 }).done;
  });

  test("are off by what rounding to 8 bits does", async () => {
    const { teacher } = setting();
    const data = synthetic({ samples: 200, features: 6, classes: 3 });
    const indices = Int32Array.from({ length: 200 }, (_, i) => i);
    const [exact, rounded] = await Promise.all(
      (["float32", "bfloat16"] as const).map(async (precision) => {
        const cache = await TeacherCache.compute(teacher, data, { precision });
        return cache.batch(indices).data;
      }),
    );
    const scale = Math.max(...exact.map(Math.abs));
    const errors = exact.map((x, i) => Math.abs(x - rounded[i]) / scale);
    expect(Math.max(...errors)).toBeLessThan(2 ** -6);
    expect(Math.max(...errors)).toBeGreaterThan(2 ** -14);
  });
});

test.each([
  ["bf61", ", did you mean bf16?"],
  ["float16", ", did you mean bfloat16?"],
  [16, ""],
])("another precision is refused: %s", async (precision, advice) => {
  const run = start({ precision: precision as Precision }).done;
  expect((await failure(run, "BAD_ARGUMENT")).message).toBe(
    `precision: expected "float32" or "bfloat16" (in short "bf16"), got ${JSON.stringify(precision)}${advice}`,
  );
});
