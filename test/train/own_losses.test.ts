import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  type Batch,
  crossEntropyDistillationLoss,
  csvLog,
  type DistillationLoss,
  distill,
  F,
  frozen,
  Generator,
  inspectCheckpoint,
  kdDistillationLoss,
  kdLoss,
  Linear,
  type LossBatch,
  live,
  load,
  ReLU,
  randn,
  Sequential,
  Tensor,
  tensorBoardLog,
  trainTeacher,
  weightedSum,
  withGenerator,
  zeros,
} from "../../src/index.js";
import { createLoss } from "../../src/losses/index.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { readEvents } from "../log/event_reader.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { BATCH, type Options, setting, start, timeless } from "./support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);

/** Mean squared error of the logits, made of tensor operations. */
const logitMse: DistillationLoss = {
  name: "mse",
  needsTeacher: true,
  config: () => ({ name: "mse" }),
  compute({ student, teacher }) {
    const difference = student.logits.add(teacher.logits.mul(-1));
    return { loss: difference.mul(difference).mean(), metrics: { twice: 2, "half.name": 0.5 } };
  },
};

describe("the loss of a distillation", () => {
  test("kd with temperature and alpha is the default loss, to the bit", async () => {
    const expected = await start({ temperature: 2, alpha: 0.25 }).end;
    expect(await start({ loss: "kd(temperature=2, alpha=0.25)" }).end).toEqual(expected);
    expect(await start({ loss: { name: "kd", temperature: 2, alpha: 0.25 } }).end).toEqual(expected);
    expect(await start({ loss: kdDistillationLoss({ temperature: 2, alpha: 0.25 }) }).end).toEqual(expected);
  });

  test("a weighted sum is the fused loss up to rounding, and reports its terms", async () => {
    const fused = await start({ temperature: 4, alpha: 0.9 }).done;
    const loss = "0.1*cross-entropy + 0.9*kd(temperature=4)";
    const { history } = await start({ loss }).done;
    for (const [i, { metrics }] of history.entries()) {
      const { loss, hard, soft } = fused.history[i].metrics;
      expect(metrics.loss).toBeCloseTo(loss, 4);
      expect(metrics["cross-entropy"]).toBeCloseTo(hard, 4);
      expect(metrics.kd).toBeCloseTo(soft, 4);
      expect(Object.keys(metrics)).toEqual(["loss", "cross-entropy", "kd"]);
    }
    const terms = [
      { name: "cross-entropy", weight: 0.1 },
      { name: "kd", weight: 0.9, temperature: 4 },
    ];
    expect((await start({ loss: terms }).done).history.map(timeless)).toEqual(history.map(timeless));
    const sum = weightedSum([
      [0.1, crossEntropyDistillationLoss()],
      [0.9, kdDistillationLoss({ temperature: 4 })],
    ]);
    expect((await start({ loss: sum }).done).history.map(timeless)).toEqual(history.map(timeless));
  });

  test("a function of the batch in a sum", async () => {
    const mse = ({ student, teacher }: LossBatch) => student.logits.add(teacher.logits.mul(-1)).pow(2).mean();
    const { history } = await start({ loss: weightedSum([[2, mse]]) }).done;
    for (const { metrics } of history) expect(metrics.loss).toBeCloseTo(2 * metrics.mse, 4);
    expect(weightedSum([[1, (batch) => mse(batch)]]).name).toBe("function");
  });

  test("a function of the batch", async () => {
    const loss = ({ student, teacher, labels }: LossBatch) =>
      kdLoss(student.logits, teacher.logits, labels as never, { temperature: 2, alpha: 0.25 });
    const { history: _, ...expected } = await start({ temperature: 2, alpha: 0.25 }).end;
    expect(await start({ loss }).end).toMatchObject(expected);
  });

  test("a function of the batch may give metrics", async () => {
    const plain = ({ student, teacher }: LossBatch) => F.mseLoss(student.logits, teacher.logits);
    const { history } = await start({ loss: (batch) => ({ loss: plain(batch), metrics: { gap: 2 } }) }).done;
    const expected = (await start({ loss: plain }).done).history;
    expect(history.map(({ metrics }) => metrics)).toEqual(expected.map(({ metrics }) => ({ ...metrics, gap: 2 })));
    expect((await failure(start({ loss: () => ({ gap: 2 }) as never }).done, "BAD_ARGUMENT")).message).toMatch(
      /^epoch 1, step 1 of 4: loss function: expected a scalar, got/,
    );
  });

  test("a loss reads the step of the run, which a resumed one goes on from", async () => {
    const seen: number[][] = [];
    const ramp = ({ student, teacher, step, steps }: LossBatch) => {
      seen.push([step, steps]);
      return F.mseLoss(student.logits, teacher.logits).mul(1 - step / steps);
    };
    const expected = await start({ loss: ramp, accumulate: 2 }).end;
    expect(seen.slice(-12)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5].map((step) => [step, 6]));
    const out = newRun();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 3 && controller.abort();
    await failure(start({ loss: ramp, accumulate: 2, out, signal: controller.signal, onStep }).done, "ABORTED");
    expect(await start({ loss: ramp, accumulate: 2, out, resume: true }).end).toEqual(expected);
  });

  test("a loss without needsTeacher reads the teacher", async () => {
    const { needsTeacher: _, ...bare } = logitMse;
    expect(await start({ loss: bare }).end).toEqual(await start({ loss: logitMse }).end);
    expect(await start({ loss: weightedSum([[1, bare]]) }).end).toEqual(
      await start({ loss: weightedSum([[1, logitMse]]) }).end,
    );
    const { student: model, data } = setting();
    expect((await failure(trainTeacher({ model, data, loss: bare }), "BAD_ARGUMENT")).message).toBe(
      "loss: mse needs a teacher: give distill one",
    );
  });

  test("a function of the batch is told from others by its text and its value", async () => {
    const kd = (temperature: number) => (batch: LossBatch) =>
      kdLoss(batch.student.logits, batch.teacher.logits, batch.labels as never, { temperature });
    const hidden = (scale: number) => (batch: LossBatch) => batch.student.taps.fc9.mul(scale);
    const configOf = (loss: (batch: LossBatch) => Tensor) => createLoss(loss, { classes: 3 } as never).config();
    expect(configOf(kd(2))).toEqual(configOf(kd(2)));
    expect(configOf(kd(2))).toEqual({ function: String(kd(2)), valueHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(configOf(kd(2))).not.toEqual(configOf(kd(3)));
    expect(configOf(hidden(2))).toEqual({ function: String(hidden(2)) });

    const out = newRun();
    await start({ out, loss: kd(2), epochs: 1 }).done;
    await start({ out, loss: kd(2), epochs: 1, resume: true }).done;
    const { message } = await failure(start({ out, loss: kd(3), epochs: 1, resume: true }).done, "BAD_CONFIG");
    expect(message).toContain("valueHash");
  });

  test("so it is as a term of a sum, and with targets", async () => {
    const toTargets = (weight: number) => (batch: LossBatch) =>
      batch.student.logits
        .sub(batch.targets as Tensor)
        .abs()
        .mean()
        .mul(weight);
    const sum = (weight: number) => weightedSum([[1, weightedSum([[0.5, toTargets(weight)]])]]);
    const configOf = (weight: number) => createLoss(sum(weight), { classes: 2, task: "regression" } as never).config();
    expect(configOf(2)).toEqual(configOf(2));
    expect(configOf(2)).not.toEqual(configOf(3));

    const scaled = (weight: number) =>
      weightedSum([[1, ({ student, teacher }) => student.logits.sub(teacher.logits).abs().mean().mul(weight)]]);
    const out = newRun();
    await start({ out, loss: scaled(1), epochs: 1 }).done;
    await start({ out, loss: scaled(1), epochs: 1, resume: true }).done;
    const { message } = await failure(start({ out, loss: scaled(9), epochs: 1, resume: true }).done, "BAD_CONFIG");
    expect(message).toContain("valueHash");
  });

  test("terms of a sum have names, metrics and modules of their own", () => {
    const named = (name: string): DistillationLoss => ({ ...logitMse, name, modules: { r: new Linear(1, 1) } });
    const { name, modules } = weightedSum(["kd", "kd", "kd_2"].map((one) => [1, named(one)] as const));
    expect(name).toBe("kd+kd_2+kd_2_2");
    expect(Object.keys(modules ?? {})).toEqual(["kd.r", "kd_2.r", "kd_2_2.r"]);
    const apart = { ...named("a"), modules: { "b.r": new Linear(1, 1) } };
    expect(() =>
      weightedSum([
        [1, apart],
        [1, named("a.b")],
      ]),
    ).toThrow("two modules are called a.b.r: rename a term");
  });

  test("one that needs no teacher is trainTeacher's cross-entropy, to the bit", async () => {
    const train = (run: (own: ReturnType<typeof setting>) => Promise<unknown>) =>
      drawingFrom(new Generator(0), async () => {
        const own = setting();
        await run(own);
        return fingerprint(own.student.stateDict());
      });
    const options = { epochs: 2, batchSize: BATCH, lr: 0.01, labelSmoothing: 0.1 };
    const plain = await train(({ student, data }) => trainTeacher({ model: student, data, ...options }));
    const distilled = await train((own) => distill({ ...own, ...options, loss: "cross-entropy" }));
    expect(distilled).toBe(plain);
  });

  test("a custom loss is validated, has a best epoch, and resumes to the bit", async () => {
    const validation = withGenerator(new Generator(5), setting).data;
    const options: Options = { loss: logitMse, validation };
    const whole = await start(options).end;
    const { history, best } = await start(options).done;
    expect(best?.epoch).toBeGreaterThan(0);
    expect(history[0].metrics).toMatchObject({ twice: 2, "half.name": 0.5, agreement: expect.any(Number) });
    expect(history[2].metrics.loss).toBeLessThan(history[0].metrics.loss);
    const out = newRun();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 6 && controller.abort();
    await failure(start({ ...options, out, signal: controller.signal, onStep }).done, "ABORTED");
    expect(await start({ ...options, out, resume: true }).end).toEqual(whole);
    const other = { ...options, loss: { ...logitMse, config: () => ({ name: "other" }) } };
    const { message } = await failure(start({ ...other, out, resume: true }).done, "BAD_CONFIG");
    expect(message).toContain('loss was {"name":"mse"}, is {"name":"other"}');
  });

  test("its metrics are in metrics.jsonl, TensorBoard and CSV", async () => {
    const out = newRun();
    const logs = [tensorBoardLog(join(out, "tensorboard")), csvLog(join(out, "metrics.csv"))];
    const { history } = await start({ loss: logitMse, out, logs }).done;
    const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).twice)).toEqual([2, 2, 2]);
    const [header, ...rows] = readFileSync(join(out, "metrics.csv"), "utf8").trim().split("\r\n");
    expect(header).toBe("epoch,epochs,loss,twice,half.name,lr,seconds,samplesPerSecond");
    expect(rows.map((row) => row.split(",").slice(2, 5).map(Number))).toEqual(
      history.map(({ metrics }) => [metrics.loss, 2, 0.5]),
    );
    const [file] = readdirSync(join(out, "tensorboard")).map((name) => join(out, "tensorboard", name));
    expect(statSync(file).size).toBeGreaterThan(0);
    const [, , first] = readEvents(file);
    expect(Object.fromEntries(first.scalars ?? [])).toMatchObject({ "loss/twice": 2, "loss/half.name": 0.5 });
  });

  test("in a user module, with arguments", async () => {
    const file = join(folder, "scaled.mjs");
    writeFileSync(
      file,
      `export default ({ factor }) => ({
         name: "scaled",
         needsTeacher: true,
         compute: ({ student, teacher }) => ({
           loss: student.logits.add(teacher.logits.mul(-1)).mul(factor).mean(),
           metrics: { factor },
         }),
         config: () => ({ factor }),
       });`,
    );
    const { history } = await start({ loss: `${file}(factor=3)`, epochs: 1 }).done;
    expect(history[0].metrics.factor).toBe(3);
  });
});

