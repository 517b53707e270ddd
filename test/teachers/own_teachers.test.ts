import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { expectUnlocked } from "../../src/checkpoint/folder_lock.js";
import {
  averaged,
  type Batch,
  cached,
  distill,
  frozen,
  Generator,
  Linear,
  live,
  noGrad,
  type Teacher,
  TeacherCache,
  type Tensor,
  withGenerator,
} from "../../src/index.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, SIZES, setting, timeless } from "../train/support.js";

const folder = temporaryFolder();
type Own = ReturnType<typeof setting>;

/** A run with the teacher that is made of the networks. */
function run(make: (own: Own) => unknown, more: object = {}) {
  return drawingFrom(new Generator(0), async () => {
    const own = setting();
    const teacher = (await make(own)) as Teacher;
    const validation = withGenerator(new Generator(9), setting).data;
    const generator = new Generator(7);
    const { history } = await withGenerator(generator, () =>
      distill({ ...own, teacher, epochs: 2, batchSize: BATCH, lr: 0.01, validation, ...more }),
    );
    return { history: history.map(timeless), random: [...generator.state] };
  });
}
const logitsOf = ({ teacher }: Own, { inputs }: Batch) => noGrad(() => teacher.eval().forward(inputs));

describe("a teacher gives the run of its network, to the bit", () => {
  test.each<[string, (own: Own) => unknown]>([
    ["live", ({ teacher }) => live(teacher)],
    ["frozen", ({ teacher }) => frozen(teacher)],
    ["cached", async ({ teacher, data }) => cached(await TeacherCache.compute(teacher, data), live(teacher))],
    [
      "an object, asynchronous for some batches",
      (own): Teacher => ({
        name: "mixed",
        fingerprint: () => null,
        outputs: (batch) => {
          const outputs = { logits: logitsOf(own, batch), taps: {} };
          return batch.indices[0] % 2 === 0 ? outputs : setTimeout(1, outputs);
        },
        evaluate: (batch) => ({ logits: logitsOf(own, batch), taps: {} }),
      }),
    ],
  ])("%s", async (_, make) => {
    expect(await run(make)).toEqual(await run(({ teacher }) => teacher));
  });

  test.each<[string, (own: Own) => unknown]>([
    ["a function of the batch", (own) => (batch: Batch) => logitsOf(own, batch)],
    [
      "an asynchronous function",
      (own) => async (batch: Batch) => {
        await setTimeout(1);
        return logitsOf(own, batch);
      },
    ],
  ])("%s, without the agreement on samples that it may not know", async (_, make) => {
    const { history, random } = await run(({ teacher }) => teacher);
    const without = history.map(({ agreement: _, ...record }) => record);
    expect(await run(make)).toEqual({ history: without, random });
  });

  test("live and frozen in train mode", async () => {
    const expected = await run(({ teacher }) => teacher, { teacherMode: "train" });
    expect(await run(({ teacher }) => live(teacher, { mode: "train" }))).toEqual(expected);
    expect(await run(({ teacher }) => frozen(teacher, { mode: "train" }))).toEqual(expected);
  });
});

test("a teacher is closed when the run ends, and gets each batch once, in order", async () => {
  let closed = 0;
  const seen: number[] = [];
  await run(
    (own): Teacher => ({
      name: "counted",
      fingerprint: () => "1",
      outputs(batch) {
        seen.push(...batch.indices);
        return { logits: logitsOf(own, batch), taps: {} };
      },
      close: () => {
        closed += 1;
      },
    }),
    { shuffle: false },
  );
  const epoch = Array.from({ length: 50 }, (_, i) => i);
  expect(seen).toEqual([...epoch, ...epoch]);
  expect(closed).toBe(1);
});

test.each<[string, Partial<Teacher>, object, string]>([
  ["can't be calibrated", {}, { calibrateTeacher: true }, "the teacher gives no logits for the validation set"],
  ["is not prepared", { prepare: () => Promise.reject(new Error("no answer")) }, {}, "no answer"],
  ["goes with options that don't fit", {}, { patience: 1, validation: undefined }, "patience"],
])("a teacher that was opened is closed if it %s", async (_, more, options, message) => {
  const calls: string[] = [];
  const teacher = (own: Own): Teacher => ({
    name: "counted",
    fingerprint: () => "1",
    open: () => void calls.push("open"),
    outputs: (batch) => ({ logits: logitsOf(own, batch), taps: {} }),
    close: () => void calls.push("close"),
    ...more,
  });
  await expect(run(teacher, options)).rejects.toThrow(message);
  expect(calls).toEqual(["open", "close"]);
});

test("a run lets go of its folder if its teacher can't be closed", async () => {
  const out = join(folder, "unclosed");
  const teacher = (close: () => void) => (own: Own) => ({ ...live(own.teacher), close });
  const fail = () => {
    throw new Error("it is gone");
  };
  await expect(run(teacher(fail), { out })).rejects.toThrow("it is gone");
  expect(() => expectUnlocked(out)).not.toThrow();
});

