import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type Batch,
  BatchNorm1d,
  compare,
  type Dataset,
  type DistillationLoss,
  type DistillInput,
  distill,
  distillChain,
  estimateRun,
  IntTensor,
  Linear,
  live,
  mutual,
  noGrad,
  ReLU,
  Sequential,
  StudentNet,
  sweep,
  synthetic,
  TeacherCache,
  Tensor,
  TensorDataset,
  trainTeacher,
  zeros,
} from "../../src/index.js";
import { refusal } from "../data/support.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, type Options, setting, start } from "./support.js";

const folder = temporaryFolder();

const CIRCLE: Record<string, unknown> = {};
CIRCLE.self = CIRCLE;

/** A name with two letters swapped. */
const misspelt = (name: string) => (name[1] ?? "") + name[0] + name.slice(2);

describe("a name that is misspelt has the nearest one", () => {
  const OF_RUNS = ["out", "resume", "overwrite", "checkpointEvery", "keepCheckpoints", "metadata", "signal", "onStep"];
  const MORE = ["onEpoch", "onEnd", "onWork", "logs", "onNote", "report", "validation", "loss", "epochs"];
  const OF_BOTH = ["resume", "metadata", "signal", "onWork", "workers", "calibrateTeacher", "onTrial", "collect"];
  const { student, data } = setting();
  const cohort = [student, setting().student];
  const experiment = { teacher: () => setting().teacher, student: () => setting().student, data, out: "x", test: data };
  test.each<[string, readonly string[], (options: object) => Promise<unknown>]>([
    ["distill", [...OF_RUNS, ...MORE, "teacherCache"], (options) => start(options).done],
    ["trainTeacher", [...OF_RUNS, ...MORE, "name"], (o) => trainTeacher({ model: student, data, ...o })],
    ["mutual", [...OF_RUNS, ...MORE], (o) => mutual({ students: cohort, data, ...o })],
    ["estimateRun", [...OF_RUNS, ...MORE, "teacherCache"], (o) => estimateRun({ ...setting(), ...o })],
    ["distillChain", ["onStep", "seed"], (o) => distillChain({ networks: [experiment.student], data, ...o })],
    ["compare", [...OF_BOTH, "seeds", "losses", "fractions"], (o) => compare({ ...experiment, ...o })],
    ["sweep", [...OF_BOTH, "seeds", "temperatures", "alphas"], (o) => sweep({ ...experiment, ...o })],
  ])("%s", async (_, names, call) => {
    for (const name of names.map((name) => (name === "out" ? "outt" : name))) {
      const [wrong, right] = name === "outt" ? [name, "out"] : [misspelt(name), name];
      const { message } = await failure(call({ [wrong]: 3 }), "BAD_ARGUMENT");
      expect(message).toBe(`${wrong}: unknown option, did you mean ${right}?`);
    }
  });
});