/** Networks whose modules are called one by one. */
function plainNetworks() {
  const teacher = new Sequential(new Linear(6, 12), new ReLU(), new Linear(12, 3)).freeze();
  const student = new Sequential(new Linear(6, 5), new ReLU(), new Linear(5, 3));
  return { teacher, student };
}

describe("hidden outputs and a loss's own modules", () => {
  const hint = (regressor: Linear): DistillationLoss => ({
    name: "hint",
    needsTeacher: true,
    taps: { student: ["1"], teacher: ["1"] },
    modules: { regressor },
    config: () => ({ name: "hint" }),
    compute({ student, teacher }) {
      expect([student.taps["1"].shape[1], teacher.taps["1"].shape[1]]).toEqual([5, 12]);
      const difference = regressor.forward(student.taps["1"]).add(teacher.taps["1"].mul(-1));
      return { loss: difference.mul(difference).mean(), metrics: {} };
    },
  });
  const run = (options: Options = {}, seed = 0) =>
    withGenerator(new Generator(seed), () => {
      const networks = plainNetworks();
      const regressor = new Linear(5, 12);
      const before = fingerprint(regressor.stateDict());
      const { done } = start({ ...networks, ...options, loss: hint(regressor) });
      return { ...networks, regressor, before, done };
    });

  test("the student's hidden layer and the regressor are trained; the logits' layer is not", async () => {
    const { student, regressor, before, done } = run();
    const [first, , , last] = student.parameters().map(({ data }) => data.slice());
    const { history } = await done;
    expect(fingerprint(regressor.stateDict())).not.toBe(before);
    expect(student.parameters()[0].data).not.toEqual(first);
    expect(student.parameters()[3].data).toEqual(last);
    expect(history[2].metrics.loss).toBeLessThan(history[0].metrics.loss);
  });

  test("the regressor is in the checkpoint, not in the student's file, and resumes to the bit", async () => {
    const whole = run();
    await whole.done;
    const out = newRun();
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 6 && controller.abort();
    await failure(run({ out, signal: controller.signal, onStep }).done, "ABORTED");
    const { tensors } = await inspectCheckpoint(join(out, "checkpoint.safetensors"));
    expect(JSON.stringify(tensors)).toContain("loss.regressor.weight");
    const resumed = run({ out, resume: true });
    const { files } = await resumed.done;
    expect(fingerprint(resumed.regressor.stateDict())).toBe(fingerprint(whole.regressor.stateDict()));
    expect(fingerprint(resumed.student.stateDict())).toBe(fingerprint(whole.student.stateDict()));
    expect(Object.keys(await load(files[1])).sort()).toEqual(Object.keys(resumed.student.stateDict()).sort());
  });

  test("paths that a network lacks, and modules that it does not call", async () => {
    const loss = (path: string): DistillationLoss => ({ ...hint(new Linear(5, 12)), taps: { student: [path] } });
    const none = await failure(start({ loss: loss("fc9") }).done, "BAD_ARGUMENT");
    expect(none.message).toMatch(/^student: no module "fc9", did you mean fc\d\? It has "fc1", /);
    const teacher = { ...loss("fc1"), taps: { teacher: ["fc44"] } };
    const { message } = await failure(start({ loss: teacher }).done, "BAD_ARGUMENT");
    expect(message).toContain('teacher: no module "fc44", did you mean fc4?');
  });
});

