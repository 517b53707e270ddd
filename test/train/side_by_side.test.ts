import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  averaged,
  csvLog,
  distill,
  emaTeacher,
  functionTeacher,
  Generator,
  logitsFile,
  noGrad,
  randn,
  Subset,
  synthetic,
  type Teacher,
  type TeacherFunction,
  TeacherNet,
  trainTeacher,
  withGenerator,
  writeLogits,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { type Options, STEPS, setting, start } from "./support.js";

const folder = temporaryFolder();

describe("two runs in one process end as each does alone", () => {
  test.each<[string, Options, Options]>([
    ["shuffled", {}, {}],
    ["teachers in train mode", { teacherMode: "train" }, { teacherMode: "train" }],
    ["of different lengths", { epochs: 5 }, { epochs: 2, teacherMode: "train", batchSize: 9 }],
    ["one with a folder", { out: `${folder}/one` }, { shuffle: false, epochs: 400 }],
  ])("%s", async (_, one, two) => {
    const [alone, apart] = [await start(one, 1).end, await start(two, 2).end];
    const events: string[] = [];
    const [first, second] = [
      start({ ...one, onStep: () => events.push("first") }, 1),
      start({ ...two, onStep: () => events.push("second") }, 2),
    ];
    expect(await Promise.all([first.end, second.end])).toEqual([alone, apart]);
    // They did take turns.
    expect(events.indexOf("first")).toBeLessThan(events.lastIndexOf("second"));
    expect(events.indexOf("second")).toBeLessThan(events.lastIndexOf("first"));
  });

  test("started in one stream: each draws from a copy, and the stream continues where the last one to end left it", async () => {
    const stream = new Generator(7);
    const run = (epochs: number) => {
      const { teacher, student, data } = withGenerator(new Generator(1), () => setting());
      const done = withGenerator(stream, () => distill({ teacher, student, data, epochs, batchSize: 16 }));
      return { student, done };
    };
    const alone: unknown[] = [];
    for (const epochs of [3, 1]) {
      stream.manualSeed(7);
      const { student, done } = run(epochs);
      await done;
      alone.push({ student: fingerprint(student.stateDict()), random: [...stream.state] });
    }
    stream.manualSeed(7);
    const [long, short] = [run(3), run(1)];
    const ended = async ({ student, done }: typeof long) => {
      await done;
      return { student: fingerprint(student.stateDict()), random: [...stream.state] };
    };
    expect(await Promise.all([ended(long), ended(short)])).toEqual(alone);
  });

  test("with one teacher, though the first ends before the second", async () => {
    const { teacher } = setting();
    const options = { teacher, teacherCache: false };
    const runs = [() => start({ ...options, epochs: 1 }, 1), () => start({ ...options, epochs: 4 }, 2)];
    const alone = [];
    for (const run of runs) alone.push(await run().end);
    expect(await Promise.all(runs.map((run) => run().end))).toEqual(alone);
    expect([teacher.training, ...teacher.namedChildren().map(([, child]) => child.training)]).not.toContain(false);
  });

  test("though one of them fails, and the program draws numbers and computes meanwhile", async () => {
    const alone = await start({}, 1).end;
    const first = start({}, 1);
    const second = start({ onEpoch: () => Promise.reject(new Error("stop")) }, 2);
    const timer = setInterval(() => randn([16]).mul(2).sum(), 1);
    await expect(second.done).rejects.toThrow("stop");
    expect(await first.end).toEqual(alone);
    clearInterval(timer);
  });
});

describe("one Teacher of two runs side by side teaches each as it does alone", () => {
  const networks = withGenerator(new Generator(3), setting);
  const half = (from: number) =>
    new Subset(
      networks.data,
      Int32Array.from({ length: 24 }, (_, i) => from + i),
    );
  const ask: TeacherFunction = ({ inputs }) => noGrad(() => networks.teacher.eval().forward(inputs)).data.slice();
  const later: TeacherFunction = async (batch) => {
    await setTimeout(1);
    return ask(batch);
  };
  const file = join(folder, "logits.safetensors");

  test.each<[string, () => Promise<Teacher>]>([
    ["a function", async () => functionTeacher(ask)],
    ["an async function, in an average", async () => averaged([functionTeacher(later), networks.teacher]) as Teacher],
    ["a file", () => logitsFile(file)],
    ["the student's average", async () => emaTeacher({ decay: 0.5 })],
  ])("%s", async (_, teacherOf) => {
    if (!existsSync(file)) await writeLogits(networks.teacher, networks.data, file);
    const run = (teacher: Teacher, from: number) => {
      const generator = new Generator(from);
      const student = withGenerator(generator, () => setting().student);
      const options = { teacher, student, data: half(from), epochs: 2, batchSize: 8, alpha: 0.5 };
      return withGenerator(generator, () => distill(options)).then(() => fingerprint(student.stateDict()));
    };
    const alone = [await run(await teacherOf(), 0), await run(await teacherOf(), 20)];
    const teacher = await teacherOf();
    expect(await Promise.all([run(teacher, 0), run(teacher, 20)])).toEqual(alone);
  });

  test("a log of one's own is one run's", async () => {
    const logs = [csvLog(join(folder, "one.csv"))];
    const first = start({ logs });
    await expect(start({ logs }, 1).done).rejects.toThrow("logs[0]: another run writes it: give each run its own");
    const { history } = await first.done;
    expect(readFileSync(join(folder, "one.csv"), "utf8").trimEnd().split("\r\n")).toHaveLength(1 + history.length);
    await start({ logs }, 1).done;
  });
});

describe("the event loop gets its turn", () => {
  test("timers fire between steps", async () => {
    const model = new TeacherNet({ inFeatures: 8, hidden: [8, 8, 8] });
    const data = synthetic({ samples: 160, features: 8 });
    let [sinceTick, longest, ticks] = [0, 0, 0];
    const tick = () => {
      [longest, sinceTick, ticks] = [Math.max(longest, sinceTick), 0, ticks + 1];
      timer = globalThis.setTimeout(tick, 1);
    };
    let timer = globalThis.setTimeout(tick, 1);
    const onStep = () => {
      sinceTick++;
      // Each step takes longer than the timer.
      for (const end = performance.now() + 2; performance.now() < end; );
    };
    await trainTeacher({ model, data, epochs: 2, batchSize: 16, onStep });
    clearTimeout(timer);
    expect(ticks).toBeGreaterThan(5);
    expect(longest).toBeLessThanOrEqual(3);
  });

  test("a timer can stop a run", async () => {
    const controller = new AbortController();
    const steps: number[] = [];
    const onStep: Options["onStep"] = ({ step }) => {
      if (step === 1) globalThis.setTimeout(() => controller.abort(new Error("tea time")), 10);
      steps.push(step);
    };
    const { done } = start({ epochs: 100_000, signal: controller.signal, onStep });
    const error = await failure(done, "ABORTED");
    expect(error.cause).toEqual(new Error("tea time"));
    const last = steps.at(-1) as number;
    const place = `stopped in epoch ${1 + Math.floor(last / STEPS)} of 100000, after step ${last % STEPS} of ${STEPS}`;
    expect(error.message).toBe(place);
  });
});