describe("options that make no sense", () => {
  test.each<[object, string]>([
    [{ epochs: 0 }, "epochs: expected a whole number of at least 1, got 0"],
    [{ epochs: 1.5 }, "epochs: expected a whole number of at least 1, got 1.5"],
    [{ batchSize: 0 }, "batchSize: expected a whole number of at least 1, got 0"],
    [{ batchSize: "64" }, 'batchSize: expected a whole number of at least 1, got "64"'],
    [{ temperature: 0 }, "temperature: expected a number above 0, got 0"],
    [{ temperature: -1 }, "temperature: expected a number above 0, got -1"],
    [{ temperature: Number.POSITIVE_INFINITY }, "temperature: expected a number above 0, got Infinity"],
    [{ temperature: 1e30 }, "temperature: expected a temperature from 0.001 to 1000000, got 1e+30"],
    [{ alpha: 2 }, "alpha: expected a number from 0 to 1, got 2"],
    [{ alpha: -0.1 }, "alpha: expected a number from 0 to 1, got -0.1"],
    [{ alpha: Number.NaN }, "alpha: expected a number from 0 to 1, got NaN"],
    [{ lr: 0 }, "lr: expected a number above 0, got 0"],
    [{ weightDecay: -1 }, "weightDecay: expected a number of at least 0, got -1"],
    [{ pctStart: 1.1 }, "pctStart: expected a number from 0 to 1, got 1.1"],
    [{ divFactor: 0 }, "divFactor: expected a number above 0, got 0"],
    [{ finalDivFactor: null }, "finalDivFactor: expected a number above 0, got null"],
    [{ maxGradNorm: 0 }, "maxGradNorm: expected a number above 0, got 0"],
    [{ shuffle: "yes" }, 'shuffle: expected true or false, got "yes"'],
    [{ dropLast: 1 }, "dropLast: expected true or false, got 1"],
    [{ teacherMode: "frozen" }, 'teacherMode: expected "train" or "eval", got "frozen"'],
    [{ learningRate: 1 }, "learningRate: unknown option, did you mean lr?"],
    [{ learning_rate: 1 }, "learning_rate: unknown option, did you mean lr?"],
    [
      { teacher: "ema(decay=0.99)" },
      'teacher: expected a Module, a Teacher or a function of the batch, got "ema(decay=0.99)": emaTeacher({ decay }) or await openTeacher("ema(decay=0.99)") makes one of it',
    ],
    [
      { teacher: [] },
      "teacher: expected a Module, a Teacher or a function of the batch, got a value of type Array: averaged([...]) makes " +
        "one of several",
    ],
    [{ checkpointEvery: 0 }, "checkpointEvery: expected a whole number of at least 1, got 0"],
    [{ teacher: {} }, "teacher: expected a Module, a Teacher or a function of the batch, got a value of type Object"],
    [{ student: null }, "student: expected a Module, got null"],
    [{ teacherCache: "yes" }, 'teacherCache: expected true, false or a TeacherCache, got "yes"'],
    [{ signal: 3 }, "signal: expected an AbortSignal, got 3"],
    [{ logs: "x" }, 'logs: expected a list of { begin, epoch, close }, as tensorBoardLog(folder) gives, got "x"'],
    [{ logs: ["x"] }, 'logs[0]: expected { begin, epoch, close }, as tensorBoardLog(folder) gives, got "x"'],
    [{ onEpoch: 3 }, "onEpoch: expected a function, got 3"],
    [{ onStep: "x" }, 'onStep: expected a function, got "x"'],
    [{ onEnd: {} }, "onEnd: expected a function, got a value of type Object"],
    [{ onNote: null }, "onNote: expected a function, got null"],
    [{ resume: "yes" }, 'resume: expected true or false, got "yes"'],
    [{ metadata: 5 }, "metadata: expected an object, got 5"],
    [{ metadata: { a: 1n } }, "metadata.a: expected what JSON can hold, got 1n"],
    [{ metadata: { a: [new Map()] } }, "metadata.a.0: expected what JSON can hold, got a value of type Map"],
    [{ metadata: { a: Number.NaN } }, "metadata.a: expected what JSON can hold, got NaN"],
    [{ metadata: CIRCLE }, "metadata.self: expected what JSON can hold, got a value of type Object"],
    [{ keepCheckpoints: "2" }, 'keepCheckpoints: expected a whole number of at least 0, got "2"'],
    [{ data: [1, 2] }, "data: expected a Dataset, got [1, 2]"],
    [
      { batchSize: 51, dropLast: true },
      "batchSize: expected at most the 50 samples, as the last short batch is dropped, got 51",
    ],
    [
      { epochs: 0, alpha: 2, temperature: 0, batchsize: 3 },
      "epochs: expected a whole number of at least 1, got 0; temperature: expected a number above 0, got 0; " +
        "alpha: expected a number from 0 to 1, got 2; batchsize: unknown option, did you mean batchSize?",
    ],
  ])("%o", async (options, message) => {
    const out = join(folder, "options");
    expect((await failure(start({ ...(options as Options), out }).done, "BAD_ARGUMENT")).message).toBe(message);
    expect(existsSync(out)).toBe(false);
  });

  test.each(["", "a\0b"])("a folder that can't be: %j", async (out) => {
    expect((await failure(start({ out }).done, "BAD_ARGUMENT")).message).toBe(
      `out: expected a folder, got ${JSON.stringify(out)}`,
    );
  });

  test("trainTeacher takes none of a distillation", async () => {
    const { student, data } = setting();
    const input = { model: student, data, alpha: 0.5, epochs: -1 };
    const { message } = await failure(trainTeacher(input), "BAD_ARGUMENT");
    expect(message).toBe("epochs: expected a whole number of at least 1, got -1; alpha: unknown option");
  });

  test.each([
    [{ seed: 1 }, "seed: unknown option: call manualSeed(seed) before the networks are made"],
    [{ threads: 1 }, "threads: unknown option: call setNumThreads(threads) before"],
    [{ augment: { flip: 0.5 } }, "augment: unknown option: pass data: augment(dataset, changes)"],
    [{ csv: true }, "csv: unknown option: pass logs: [csvLog(file)]"],
    [{ tensorboard: true }, "tensorboard: unknown option: pass logs: [tensorBoardLog(folder)]"],
    [{ train: 1 }, "train: unknown option"],
  ])("an option of the command line has its place in programs: %j", async (option, text) => {
    expect((await failure(start(option as Options).done, "BAD_ARGUMENT")).message).toBe(text);
  });
});