test("what a run failed with remains, and why its teacher and its log can't be closed is noted", async () => {
  const notes: string[] = [];
  const failing = (text: string) => () => {
    throw new Error(text);
  };
  const teacher = (own: Own) => ({ ...live(own.teacher), close: failing("the teacher is gone") });
  const logs = [{ begin() {}, epoch() {}, close: failing("the log is gone") }];
  const ended = (more: object) => run(teacher, { logs, onNote: (text: string) => notes.push(text), ...more });
  await failure(ended({ signal: AbortSignal.abort() }), "ABORTED");
  await failure(ended({ lr: 1e38, optimizer: "sgd", maxGradNorm: 1e38 }), "NON_FINITE");
  await expect(ended({ onStep: failing("first") })).rejects.toThrow("first");
  const both = ["warning: the teacher is gone", "warning: the log is gone"];
  expect(notes).toEqual([...both, ...both, ...both]);
});

test("a teacher that can prefetch gets the batches to come", async () => {
  const events: string[] = [];
  const firstOf = ({ indices }: Batch) => indices[0];
  await run(
    (own): Teacher => ({
      name: "eager",
      fingerprint: () => null,
      prefetch: (batch) => void events.push(`prefetch ${firstOf(batch)}`),
      prefetchDepth: () => 2,
      outputs(batch) {
        events.push(`outputs ${firstOf(batch)}`);
        return { logits: logitsOf(own, batch), taps: {} };
      },
    }),
    { shuffle: false, epochs: 1 },
  );
  expect(events).toEqual([
    "prefetch 0",
    "prefetch 16",
    "outputs 0",
    "prefetch 32",
    "outputs 16",
    "prefetch 48",
    "outputs 32",
    "outputs 48",
  ]);
});

describe("refusals", () => {
  test.each<[string, unknown, RegExp]>([
    ["no teacher", 3, /^teacher: expected a Module, a Teacher or a function of the batch, got 3$/],
    [
      "a function that gives none",
      () => 3,
      /^teacher: samples 0 to 49: expected a list of numbers for each sample, as .*, got 3$/,
    ],
  ])("%s", async (_, teacher, message) => {
    const { message: text } = await failure(
      run(() => teacher),
      "BAD_ARGUMENT",
    );
    expect(text).toMatch(message);
  });

  test.each<[string, (x: Tensor) => unknown, RegExp]>([
    ["nothing", () => undefined, /got undefined$/],
    ["a list", (x) => [x], /got a list$/],
    ["its outputs", (logits) => ({ logits }), /got a value of type Object$/],
    ["a promise", async (x) => x, /got a promise: forward can't be async$/],
  ])("a network that gives no tensor: %s", async (_, forward, message) => {
    class Wrong extends Linear {
      override forward(x: Tensor): Tensor {
        return forward(super.forward(x)) as Tensor;
      }
    }
    const wrong = () => new Wrong(SIZES.inFeatures, SIZES.classes);
    for (const [teacher, options] of [
      [wrong, {}],
      [wrong, { teacherCache: false }],
      [() => live(wrong()), {}],
    ] as const) {
      const { message: text } = await failure(run(teacher, options), "BAD_ARGUMENT");
      expect(text).toMatch(/(teacher|model): forward: expected a Tensor, /);
      expect(text).toMatch(message);
    }
  });

  test("a network that gives fewer rows", async () => {
    const teacher = new Linear(SIZES.inFeatures, SIZES.classes);
    const forward = (x: Tensor) => Linear.prototype.forward.call(teacher, x).slice(0, 1);
    for (const options of [{}, { teacherCache: false }]) {
      const wrong = run(() => Object.assign(teacher, { forward }), options);
      expect((await failure(wrong, "SHAPE_MISMATCH")).message).toMatch(/teacher: .*expected .*shape .*got \[1, 3\]/);
    }
  });

  const FORM = "expected { logits, taps } with a Tensor of logits, got";
  test.each<[string, (logits: Tensor) => unknown, string]>([
    ["nothing", () => undefined, `${FORM} undefined`],
    ["null", () => null, `${FORM} null`],
    ["logits alone", (logits) => logits, `${FORM} a value of type Tensor`],
    ["an array", ({ data }) => ({ logits: data, taps: {} }), `${FORM} a value of type Float32Array`],
  ])("a Teacher that gives %s", async (_, give, message) => {
    const outputs = (own: Own) => (batch: Batch) => give(logitsOf(own, batch)) as never;
    const teacher = (own: Own): Teacher => ({ name: "odd", fingerprint: () => null, outputs: outputs(own) });
    const asked = (own: Own): Teacher => ({ ...live(own.teacher), name: "odd", evaluate: outputs(own) });
    for (const [make, options] of [
      [teacher, {}],
      [teacher, { shards: 2 }],
      [asked, {}],
      [(own: Own) => averaged([teacher(own), teacher(own)]), {}],
    ] as const) {
      const { message: text } = await failure(run(make, options), "BAD_ARGUMENT");
      expect(text).toContain(`teacher: odd: ${message}`);
    }
  });

  test("a promise that fails ends the run with its error", async () => {
    await expect(run(() => () => Promise.reject(new Error("no server")))).rejects.toThrow("no server");
  });
});

test.each<[method: string, text: string]>([
  ["prefetch", "teacher: mine: prefetch(): expected no promise: nothing waits for it, got a promise"],
  ["afterStep", "teacher: mine: afterStep(): expected no promise: nothing waits for it, got a promise"],
  ["close", "late"],
])("an async %s that rejects is the run's error", async (method, text) => {
  const late = () => Promise.reject(new Error("late"));
  const failed = run((own) => ({
    name: "mine",
    fingerprint: () => null,
    [method]: late,
    outputs: (batch: Batch) => ({ logits: logitsOf(own, batch), taps: {} }),
  }));
  await expect(failed).rejects.toThrow(text);
});
