import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import { flattenRecord, Generator, load, TeacherNet, trainTeacher, withGenerator } from "../../src/index.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { BATCH, type Ending, mean, type Options, SIZES, STEPS, setting, start, timeless } from "./support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);
const FILES = ["distilled_student_model_lowest.pth", "distilled_student_model_lowest.safetensors"];

/** A run that stops after this many steps. */
async function stopAfter(steps: number, options: Options): Promise<string> {
  const controller = new AbortController();
  const { done } = start({
    ...options,
    signal: controller.signal,
    onStep: ({ step }) => step === steps && controller.abort(),
  });
  return (await failure(done, "ABORTED")).message;
}

/** The lines of the metrics; a run that is not past its first epoch has none. */
function metricsOf(out: string): Record<string, number>[] {
  const file = join(out, "metrics.jsonl");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

const filesOf = (out: string) => FILES.map((file) => readFileSync(join(out, file)).toString("base64"));

async function expectSame(out: string, options: Options, alone: Ending): Promise<void> {
  const notes: string[] = [];
  const { end, done } = start({ ...options, out, resume: true, onNote: (text) => notes.push(text) });
  expect(await end).toEqual(alone);
  const { history, steps } = await done;
  expect(metricsOf(out)).toEqual(history.map(flattenRecord));
  expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 3 * STEPS }, (_, i) => i + 1));
  for (const { epoch, metrics } of history) {
    const losses = steps.slice((epoch - 1) * STEPS, epoch * STEPS).map(({ loss }) => loss);
    expect(mean(losses)).toBeCloseTo(metrics.loss, 5);
  }
  expect(notes[0]).toMatch(/: resumed at epoch \d of 3, step \d$/);
}

const KINDS: [string, Options][] = [
  ["shuffled", {}],
  ["in order", { shuffle: false }],
  ["the teacher in train mode", { teacherMode: "train" }],
  ["the teacher in train mode, in order", { teacherMode: "train", shuffle: false }],
  ["a teacher whose logits are not cached", { teacherCache: false }],
];

describe.each(KINDS)("an interrupted run ends as one that was not: %s", (_, options) => {
  test.each([1, 3, 4, 5, 8, 11])("stopped after step %i", async (steps) => {
    const whole = newRun();
    const alone = await start({ ...options, out: whole }).end;
    const out = newRun();
    const message = await stopAfter(steps, { ...options, out });
    const place = `stopped in epoch ${1 + Math.floor(steps / STEPS)} of 3, after step ${steps % STEPS} of ${STEPS}`;
    expect(message).toBe(`${place}; its state is saved in ${out}: re-run with --resume to continue`);
    expect(metricsOf(out).map(timeless)).toEqual(alone.history.slice(0, Math.floor(steps / STEPS)));
    await expectSame(out, options, alone);
    expect(filesOf(out)).toEqual(filesOf(whole));
  });

  test("stopped twice", async () => {
    const out = newRun();
    await stopAfter(3, { ...options, out });
    await stopAfter(4, { ...options, out, resume: true });
    await stopAfter(10, { ...options, out, resume: true });
    await expectSame(out, options, await start(options).end);
  });
});

test.each([
  ["stopped in epoch 1 of 3, after step 0 of 4; its state is saved in", false],
  ["stopped while the teacher's logits were computed: re-run with --resume to continue", true],
])("a signal from before the run: %s", async (message, teacherCache) => {
  const out = newRun();
  const options: Options = { out, teacherCache };
  const { done } = start({ ...options, signal: AbortSignal.abort(), onStep: () => expect.fail("a step") });
  expect((await failure(done, "ABORTED")).message).toContain(message);
  expect(await start({ ...options, resume: true }).end).toEqual(await start({ teacherCache }).end);
});

test("a signal in the last step comes too late", async () => {
  const controller = new AbortController();
  const { done } = start({ signal: controller.signal, onStep: ({ step }) => step === 12 && controller.abort() });
  expect((await done).history).toHaveLength(3);
});

