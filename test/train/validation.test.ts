import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  crossEntropy,
  type Dataset,
  type EpochRecord,
  evaluate,
  Generator,
  live,
  load,
  type MetricsLog,
  noGrad,
  randn,
  StudentNet,
  synthetic,
  type Teacher,
  type Tensor,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { BATCH, type Options, SIZES, setting, start, timeless } from "./support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);

/** Examples that no run trains on. */
function held(samples = 1100): Dataset {
  return withGenerator(new Generator(99), () =>
    synthetic({ samples, features: SIZES.inFeatures, classes: SIZES.classes }),
  );
}

const withoutValidation = ({
  validationLoss: _,
  validationAccuracy: __,
  agreement: ___,
  ...rest
}: Record<string, number>) => rest;

describe("a validation set", () => {
  test("is reported after each epoch, and changes nothing else", async () => {
    const validation = held();
    const plain = await start().end;
    const { setting: own, done, end } = start({ validation });
    const { history } = await done;
    const { history: reported, ...rest } = await end;
    expect(rest).toEqual({ student: plain.student, teacher: plain.teacher, random: plain.random });
    expect(reported.map((record) => withoutValidation(record))).toEqual(plain.history);

    const last = (history.at(-1) as EpochRecord).metrics;
    const { accuracy, agreement } = evaluate(own.student, validation, { teacher: own.teacher });
    expect([last.validationAccuracy, last.agreement]).toEqual([accuracy, agreement]);
    const { inputs, labels } = validation.slice(0, validation.length);
    own.student.eval();
    const loss = noGrad(() => crossEntropy(own.student.forward(inputs), labels)).item();
    expect(last.validationLoss).toBeCloseTo(loss, 6);
  });

  test("of a student or a teacher that draws random numbers changes nothing else, and resumes with the same figures", async () => {
    class Noisy extends StudentNet {
      override forward(x: Tensor): Tensor {
        return super.forward(x.add(this.training ? 0 : randn(x.shape).mul(0.1)));
      }
    }
    const networks = (seed = 3) =>
      withGenerator(new Generator(seed), () => ({ ...setting(), student: new Noisy({ ...SIZES, hidden: [8, 5] }) }));
    const noisy = (): Teacher => {
      const twin = live(networks(3).teacher);
      return { ...twin, isFixed: true, evaluate: ({ indices }) => ({ logits: randn([indices.length, 3]), taps: {} }) };
    };
    const options = () => ({ ...networks(), teacher: noisy() as never });
    const plain = await start(options()).done;
    const validated = await start({ ...options(), validation: held() }).done;
    expect(validated.history.map((record) => withoutValidation(timeless(record)))).toEqual(plain.history.map(timeless));
    const out = newRun();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 6 && controller.abort();
    await failure(start({ ...options(), validation: held(), out, signal: controller.signal, onStep }).done, "ABORTED");
    const resumed = await start({ ...options(), validation: held(), out, resume: true }).done;
    expect(resumed.history.map(timeless)).toEqual(validated.history.map(timeless));
  });

  test("a teacher in train mode, which changes, is evaluated after each epoch", async () => {
    const validation = held();
    const agreements: number[] = [];
    const { setting: own, done } = start({
      validation,
      teacherMode: "train",
      onEpoch: () =>
        void agreements.push(evaluate(own.student, validation, { teacher: own.teacher }).agreement as number),
    });
    const { history } = await done;
    expect(history.map(({ metrics }) => metrics.agreement)).toEqual(agreements);
  });

  test("training on labels has no agreement", async () => {
    const { student, data } = setting();
    const { history } = await trainTeacher({ model: student, data, epochs: 1, batchSize: BATCH, validation: held() });
    expect(Object.keys(timeless(history[0])).sort()).toEqual(
      ["epoch", "epochs", "loss", "lr", "validationAccuracy", "validationLoss"].sort(),
    );
  });

  test("of other features or classes is refused", async () => {
    const validation = synthetic({ samples: 8, features: 5, classes: 3 });
    const { message } = await failure(start({ validation }).done, "SHAPE_MISMATCH");
    expect(message).toBe("validation: expected shape [6, 3], got [5, 3]");
    const wrong = start({ validation: 3 as unknown as Dataset }).done;
    expect((await failure(wrong, "BAD_ARGUMENT")).message).toBe("validation: expected a Dataset, got 3");
  });
});