test("a loss's module named data or model does not hide a change of those", async () => {
  const loss = (name: string): DistillationLoss => ({
    ...logitMse,
    modules: { [name]: withGenerator(new Generator(1), () => new Linear(2, 2)) },
  });
  for (const name of ["data", "model"]) {
    const out = newRun();
    await start({ out, loss: loss(name), epochs: 1 }).done;
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config[`loss.${name}Hash`]).toMatch(/^[0-9a-f]{64}$/);
    expect(config[`${name}Hash`]).not.toBe(config[`loss.${name}Hash`]);
  }
});

test("the modules of a loss in a file of one's own are drawn from the run's stream", async () => {
  const file = join(folder, "drawn.mjs");
  writeFileSync(
    file,
    `export default () => {
       const value = globalThis.drawForTest();
       return {
         name: "drawn",
         needsTeacher: true,
         compute: ({ student }) => ({ loss: student.logits.mean(), metrics: { value } }),
         config: () => ({}),
       };
     };`,
  );
  const draw = () => randn([1]).item();
  Object.assign(globalThis, { drawForTest: draw });
  const run = async () => (await start({ loss: file, epochs: 1 }).done).history[0].metrics.value;
  const first = await run();
  draw();
  expect(await run()).toBe(first);
});

test("fields and methods of a loss's own are no misspelt ones", async () => {
  class Own implements DistillationLoss {
    readonly name = "own";
    readonly needsTeacher = true;
    readonly tau = 2;
    readonly masks = [];
    _config = { tau: this.tau };
    config() {
      return this._config;
    }
    compute({ student }: LossBatch) {
      return { loss: student.logits.mean().mul(this.tau), metrics: {} };
    }
  }
  const { history } = await start({ loss: new Own(), epochs: 1 }).done;
  expect(history).toHaveLength(1);
});