test("an interrupted run resumes from its last checkpoint, and logs no epoch twice", async () => {
  const out = newRun();
  const broken = start({
    out,
    checkpointEvery: 2,
    epochs: 5,
    onEpoch: ({ epoch }) => {
      if (epoch === 3) throw new Error("broken off");
    },
  });
  await expect(broken.done).rejects.toThrow("broken off");
  expect(metricsOf(out).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  // What a write leaves that was cut short.
  appendFileSync(join(out, "metrics.jsonl"), '{"epoch":4,"epo');
  const { end, done } = start({ out, epochs: 5, resume: true });
  expect(await end).toEqual(await start({ epochs: 5 }).end);
  expect(metricsOf(out)).toEqual((await done).history.map(flattenRecord));
});

test("a finished run says so, and gives what it gave", async () => {
  const out = newRun();
  const first = start({ out });
  const [end, result] = [await first.end, await first.done];
  const before = filesOf(out);
  const notes: string[] = [];
  const again = start({ out, resume: true, onNote: (text) => notes.push(text), onStep: () => expect.fail("a step") });
  expect(await again.end).toEqual(end);
  expect(await again.done).toEqual(result);
  expect(notes).toEqual([`${out}: this run is finished`]);
  expect(filesOf(out)).toEqual(before);
});

test("where there is nothing to resume, the run starts and says so", async () => {
  const out = newRun();
  const notes: string[] = [];
  const { end } = start({ out, resume: true, onNote: (text) => notes.push(text) });
  expect(await end).toEqual(await start().end);
  expect(notes[0]).toBe(`${out}: nothing to resume, starting from the beginning`);
});

test("without resume a run starts again, and what an earlier one left goes", async () => {
  const out = newRun();
  await stopAfter(9, { out });
  await stopAfter(1, { out });
  expect(metricsOf(out)).toEqual([]);
  expect(existsSync(join(out, FILES[0]))).toBe(false);
});

test("a folder holds the configuration, the metrics, the checkpoint and the student", async () => {
  const out = newRun();
  const { setting, done } = start({ out, metadata: { seed: 0, note: "first" } });
  const { files, history } = await done;
  expect(files).toEqual(FILES.map((file) => join(out, file)));
  expect(readdirSync(out).sort()).toEqual([
    "checkpoint.safetensors",
    "config.json",
    ...FILES,
    "metrics.jsonl",
    "report.html",
    "run.lock",
  ]);
  for (const file of files) expect(fingerprint(await load(file))).toBe(fingerprint(setting.student.stateDict()));
  expect(metricsOf(out)).toEqual(history.map(flattenRecord));
  const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
  expect(config).toMatchObject({
    command: "distill",
    seed: 0,
    note: "first",
    epochs: 3,
    batchSize: BATCH,
    lr: 0.01,
    weightDecay: 1e-5,
    maxGradNorm: 1,
    shuffle: true,
    dropLast: false,
    schedule: expect.stringMatching(/^one-cycle\(pctStart=0.3, .*divFactor=20, finalDivFactor=100/),
    temperature: 3.5,
    alpha: 0.6,
    teacherMode: "eval",
    data: "synthetic",
    samples: 50,
    features: 6,
    classes: 3,
  });
});

test("without a folder nothing is written", async () => {
  const before = readdirSync(".");
  await start().done;
  expect(readdirSync(".")).toEqual(before);
});

test("trainTeacher resumes too", async () => {
  const train = async (options: Partial<Parameters<typeof trainTeacher>[0]>) => {
    const generator = new Generator(1);
    const [model, data] = withGenerator(generator, () => [
      new TeacherNet({ ...SIZES, hidden: [12, 10, 8] }),
      setting().data,
    ]);
    const input = { model, data, epochs: 3, batchSize: BATCH, ...options };
    const { history, files } = await withGenerator(generator, () => trainTeacher(input));
    return { history: history.map(timeless), hash: fingerprint(model.stateDict()), files };
  };
  const out = newRun();
  const controller = new AbortController();
  const { signal } = controller;
  const stopped = train({ out, signal, onStep: ({ step }) => step === 6 && controller.abort() });
  await failure(stopped, "ABORTED");
  const { files, ...rest } = await train({ out, resume: true });
  expect({ ...rest, files: [] }).toEqual(await train({}));
  expect(files).toEqual([join(out, "teacher.pth"), join(out, "teacher.safetensors")]);
});