describe("the best epoch", () => {
  /** A rate so high that epochs get worse, too. */
  const restless: Options = { epochs: 6, lr: 0.5, schedule: "constant" };

  test("is the one of the highest accuracy, with the weights that it ended with", async () => {
    const validation = held();
    const hashes: string[] = [];
    const { setting: own, done } = start({
      ...restless,
      validation,
      onEpoch: () => void hashes.push(fingerprint(own.student.stateDict())),
    });
    const { history, best } = await done;
    const accuracies = history.map(({ metrics }) => metrics.validationAccuracy);
    const highest = Math.max(...accuracies);
    expect(accuracies.at(-1)).toBeLessThan(highest);
    const candidates = history.filter(({ metrics }) => metrics.validationAccuracy === highest);
    candidates.sort((a, b) => a.metrics.validationLoss - b.metrics.validationLoss);
    expect(best?.epoch).toBe(candidates[0]?.epoch);
    expect(best?.validationAccuracy).toBe(highest);
    expect(fingerprint(best?.state ?? {})).toBe(hashes[(best?.epoch as number) - 1]);
    const student = new StudentNet({ ...SIZES, hidden: [8, 5] }).loadStateDict(best?.state ?? {});
    expect(evaluate(student, validation).accuracy).toBe(highest);
  });

  test("is written beside the last one", async () => {
    const out = newRun();
    const { best, files } = await start({ ...restless, validation: held(), out }).done;
    const name = join(out, "distilled_student_model_lowest");
    expect(files).toEqual([".pth", ".safetensors", "_best.pth", "_best.safetensors"].map((end) => name + end));
    for (const file of files.slice(2)) expect(fingerprint(await load(file))).toBe(fingerprint(best?.state ?? {}));
    expect(fingerprint(await load(files[0]))).not.toBe(fingerprint(best?.state ?? {}));
  });

  test("without a validation set there is none", async () => {
    const { best, stoppedEarly } = await start().done;
    expect([best, stoppedEarly]).toEqual([null, false]);
  });

  test.each([3, 4, 9, 14, 22])("survives an interruption after step %i", async (steps) => {
    const validation = held();
    const whole = start({ ...restless, validation });
    const alone = await whole.end;
    const { best } = await whole.done;
    const out = newRun();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === steps && controller.abort();
    await failure(start({ ...restless, validation, out, signal: controller.signal, onStep }).done, "ABORTED");
    const resumed = start({ ...restless, validation, out, resume: true });
    expect(await resumed.end).toEqual(alone);
    const again = (await resumed.done).best;
    expect([again?.epoch, again?.validationLoss]).toEqual([best?.epoch, best?.validationLoss]);
    expect(fingerprint(again?.state ?? {})).toBe(fingerprint(best?.state ?? {}));
  });

  test("another validation set is another run", async () => {
    const out = newRun();
    await start({ out, validation: held() }).done;
    const { message } = await failure(start({ out, resume: true, validation: held(1000) }).done, "BAD_CONFIG");
    expect(message).toBe(
      `${out}: can't resume a run with another configuration: validationSamples was 1100, is 1000: give the options of before, choose another folder, or --overwrite instead of --resume`,
    );
  });
});

describe("patience", () => {
  const options: Options = { epochs: 40, lr: 0.5, schedule: "constant", patience: 3 };

  test("ends a run after `patience` epochs without a better one, also after resuming", async () => {
    const out = newRun();
    const { history, best, stoppedEarly } = await start({ ...options, validation: held(), out }).done;
    expect(stoppedEarly).toBe(true);
    expect(history.length).toBe((best?.epoch as number) + 3);
    expect(history.length).toBeLessThan(40);
    const notes: string[] = [];
    const again = await start({
      ...options,
      validation: held(),
      out,
      resume: true,
      onNote: (text) => notes.push(text),
    }).done;
    expect(notes).toEqual([`${out}: this run is finished`]);
    expect([again.history, again.stoppedEarly, again.best?.epoch]).toEqual([history, true, best?.epoch]);
  });

  test("is noted if the run is too short for it", async () => {
    const notesOf = async (patience: number) => {
      const notes: string[] = [];
      const run = { ...options, epochs: 4, patience, validation: held() };
      const { history } = await start({ ...run, onNote: (text) => notes.push(text) }).done;
      expect(history.length).toBeLessThanOrEqual(4);
      return notes.filter((note) => note.startsWith("patience"));
    };
    expect(await notesOf(2)).toEqual([]);
    const text = "patience: 3 changes nothing: it ends a run after 4 epochs at the earliest, and this one has 4";
    expect(await notesOf(3)).toEqual([text]);
  });

  test("needs a validation set", async () => {
    const { message } = await failure(start({ patience: 2 }).done, "BAD_ARGUMENT");
    expect(message).toBe("patience: needs a validation set, which tells which epoch is better");
    const zero = await failure(start({ patience: 0 }).done, "BAD_ARGUMENT");
    expect(zero.message).toBe("patience: expected a whole number of at least 1, got 0");
  });
});