test.each([{ resume: true }, { overwrite: true }, { checkpointEvery: 2 }, { keepCheckpoints: 5 }, { report: true }])(
  "%o without a folder",
  async (options) => {
    const { message } = await failure(distill({ ...setting(), ...options }), "BAD_ARGUMENT");
    expect(message).toBe(`${Object.keys(options)[0]}: needs out, the folder of the run`);
  },
);

/** Networks or data that do not fit: nothing is written; found at a step, `out` holds no result and nothing half-written. */
async function fails(code: string, options: Options, place: RegExp | string): Promise<string> {
  const out = join(folder, `${code}-${Math.random()}`);
  const { setting, done } = start({ ...options, out, checkpointEvery: 1 });
  const { teacher, student } = { ...setting, ...options };
  const { message } = await failure(done, code);
  expect(message).toMatch(place);
  const files = code === "NON_FINITE" ? readdirSync(out) : [];
  expect(["checkpoint.safetensors", "config.json", "metrics.jsonl", "run.lock"]).toEqual(expect.arrayContaining(files));
  expect(existsSync(out)).toBe(code === "NON_FINITE");
  for (const network of [teacher, student]) {
    const modes = [network.training, ...network.namedChildren().map(([, child]) => child.training)];
    expect(modes).not.toContain(false);
  }
  return out;
}

