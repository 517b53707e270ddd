import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { evaluate, Generator, Parameter, SGD, type Tensor, withGenerator } from "../../src/index.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { type Options, STEPS, setting, start } from "./support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);

async function expectResumed(options: Options, steps = 6): Promise<void> {
  const whole = await start(options).end;
  const out = newRun();
  const controller = new AbortController();
  const onStep = ({ step }: { step: number }) => step === steps && controller.abort();
  await failure(start({ ...options, out, signal: controller.signal, onStep }).done, "ABORTED");
  expect(await start({ ...options, out, resume: true }).end).toEqual(whole);
  // A finished run ends with the same weights again.
  const { student } = await start({ ...options, out, resume: true }).end;
  expect(student).toBe(whole.student);
}

describe("accumulate", () => {
  const data = () => withGenerator(new Generator(4), () => setting(48).data);

  test("two batches of 8 make the step of one batch of 16", async () => {
    const common: Options = { data: data(), shuffle: false, epochs: 2 };
    const one = start({ ...common, batchSize: 16 });
    const two = start({ ...common, batchSize: 8, accumulate: 2 });
    const [{ history }, { history: accumulated }] = [await one.done, await two.done];
    for (const [i, { metrics }] of history.entries()) expect(accumulated[i].metrics.loss).toBeCloseTo(metrics.loss, 5);
    const weights = ({ setting: { student } }: typeof one) => student.parameters().flatMap(({ data }) => [...data]);
    const expected = weights(one);
    for (const [i, w] of weights(two).entries()) expect(w).toBeCloseTo(expected[i], 4);
  });

  test("steps and their metrics are those of the optimizer; a last group may be smaller", async () => {
    const steps: number[] = [];
    const { history } = await start({
      accumulate: 3,
      onStep: ({ step, steps: all, metrics }) => {
        expect(all).toBe(6);
        expect(Object.keys(metrics)).toEqual(["loss", "soft", "hard"]);
        steps.push(step);
      },
    }).done;
    expect(steps).toEqual([1, 2, 3, 4, 5, 6]);
    expect(history).toHaveLength(3);
    expect(STEPS).toBe(4);
  });

  test("resumes to the bit", () => expectResumed({ accumulate: 3 }, 3));
});

test("maxGradNorm null does not clip", async () => {
  const big: Options = { optimizer: "sgd", schedule: "constant", loss: "100*kd", lr: 0.001 };
  const plain = await start({ ...big, maxGradNorm: null }).end;
  expect(plain).toEqual(await start({ ...big, maxGradNorm: 1e9 }).end);
  expect(plain).not.toEqual(await start(big).end);
});

describe("ema", () => {
  test("is the average of the weights after each step, and what the run ends with", async () => {
    const decay = 0.9;
    const seen: number[][] = [];
    const own = start({
      ema: decay,
      onStep: () => seen.push(own.setting.student.parameters().flatMap((p) => [...p.data])),
    });
    await own.done;
    const [first, ...rest] = seen;
    const average = rest.reduce((mean, now) => mean.map((x, i) => decay * x + (1 - decay) * now[i]), first);
    const ended = own.setting.student.parameters().flatMap((p) => [...p.data]);
    for (const [i, x] of average.entries()) expect(ended[i]).toBeCloseTo(x, 5);
    const plain = await start().end;
    expect((await own.end).random).toEqual(plain.random);
  });

  test("is what validation and the best epoch see", async () => {
    const validation = withGenerator(new Generator(8), () => setting(200).data);
    const own = start({ ema: 0.5, validation });
    const { history, best } = await own.done;
    expect(history[2].metrics.validationAccuracy).toBe(evaluate(own.setting.student, validation).accuracy);
    const student = setting().student.loadStateDict(best?.state ?? {});
    expect(evaluate(student, validation).accuracy).toBe(best?.validationAccuracy);
  });

  test("resumes to the bit", () => expectResumed({ ema: 0.9 }));
});