describe("watching a run", () => {
  test("its epochs are an iterator, onNote reports its end, and logs get each epoch once", async () => {
    const calls: string[] = [];
    const log: MetricsLog = {
      begin: (history) => void calls.push(`begin ${history.length}`),
      epoch: ({ epoch }) => void calls.push(`epoch ${epoch}`),
      close: () => void calls.push("close"),
    };
    const ends: unknown[] = [];
    const out = newRun();
    const { done: run } = start({ out, logs: [log], onEnd: (result) => void ends.push(result) });
    const epochs: EpochRecord[] = [];
    for await (const record of run as unknown as AsyncIterable<EpochRecord>) epochs.push(record);
    const result = await run;
    expect(epochs).toEqual(result.history);
    expect(ends).toEqual([result]);
    expect(calls).toEqual(["begin 0", "epoch 1", "epoch 2", "epoch 3", "close"]);
    expect(existsSync(join(out, "checkpoint.safetensors"))).toBe(true);
    await start({ out, resume: true, logs: [log] }).done;
    expect(calls.slice(5)).toEqual(["begin 3", "close"]);
  });

  test("an iteration fails where the run fails, and leaving it stops the run", async () => {
    const { student, data } = setting();
    const options = { model: student, data, batchSize: BATCH, epochs: 3, lr: 0.01 };
    const failing = trainTeacher({ ...options, epochs: 0 });
    const iterate = async () => {
      for await (const _ of failing);
    };
    await expect(iterate()).rejects.toThrow("epochs: expected a whole number of at least 1, got 0");
    const run = trainTeacher(options);
    for await (const { epoch } of run) if (epoch === 1) break;
    await expect(run).rejects.toThrow("stopped in epoch 2 of 3, after step ");
    await expect(failing.catch(({ code }) => code)).resolves.toBe("BAD_ARGUMENT");
  });
});

describe("the schedule", () => {
  test.each<[string, Options, (step: number) => number]>([
    ["constant", { schedule: "constant" }, () => 1],
    ["cosine", { schedule: "cosine" }, (step) => (1 + Math.cos((Math.PI * step) / 12)) / 2],
    [
      "step, with options in the expression and beside it",
      { schedule: "step(gamma=0.5)", stepSize: 2, warmupSteps: 2 },
      (step) => (step < 2 ? (step + 1) / 3 : 0.5 ** Math.floor(step / 8)),
    ],
    ["step, with options by their places", { schedule: "step(1)", gamma: 0.5 }, (step) => 0.5 ** Math.floor(step / 4)],
    ["a function, with a warm-up", { schedule: () => 1, warmupSteps: 3 }, (step) => Math.min(1, (step + 1) / 4)],
    ["step", { schedule: "step", stepSize: 1, gamma: 0.5 }, (step) => 0.5 ** Math.floor(step / 4)],
    ["a custom function", { schedule: (step, steps) => 1 - step / steps }, (step) => 1 - step / 12],
  ])("%s", async (_, options, factor) => {
    const rates: number[] = [];
    await start({ ...options, onStep: ({ lr }) => void rates.push(lr) }).done;
    for (const [i, rate] of rates.slice(0, -1).entries()) expect(rate).toBeCloseTo(0.01 * factor(i + 1), 12);
  });

  test("resumes, also with a custom schedule, and another one is refused", async () => {
    const options: Options = { schedule: (step, steps) => 1 - step / steps };
    const alone = await start(options).end;
    const out = newRun();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 5 && controller.abort();
    await failure(start({ ...options, out, signal: controller.signal, onStep }).done, "ABORTED");
    const { message } = await failure(start({ out, resume: true, schedule: "cosine" }).done, "BAD_CONFIG");
    expect(message).toContain("schedule was ");
    expect(await start({ ...options, out, resume: true }).end).toEqual(alone);
    // Functions of one text, but of other values.
    const scaled = (factor: number): Options => ({ schedule: (step, steps) => factor * (1 - step / steps) });
    const other = newRun();
    const half = { ...scaled(0.5), out: other };
    const second = new AbortController();
    await failure(start({ ...half, signal: second.signal, onStep: () => second.abort() }).done, "ABORTED");
    const refused = await failure(start({ ...half, ...scaled(0.6), resume: true }).done, "BAD_CONFIG");
    expect(refused.message).toContain("the learning rates of the schedule have changed");
    await start({ ...half, ...scaled(0.5), resume: true }).end;
  });

  test.each<[Options, string]>([
    [
      { warmupSteps: 3 },
      "warmupSteps: the schedule one-cycle has no such option: it has pctStart, annealStrategy, divFactor, finalDivFactor, threePhase, cycleMomentum",
    ],
    [
      { schedule: "cosine(end=0.1)", stepSize: 3 },
      "stepSize: the schedule cosine has no such option: it has end, warmupSteps",
    ],
    [
      { schedule: "step(stepSize=1, gamma=0.5)", stepSize: 3, gamma: 0.1 },
      "stepSize: the schedule says stepSize=1: leave one of the two out",
    ],
    [{ schedule: "step(3, 0.5)", gamma: 0.1 }, "gamma: the schedule says gamma=0.5: leave one of the two out"],
    [{ schedule: () => 1, gamma: 0.3 }, "gamma: the schedule of your own has no such option: it has warmupSteps"],
    [
      { schedule: 3 as never },
      'schedule: expected a schedule, as "multi-step(milestones=[60, 80])", or a function of the step, got 3',
    ],
  ])("refused: %o", async (options, text) => {
    expect((await failure(start(options).done, "BAD_ARGUMENT")).message).toBe(text);
  });
});