describe("networks that do not fit", () => {
  const student = (inFeatures: number, classes: number) => new StudentNet({ inFeatures, hidden: [8, 5], classes });

  test("a student of other outputs than the teacher's", async () => {
    const message = /^student: gives 2 logits a sample, the data have 3 classes$/;
    await fails("SHAPE_MISMATCH", { student: student(6, 2) }, message);
  });

  test.each([
    [[1], (x: Tensor) => x.sum(1)],
    [[1, 1, 3], (x: Tensor) => x.reshape([16, 1, 3])],
  ])("a student that gives %j", async (shape, change) => {
    class Changed extends StudentNet {
      override forward(x: Tensor): Tensor {
        return change(super.forward(x));
      }
    }
    const own = new Changed({ inFeatures: 6, hidden: [8, 5], classes: 3 });
    const text = `student: expected logits of shape [1, 3], got [${shape.join(", ")}]`;
    await fails("SHAPE_MISMATCH", { student: own }, text);
  });

  test("a student that takes whole batches alone trains", async () => {
    class Whole extends StudentNet {
      override forward(x: Tensor): Tensor {
        return super.forward(x.reshape([BATCH, 6]));
      }
    }
    const own = new Whole({ inFeatures: 6, hidden: [8, 5], classes: 3 });
    const { history } = await start({ student: own, dropLast: true }).done;
    expect(history).toHaveLength(3);
  });

  test("frozen students, and one of a loss that reads more than logits if there is a validation set", async () => {
    const text = "has no parameter that requires a gradient: unfreeze() it, or some of its layers";
    const frozen = () => student(6, 3).freeze();
    await fails("BAD_ARGUMENT", { student: frozen() }, `student: ${text}`);
    const { data } = setting();
    const error = await failure(mutual({ students: [student(6, 3), frozen()], data, epochs: 1 }), "BAD_ARGUMENT");
    expect([error.message, error.argument]).toEqual([`students[1]: ${text}`, "students[1]"]);
    const options = { loss: "hint + cross-entropy", validation: setting().data, student: student(6, 4) };
    await fails("SHAPE_MISMATCH", options, /^student: gives 4 logits a sample, the data have 3 classes$/);
  });

  test("a student whose forward gives no tensor", async () => {
    const own = student(6, 3);
    Object.assign(own, { forward: () => [] });
    const text = "student: forward: expected a Tensor, got a list";
    await fails("BAD_ARGUMENT", { student: own }, text);
  });

  test("a student of other inputs than the data's", async () => {
    const message =
      /^student: does not take samples of synthetic, \[6\]: linear: x: expected shape \[\*, 7\], got \[16, 6\]$/;
    await fails("SHAPE_MISMATCH", { student: student(7, 3) }, message);
  });

  test.each<Options>([{}, { teacherMode: "train" }])("a teacher of other inputs: %o", async (options) => {
    const message =
      /^teacher: does not take samples of synthetic, \[6\]: linear: x: expected shape \[\*, 5\], got \[\d+, 6\]$/;
    await fails("SHAPE_MISMATCH", { teacher: student(5, 3), ...options }, message);
  });

  test("the script's networks: 9 outputs against 10, and 783 columns", async () => {
    const teacher = new StudentNet({ hidden: [8, 5] });
    const nine = new StudentNet({ hidden: [8, 5], classes: 9 });
    const ten = new StudentNet({ hidden: [8, 5] });
    const first = distill({ teacher, student: nine, data: synthetic({ samples: 64 }), epochs: 1 });
    expect((await failure(first, "SHAPE_MISMATCH")).message).toContain(
      "student: gives 9 logits a sample, the data have 10 classes",
    );
    const narrow = synthetic({ samples: 64, features: 783 });
    const second = distill({ teacher, student: ten, data: narrow, epochs: 1, teacherCache: false });
    expect((await failure(second, "SHAPE_MISMATCH")).message).toContain("expected shape [*, 784], got [64, 783]");
  });

  test("a label that the networks have no output for", async () => {
    const data = new TensorDataset(zeros([4, 6]), Int32Array.of(0, 1, 2, 3));
    await fails(
      "SHAPE_MISMATCH",
      { data, shuffle: false },
      /^student: gives 3 logits a sample, the data have 4 classes$/,
    );
    const narrow = () => student(6, 3);
    const text = /^(model|student): gives 3 logits a sample, the data have 4 classes$/;
    for (const [role, run] of [
      ["model", trainTeacher({ model: narrow(), data, epochs: 1 })],
      ["student", distill({ student: narrow(), data, loss: "cross-entropy", epochs: 1 })],
    ] as const) {
      const { message } = await failure(run, "SHAPE_MISMATCH");
      expect(text.exec(message)?.[1], message).toBe(role);
    }
  });
});

test("a teacher that is the student", async () => {
  const { student } = setting();
  const text =
    "teacher: expected another network than the student, got the same object: it would be trained towards itself";
  expect((await failure(start({ teacher: student, student }).done, "BAD_ARGUMENT")).message).toBe(text);
});