describe("refusals", () => {
  test.each<[Options, RegExp | string]>([
    [{ loss: 3 as never }, /^loss: expected an expression, a loss or a function of the batch, got 3$/],
    [{ loss: "kdd" }, /^loss: unknown loss "kdd", did you mean kd\?/],
    [{ loss: "kd(temprature=3)" }, /^loss: kd: temprature: unknown argument, did you mean temperature\?/],
    ...[
      ["needsTeachr", "needsTeacher"],
      ["needsTeacherLogit", "needsTeacherLogits"],
      ["drawRandomNumbers", "drawsRandomNumbers"],
      ["module", "modules"],
      ["task", "tasks"],
    ].map(([key, field]): [Options, RegExp] => {
      const { [field as "needsTeacher"]: _, ...loss } = logitMse;
      const text = `^loss: unknown field "${key}", did you mean ${field}\\?$`;
      return [{ loss: { ...loss, [key]: true } as never }, new RegExp(text)];
    }),
    [
      { loss: { ...logitMse, tasks: undefined, task: [] } as never },
      /^loss: unknown field "task", did you mean tasks\?$/,
    ],
    [
      { loss: { ...logitMse, drawsRandomNumbers: 1 as never } },
      /^loss: expected a loss whose drawsRandomNumbers is true or false, got 1$/,
    ],
    [{ loss: "kd", alpha: 0.3 }, /^alpha: the loss has its own/],
    ...(["kd", logitMse, "2*dkd + cross-entropy(labelSmoothing=0.1)"] as const).map((loss): [Options, RegExp] => [
      { loss, labelSmoothing: 0.5 },
      /^labelSmoothing: no term of the loss (kd|mse|dkd\+cross-entropy) reads it: leave it out, or add one, as "0.1\*cross-entropy"$/,
    ]),
    [{ loss: () => 3 as never }, /^epoch 1, step 1 of 4: loss function: expected a scalar, got 3$/],
    [
      { loss: ({ student }: LossBatch) => student.logits },
      /^epoch 1, step 1 of 4: loss function: expected a scalar, got a tensor of shape \[16, 3\]$/,
    ],
    [
      { loss: { ...logitMse, compute: (b) => ({ ...logitMse.compute(b), metrics: { lr: 1 } }) } },
      /the name of a loss's metric: expected letters.*got "lr"$/,
    ],
    ...["toString", "constructor"].map((name): [Options, RegExp] => [
      { loss: { ...logitMse, compute: (b) => ({ ...logitMse.compute(b), metrics: { [name]: 1 } }) } },
      new RegExp(`^epoch 1, step 1 of 4: the name of a loss's metric: expected a name that .* got "${name}"$`),
    ]),
    ...[
      [null, "metrics: expected numbers by their names, got null"],
      [zeros([2]), "metrics: expected numbers by their names, got a tensor of shape [2]"],
      [{ gap: "3" }, 'metric gap: expected a number, got "3"'],
      [{ gap: zeros([1]) }, "metric gap: expected a number, got a tensor of shape [1]: expected its item()"],
    ].flatMap(([metrics, text]): [Options, string][] => {
      const loss: DistillationLoss = {
        ...logitMse,
        compute: (b) => ({ ...logitMse.compute(b), metrics: metrics as never }),
      };
      const message = `epoch 1, step 1 of 4: loss mse: ${text}`;
      return [
        [{ loss }, message],
        [{ loss: weightedSum([[2, loss]]) }, message],
      ];
    }),
    [
      { loss: { ...logitMse, compute: ({ student }) => student.logits.mean() as never } },
      /^epoch 1, step 1 of 4: loss mse: expected \{ loss, metrics \}, got a tensor of shape \[\]$/,
    ],
    [
      { loss: { ...logitMse, compute: async (b: LossBatch) => logitMse.compute(b) } as never },
      /loss mse: expected \{ loss, metrics \}, got a promise: a loss can't be async$/,
    ],
  ])("%o", async (options, message) => {
    expect((await failure(start(options).done, "BAD_ARGUMENT")).message).toMatch(message);
  });

  test.each(["loss", "epoch", "my loss", "validationR2"])("a term of a sum named %j", (name) => {
    const terms = [
      [1, crossEntropyDistillationLoss()],
      [1, { ...logitMse, name }],
    ] as const;
    expect(() => weightedSum(terms)).toThrowError(
      expect.objectContaining({
        code: "BAD_ARGUMENT",
        message: expect.stringMatching(/^terms\[1\]: name: expected letters/),
      }),
    );
  });

  test.each<[object, string]>([
    [{ name: undefined }, "loss: expected a loss whose name is a text, got undefined"],
    [{ compute: 3 }, "loss: expected a loss whose compute is a function of the batch, got 3"],
    [{ config: undefined }, "loss: expected a loss whose config is a function, as () => ({ name }), got undefined"],
    [{ needsTeacher: 0 }, "loss: expected a loss whose needsTeacher is true or false, got 0"],
    [{ needsTeacherLogits: 1 }, "loss: expected a loss whose needsTeacherLogits is true or false, got 1"],
    [{ taps: { student: "1" } }, 'loss: expected a loss whose taps.student is a list of paths, got "1"'],
    [{ modules: { one: 3 } }, "loss: expected a loss whose modules.one is a Module, got 3"],
  ])("a loss with %o", async (field, message) => {
    const loss = { ...logitMse, ...field } as DistillationLoss;
    expect((await failure(start({ loss }).done, "BAD_ARGUMENT")).message).toBe(message);
    expect(() => weightedSum([[1, loss]])).toThrow(message.replace("loss:", "terms[0]:"));
  });

  test.each<[string, Options]>([
    ["a whole batch", {}],
    ["shards that wait for each other", { shards: 2, batchNorm: "batch" }],
  ])("a loss whose gradient reaches a module that the run does not train: %s", async (_, options) => {
    const regressor = withGenerator(new Generator(0), () => new Linear(3, 3));
    const loss = ({ student, teacher }: LossBatch) => F.mseLoss(regressor.forward(student.logits), teacher.logits);
    const { message } = await failure(start({ ...options, loss }).done, "BAD_ARGUMENT");
    expect(message).toMatch(/^epoch 1, step 1 of 4: loss: its gradient reaches a parameter of shape \[3, 3\] that the/);
    const late = (batch: LossBatch) =>
      batch.epoch < 3 ? kdLoss(batch.student.logits, batch.teacher.logits, batch.labels as never) : loss(batch);
    expect((await failure(start({ ...options, loss: late }).done, "BAD_ARGUMENT")).message).toMatch(/^epoch 3, step 1/);
    regressor.freeze();
    expect((await start({ ...options, loss }).done).history).toHaveLength(3);
  });

  test.each<[string, Options]>([
    ["a whole batch", {}],
    ["shards", { shards: 2 }],
    ["shards that wait for each other", { shards: 2, batchNorm: "batch" }],
  ])("a loss that no parameter determines: %s", async (_, options) => {
    const loss = ({ student }: LossBatch) => F.mseLoss(student.logits.detach(), zeros(student.logits.shape));
    const { message } = await failure(start({ ...options, loss }).done, "NO_GRADIENT");
    expect(message).toMatch(
      /^epoch 1, step 1 of 4: loss function: its gradient reaches no parameter that is trained: compute it from the/,
    );
  });

  test("a loss may compute with the teacher's layers", async () => {
    const teacher = plainNetworks().teacher.unfreeze();
    const head = teacher.children().at(-1) as Linear;
    const before = fingerprint(teacher.stateDict());
    const loss = ({ student, teacher: { logits } }: LossBatch) =>
      F.mseLoss(head.forward(student.logits.matmul(zeros([3, head.inFeatures]).add(1))), logits);
    await start({ teacher, loss }).done;
    expect(fingerprint(teacher.stateDict())).toBe(before);
  });

  test("a loss that would train a module of the teacher", async () => {
    const { teacher } = plainNetworks();
    const loss = { ...logitMse, modules: { teacher } };
    const { message } = await failure(start({ teacher, loss }).done, "BAD_ARGUMENT");
    expect(message).toMatch(/^loss: modules.teacher has parameters of the teacher/);
  });

  test("an error of a loss's own, with the step, the file and the line", async () => {
    const loss = () => {
      throw new RangeError("of my own");
    };
    const error = await failure(start({ loss }).done, "BAD_ARGUMENT");
    expect(error.message).toMatch(
      /^epoch 1, step 1 of 4: test.train.own_losses\.test\.ts:\d+:\d+: RangeError: of my own$/,
    );
    expect(error.cause).toBeInstanceOf(RangeError);
  });

  test.each<[string, Options["teacher"] | unknown]>([
    ["a function", ({ inputs }: Batch) => zeros([inputs.shape[0], 3])],
    [
      "one of the user's own",
      {
        name: "own",
        fingerprint: () => null,
        outputs: ({ inputs }: Batch) => Promise.resolve({ logits: zeros([inputs.shape[0], 3]), taps: {} }),
      },
    ],
    ["a live network without taps", live(plainNetworks().teacher)],
    ["a frozen network without taps", frozen(plainNetworks().teacher)],
  ])("a teacher that lacks a hidden output: %s", async (_, teacher) => {
    const loss: DistillationLoss = { ...logitMse, taps: { teacher: ["1"] } };
    const { message } = await failure(start({ teacher: teacher as never, loss }).done, "BAD_ARGUMENT");
    expect(message).toMatch(
      /^epoch 1, step 1 of 4: teacher: \w+ gives no output of the module "1", which the loss mse reads$/,
    );
  });

  test("a loss that reads a teacher's outputs and says that it needs none", async () => {
    const { message } = await failure(start({ loss: { ...logitMse, needsTeacher: false } }).done, "BAD_ARGUMENT");
    expect(message).toContain("loss: reads the teacher's outputs, but its needsTeacher is false");
  });

  test.each([
    [0, "the ones before lack"],
    [1, "this one lacks"],
  ])("a metric of some steps of an epoch only", async (rest, reason) => {
    let steps = 0;
    const compute = (batch: LossBatch) => ({
      ...logitMse.compute(batch),
      metrics: steps++ % 2 === rest ? {} : { gap: 1 },
    });
    const { message } = await failure(start({ loss: { ...logitMse, compute } }).done, "BAD_ARGUMENT");
    expect(message).toBe(`epoch 1, step 2 of 4: metric gap: expected in every step of an epoch: ${reason} it`);
  });

  test("a tensor that a loss kept from the step before", async () => {
    let kept: Tensor | null = null;
    const loss = ({ student, teacher }: LossBatch) => {
      const before = kept ?? zeros([1]);
      kept = student.logits.mean().detach();
      return student.logits.add(teacher.logits.mul(-1)).pow(2).mean().add(before);
    };
    const { message } = await failure(start({ loss }).done, "BAD_ARGUMENT");
    expect(message).toMatch(/^epoch 1, step 2 of 4: .*the tensor belongs to a step or a batch that ended: .* copy it/);
  });

  test("a copy of a tensor may be kept", async () => {
    let kept = zeros([]);
    const loss = ({ student, teacher }: LossBatch) => {
      const before = kept;
      kept = new Tensor(student.logits.mean().data.slice(), []);
      return student.logits.add(teacher.logits.mul(-1)).pow(2).mean().add(before);
    };
    await start({ loss }).done;
  });

  test("a metric with the name of a validation's figure", async () => {
    const compute = (batch: LossBatch) => ({ ...logitMse.compute(batch), metrics: { validationR2: 0.99 } });
    const { message } = await failure(start({ loss: { ...logitMse, compute } }).done, "BAD_ARGUMENT");
    expect(message).toMatch(
      /^epoch 1, step 1 of 4: the name of a loss's metric: expected letters, .*; got "validationR2"$/,
    );
  });

  test("a metric that is not finite", async () => {
    const loss = { ...logitMse, compute: (b: never) => ({ ...logitMse.compute(b), metrics: { gap: Number.NaN } }) };
    expect((await failure(start({ loss }).done, "NON_FINITE")).message).toContain("metric gap: is not finite");
  });

  test("trainTeacher takes no loss that needs a teacher", async () => {
    const { student: model, data } = setting();
    const { message } = await failure(trainTeacher({ model, data, loss: "kd" }), "BAD_ARGUMENT");
    expect(message).toBe("loss: kd needs a teacher: give distill one");
    for (const name of ["review-kd", "attention-transfer"]) {
      const loss = `cross-entropy + ${name}(student=${name === "review-kd" ? "[fc1]" : "fc1"})`;
      expect((await failure(trainTeacher({ model, data, loss }), "BAD_ARGUMENT")).message).toBe(
        `loss: cross-entropy+${name} needs a teacher: give distill one`,
      );
    }
  });
});