describe("optimizer and schedule by name", () => {
  const options: Options = { optimizer: "sgd(momentum=0.9)", schedule: "multi-step(milestones=[1, 2], gamma=0.5)" };

  test("adamw and one-cycle are the defaults, to the bit", async () => {
    const schedule = "one-cycle(pctStart=0.3, divFactor=20, finalDivFactor=100)";
    expect(await start({ optimizer: "adamw", schedule }).end).toEqual(await start().end);
  });

  test("the rate falls at the milestones, which are epochs", async () => {
    const rates: number[] = [];
    await start({ ...options, onEpoch: ({ lr }) => void rates.push(lr) }).done;
    for (const [i, factor] of [0.5, 0.25, 0.25].entries()) expect(rates[i]).toBeCloseTo(0.01 * factor, 12);
  });

  test("resume to the bit, and not with others", async () => {
    await expectResumed(options);
    const out = newRun();
    await start({ ...options, epochs: 1, out }).done;
    const other = await failure(
      start({ ...options, epochs: 1, optimizer: "sgd", out, resume: true }).done,
      "BAD_CONFIG",
    );
    expect(other.message).toContain(
      'optimizer was "sgd(momentum=0.9, dampening=0, nesterov=false)", is "sgd(momentum=0,',
    );
  });

  test("options that are written out and left out are the same run", async () => {
    const out = newRun();
    const short: Options = { optimizer: "sgd", schedule: "step", stepSize: 2, out };
    const { history } = await start(short).done;
    const long: Options = { optimizer: "sgd(momentum=0)", schedule: "step(stepSize=2, gamma=0.1)", out, resume: true };
    expect((await start(long).done).history).toEqual(history);
    const { schedule, stepSize } = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect([schedule, stepSize]).toEqual(["step(stepSize=2, gamma=0.1, warmupSteps=0)", undefined]);
    const other = await failure(start({ ...long, stepSize: 3, schedule: "step" }).done, "BAD_CONFIG");
    expect(other.message).toContain("schedule was ");
  });

  test("a run whose own module has changed is refused", async () => {
    const out = newRun();
    mkdirSync(out);
    const file = join(out, "schedule.mjs");
    writeFileSync(file, "export default () => () => 1;");
    await start({ schedule: file, out }).done;
    await start({ schedule: file, out, resume: true }).done;
    writeFileSync(file, "export default () => () => 0.5;");
    expect((await failure(start({ schedule: file, out, resume: true }).done, "BAD_CONFIG")).message).toContain(
      "schedule.mjs has changed",
    );
  });

  test("a function makes an optimizer of groups, each with its own rate, which resumes to the bit", async () => {
    const optimizer = (params: readonly Tensor[]) =>
      new SGD(
        [
          { params: params.slice(0, 2), lr: 0.01 },
          { params: params.slice(2), lr: 0 },
        ],
        { momentum: 0.9 },
      );
    const run = start({ optimizer, schedule: "constant" });
    const parameters = run.setting.student.parameters();
    const before = parameters.map(({ data }) => data.slice());
    await run.done;
    const hasMoved = parameters.map(({ data }, i) => data.some((value, at) => value !== before[i][at]));
    expect(hasMoved).toEqual(parameters.map((_, i) => i < 2));
    await expectResumed({ optimizer, schedule: "constant" });
  });

  test("a rate that is set by hand stays if it is constant, and resumes to the bit", async () => {
    const run = (options: Options = {}) => {
      let sgd: SGD | undefined;
      const seen: number[] = [];
      const optimizer = (params: readonly Tensor[]) => (sgd = new SGD(params, { lr: 0.1 }));
      const byHand = ({ epoch }: { epoch: number }) => {
        if (epoch === 1) (sgd as SGD).paramGroups[0].lr = 0.01;
      };
      const started = start({
        optimizer,
        schedule: "constant",
        onEpoch: byHand,
        ...options,
        onStep: (info) => {
          seen.push(info.lr);
          return options.onStep?.(info);
        },
      });
      return { ...started, seen };
    };
    const whole = run();
    const expected = await whole.end;
    expect(whole.seen).toEqual([0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]);
    for (const [last, checkpointEvery] of [
      [4, 1],
      [4, undefined],
      [6, undefined],
      [6, 1],
    ] as const) {
      const out = newRun();
      const controller = new AbortController();
      const onStep = ({ step }: { step: number }) => step === last && controller.abort();
      const options = { out, ...(checkpointEvery && { checkpointEvery }) };
      await failure(run({ ...options, signal: controller.signal, onStep }).done, "ABORTED");
      expect(await run({ ...options, resume: true }).end).toEqual(expected);
    }
    for (const schedule of ["cosine", "one-cycle", "step(stepSize=9)", () => 1]) {
      expect((await failure(run({ schedule }).done, "BAD_ARGUMENT")).message).toMatch(
        /^lr: was set by hand, and the schedule sets it anew at each step: take schedule "constant", which leaves it$/,
      );
    }
  });

  test.each<[Options, RegExp]>([
    [{ optimizer: () => 3 as never }, /^optimizer: expected a function that returns an Optimizer, got 3$/],
    [
      { optimizer: () => new SGD([new Parameter(new Float32Array(2))], { lr: 1 }) },
      /^optimizer: expected parameters of the student/,
    ],
    [
      {
        loss: "cross-entropy + hint",
        optimizer: (params) => new SGD(params.slice(0, 2), { lr: 1 }),
      },
      /^optimizer: does not move the parameters of hint.regressor, a module of the loss: make it of all/,
    ],
    [
      { optimizer: "sgd(momentum=0.5)" },
      /^optimizer: momentum: the schedule one-cycle replaces it from the first step on: take another schedule/,
    ],
    [{ optimizer: "adamw(betas=[0.5, 0.999])" }, /^optimizer: betas: the schedule one-cycle replaces it/],
    [{ labelSmoothing: 0.1, alpha: 1 }, /^labelSmoothing: with alpha 1 the loss reads no labels: leave it out$/],
    [{ temperature: 2, alpha: 0 }, /^temperature: with alpha 0 the loss has no soft targets: leave it out$/],
    [
      { calibrateTeacher: true, alpha: 0 },
      /^calibrateTeacher: with alpha 0 the loss has no soft targets: leave it out$/,
    ],
    [
      { optimizer: "adamw(betas=0.9)" },
      /^optimizer: adamw: betas: expected two numbers from 0 to below 1, as \[0.9, 0.999\], got 0.9$/,
    ],
    [{ optimizer: "adamw(betas=[0.9, 0.99, 0.9])" }, /^optimizer: adamw: betas.*: expected two numbers/],
    [{ optimizer: "sgdd" }, /^optimizer: unknown optimizer "sgdd", did you mean sgd\?/],
    [
      { optimizer: 3 as never },
      /^optimizer: expected an optimizer, as "sgd\(momentum=0.9\)", or a function that returns one, got 3$/,
    ],
    [{ schedule: "cosin" }, /^schedule: unknown schedule "cosin", did you mean cosine\?/],
    [{ schedule: "./mine.mjs", warmupSteps: 3 }, /^warmupSteps: the schedule .\/mine.mjs has no such option: write it/],
    [{ ema: 1 }, /^ema: expected a number from 0 to below 1, got 1$/],
    [{ accumulate: 0 }, /^accumulate: expected a whole number of at least 1, got 0$/],
  ])("refused: %o", async (wrong, message) => {
    expect((await failure(start(wrong).done, "BAD_ARGUMENT")).message).toMatch(message);
  });
});