test("a batch of one that batch norm would see", async () => {
  const student = new Sequential(new Linear(6, 8), new BatchNorm1d(8), new ReLU(), new Linear(8, 3));
  const data = setting(2 * BATCH + 1).data;
  const out = join(folder, "single");
  const { message } = await failure(start({ data, student, out }).done, "BATCH_TOO_SMALL");
  expect(message).toMatch(/^batchSize: 16 leaves a last batch of one of 33 samples/);
  expect(existsSync(out)).toBe(false);
  const { history } = await start({ data, student, dropLast: true }).done;
  expect(history).toHaveLength(3);
});

test("nor a batch of one for batch norm of a teacher in train mode, or of a loss: before the run", async () => {
  const { data, student } = setting(2 * BATCH + 1);
  const network = () => new Sequential(new Linear(6, 8), new BatchNorm1d(8), new ReLU(), new Linear(8, 3));
  const options = { teacher: network(), student, data, epochs: 1, batchSize: BATCH };
  const out = join(folder, "single-teacher");
  const refused = async (more: Partial<DistillInput>) =>
    (await failure(distill({ ...options, out, ...more }), "BATCH_TOO_SMALL")).message;
  const text = (whose: string) =>
    `batchSize: 16 leaves a last batch of one of 33 samples, which BatchNorm of ${whose} can't take: dropLast: true leaves it out`;
  expect(await refused({ teacherMode: "train" })).toBe(text("the teacher"));
  const loss: DistillationLoss = {
    name: "own",
    needsTeacher: false,
    modules: { norm: new BatchNorm1d(3) },
    config: () => "own",
    compute: ({ student }) => ({ loss: student.logits.mean(), metrics: {} }),
  };
  expect(await refused({ loss })).toBe(text("the loss own"));
  expect(existsSync(out)).toBe(false);
  // In eval mode, or if the loss reads no teacher, it takes any batch.
  await distill(options);
  await distill({ ...options, loss: "cross-entropy" });
  await distill({ ...options, teacherMode: "train", dropLast: true });
});

test("options of a network as the teacher, where there is none or the loss reads none", async () => {
  const { data, student, teacher } = setting();
  const cache = await TeacherCache.compute(teacher, data);
  const logits = (batch: Batch) => noGrad(() => teacher.forward(batch.inputs));
  const out = join(folder, "unread");
  const refused = async (more: Partial<DistillInput>) =>
    (await failure(distill({ student, data, epochs: 1, out, ...more }), "BAD_ARGUMENT")).message;
  const isNone = "needs a network of Distillery's as the teacher, got another teacher";
  for (const [teacherCache, own] of [
    [true, logits],
    [cache, live(teacher)],
  ] as const) {
    expect(await refused({ teacher: own, teacherCache })).toBe(`teacherCache: ${isNone}`);
    expect(await refused({ teacher: own, teacherMode: "train" })).toBe(`teacherMode: ${isNone}`);
    expect(await refused({ teacher, teacherCache, loss: "cross-entropy" })).toBe(
      "teacherCache: the loss cross-entropy needs no teacher",
    );
  }
  expect(await refused({ loss: "cross-entropy", teacherMode: "train" })).toBe("teacherMode: needs a teacher");
  expect(await refused({ teacher, loss: "cross-entropy", teacherMode: "train" })).toBe(
    "teacherMode: the loss cross-entropy needs no teacher",
  );
  const isUntaught = "with alpha 0 the loss has no soft targets: leave it out";
  expect(await refused({ teacher, alpha: 0, teacherCache: true })).toBe(`teacherCache: ${isUntaught}`);
  expect(await refused({ teacher, loss: "kd(temperature=4, alpha=0)" })).toBe(`loss: kd: temperature: ${isUntaught}`);
  expect(existsSync(out)).toBe(false);
  // These ask nothing.
  const idle = { student, data, epochs: 1, teacherCache: false, teacherMode: "eval" } as const;
  await distill({ ...idle, teacher: logits });
  await distill({ ...idle, loss: "cross-entropy" });
});

test("NaN in tensors is refused before they are data, naming the row", async () => {
  const values = new Float32Array(24).fill(1);
  values[15] = Number.NaN;
  const make = () => new TensorDataset(new Tensor(values, [4, 6]), new Int32Array(4));
  expect(await refusal("NON_FINITE", make)).toBe("inputs: expected finite numbers, got NaN in row 2, column 3");
});

/** A user's data set that nobody checked: ones, but for the third batch of 16. */
function poisoned(value: number): Dataset {
  const batch = (indices: Int32Array) => ({
    inputs: new Tensor(
      Float32Array.from(indices, (i) => (i === 40 ? value : 1 + (i % 5))),
      [indices.length, 1],
    ),
    labels: new IntTensor(indices.map((i) => i % 2)),
    indices,
  });
  const slice = (start: number, end: number) => batch(new Int32Array(end - start).map((_, i) => start + i));
  return {
    name: "poisoned",
    length: 50,
    features: 1,
    classes: 2,
    batch,
    slice,
    fingerprint: () => String(value),
  };
}

describe("numbers that are not finite", () => {
  const networks = () => ({
    teacher: new StudentNet({ inFeatures: 1, hidden: [4, 4], classes: 2 }),
    student: new StudentNet({ inFeatures: 1, hidden: [4, 4], classes: 2 }),
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("%s in data stops the run at its step", async (value) => {
    const options = { ...networks(), data: poisoned(value), shuffle: false };
    await fails("NON_FINITE", options, /^epoch 1, step 3 of 4: /);
    const { student: model, data } = options;
    const training = trainTeacher({ model, data, epochs: 1, batchSize: BATCH, shuffle: false });
    expect((await failure(training, "NON_FINITE")).message).toMatch(/^epoch 1, step 3 of 4: /);
  });

  test("in a later epoch; what was before stays, and can be resumed", async () => {
    const out = join(folder, "later");
    const run = start({
      out,
      checkpointEvery: 1,
      onEpoch: ({ epoch }) => void (epoch === 2 && run.setting.student.parameters()[0]?.data.fill(Number.NaN)),
    });
    expect((await failure(run.done, "NON_FINITE")).message).toMatch(/^epoch 3, step 1 of 4: /);
    const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).epoch)).toEqual([1, 2]);
    expect(readdirSync(out).sort()).toEqual([
      "checkpoint.1.safetensors",
      "checkpoint.safetensors",
      "config.json",
      "metrics.jsonl",
      "run.lock",
    ]);
    expect(await start({ out, resume: true }).end).toEqual(await start().end);
  });

  test("a learning rate that blows up", async () => {
    await fails("NON_FINITE", { lr: 1e30, divFactor: 1 }, /^epoch 1, step \d of 4: /);
  });
});

describe("a folder that can't be written", () => {
  test.each(["in its place", "above it"])("a file %s", async (where) => {
    const file = join(folder, `file ${where}`);
    writeFileSync(file, "mine");
    const out = where === "above it" ? join(file, "run") : file;
    const { message } = await failure(start({ out }).done, "IO_ERROR");
    expect(message).toBe(`${out}: can't write it: a part of its path is a file, not a folder`);
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test("a checkpoint that can't be written ends the run", async () => {
    const out = join(folder, "blocked");
    const block: Options["onStep"] = ({ step }) => {
      if (step === 1) mkdirSync(join(out, "checkpoint.safetensors", "full"), { recursive: true });
    };
    const { message } = await failure(start({ out, checkpointEvery: 1, onStep: block }).done, "IO_ERROR");
    expect(message).toContain(`${join(out, "checkpoint.safetensors")}: can't write it: `);
    expect(readdirSync(out).filter((file) => file.startsWith("distilled"))).toEqual([]);
  });
});
