import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import {
  averaged,
  type Batch,
  distill,
  type Ensemble,
  evaluate,
  frozen,
  Generator,
  labelsOf,
  live,
  logitsOf,
  type Module,
  noGrad,
  StudentNet,
  type Teacher,
  TeacherCache,
  TeacherNet,
  Tensor,
  TensorDataset,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { BATCH, SAMPLES, SIZES, setting, timeless } from "../train/support.js";

type Own = ReturnType<typeof setting> & { second: Module };

function own(): Own {
  const first = setting();
  return { ...first, second: new TeacherNet({ ...SIZES, hidden: [9, 7, 5] }).freeze() };
}

/** A run with the teacher that is made of the networks. */
function run(make: (own: Own) => unknown, more: object = {}) {
  return drawingFrom(new Generator(0), async () => {
    const { second, ...rest } = own();
    const teacher = (await make({ ...rest, second })) as Teacher;
    const validation = withGenerator(new Generator(9), setting).data;
    const generator = new Generator(7);
    const { history } = await withGenerator(generator, () =>
      distill({ ...rest, teacher, epochs: 2, batchSize: BATCH, lr: 0.01, validation, ...more }),
    );
    return { history: history.map(timeless), random: [...generator.state] };
  });
}

const A = [
  [2, -1, 0.5],
  [0, 300, -300],
];
const B = [
  [-1, 3, 0],
  [1, 2, 4],
];
const softmax = (row: readonly number[]) => {
  const shift = Math.max(...row);
  const exps = row.map((z) => Math.exp(z - shift));
  const sum = exps.reduce((a, b) => a + b);
  return exps.map((e) => e / sum);
};

/** A network that gives fixed logits. */
const answers = (logits: readonly (readonly number[])[]): Teacher => ({
  name: "fixed",
  fingerprint: () => "f",
  outputs: () => ({ logits: new Tensor(Float32Array.from(logits.flat()), [2, 3]), taps: {} }),
});

async function averageOf(options: object): Promise<number[]> {
  const teacher = averaged([answers(A), answers(B)], options) as Teacher;
  return [...(await teacher.outputs({} as Batch)).logits.data];
}

describe("the average's values", () => {
  test("logits, weighted: their sum is 1", async () => {
    const expected = A.flatMap((row, i) => row.map((z, j) => (2 / 3) * z + (1 / 3) * B[i][j]));
    const got = await averageOf({ weights: [2, 1] });
    for (const [i, z] of got.entries()) expect(z).toBeCloseTo(expected[i], 4);
  });

  test("probabilities: the logarithm of their mean, finite where one network is certain", async () => {
    const got = await averageOf({ average: "probabilities", weights: [2, 1] });
    const probabilities = A.flatMap((row, i) => softmax(row).map((p, j) => (2 / 3) * p + (1 / 3) * softmax(B[i])[j]));
    for (const [i, z] of got.entries()) expect(z).toBeCloseTo(Math.log(probabilities[i]), 5);
  });

  test.each(["logits", "probabilities"] as const)(
    "%s by confidence: weight times highest probability",
    async (average) => {
      const got = await averageOf({ average, weights: [2, 1], byConfidence: true });
      const expected = A.flatMap((row, i) => {
        const [a, b] = [2 * Math.max(...softmax(row)), Math.max(...softmax(B[i]))];
        const [first, second] = [a / (a + b), b / (a + b)];
        return row.map((z, j) =>
          average === "logits"
            ? first * z + second * B[i][j]
            : Math.log(first * softmax(row)[j] + second * softmax(B[i])[j]),
        );
      });
      for (const [i, z] of got.entries()) expect(z).toBeCloseTo(expected[i], 4);
    },
  );

  test("an average with itself is the network", async () => {
    const teacher = averaged([answers(A), answers(A)], { average: "probabilities" }) as Teacher;
    const { logits } = await teacher.outputs({} as Batch);
    expect(softmax([...logits.data.slice(0, 3)])[0]).toBeCloseTo(softmax(A[0])[0], 6);
  });
});

describe("networks are cached, prefetched and run live with the same bits", () => {
  test.each([
    ["logits", {}],
    ["probabilities", { average: "probabilities", weights: [3, 1] }],
    ["by confidence", { average: "probabilities", byConfidence: true }],
  ] as const)("%s", async (_, options) => {
    const ensemble = ({ teacher, second }: Own): Ensemble => averaged([teacher, second], options);
    const notes: string[] = [];
    const expected = await run(ensemble, { onNote: (text: string) => notes.push(text) });
    expect(notes).toEqual([expect.stringContaining("50 x 3 logits computed once")]);
    expect(await run(ensemble, { teacherCache: false })).toEqual(expected);
    expect(await run((own) => live(ensemble(own)))).toEqual(expected);
    // A teacher that is no network beside one: each for itself.
    const mixed = (own: Own) => averaged([frozen(own.teacher), own.second], options);
    expect(await run(mixed)).toEqual(expected);
    const asynchronous = ({ teacher, second }: Own) =>
      averaged(
        [
          ({ inputs }) =>
            setTimeout(
              1,
              noGrad(() => teacher.eval().forward(inputs)),
            ),
          second,
        ],
        options,
      );
    const without = expected.history.map(({ agreement: _, ...record }) => record);
    expect(await run(asynchronous)).toEqual({ ...expected, history: without });
  });

  test("in train mode, prefetched or not", async () => {
    const ensemble = ({ teacher, second }: Own) => averaged([teacher, second]);
    const expected = await run(ensemble, { teacherMode: "train" });
    expect(await run((own) => live(ensemble(own), { mode: "train" }))).toEqual(expected);
    const mixed = ({ teacher, second }: Own) =>
      averaged([live(teacher, { mode: "train" }), frozen(second, { mode: "train" })]);
    expect(await run(mixed)).toEqual(expected);
  });
});

test("a loss reads the hidden outputs of one network by its path, and none of a mixture", async () => {
  const loss = {
    name: "hidden",
    needsTeacher: true,
    taps: { teacher: ["networks.1.fc1"] },
    config: () => null,
    compute: ({ student, teacher }: { student: { logits: Tensor }; teacher: { taps: Record<string, Tensor> } }) => ({
      loss: student.logits.mean().add(teacher.taps["networks.1.fc1"].mean()),
      metrics: { width: teacher.taps["networks.1.fc1"].shape[1] },
    }),
  };
  const { history } = await run(({ teacher, second }) => averaged([teacher, second]), { loss });
  expect(history[0].width).toBe(9);
  const refusal = run(({ teacher, second }) => averaged([live(teacher), second]), { loss });
  await expect(refusal).rejects.toThrow(
    'teacher: averaged(live, frozen) has no output of the module "networks.1.fc1", which the loss reads: an average of networks alone has those of each network',
  );
});

test("a cache of one average is refused for another of the same networks", async () => {
  const { teacher, second, data } = withGenerator(new Generator(0), own);
  const cache = await TeacherCache.compute(averaged([teacher, second]), data);
  expect(() => cache.expectOf(averaged([teacher, second], { weights: [2, 1] }), data)).toThrow("another teacher");
  expect(() => cache.expectOf(averaged([teacher, second], { average: "probabilities" }), data)).toThrow();
  expect(() => cache.expectOf(averaged([teacher, second], { byConfidence: true }), data)).toThrow();
  expect(() => cache.expectOf(averaged([teacher, second], { weights: [3, 3] }), data)).not.toThrow();
});

test.each<[string, object, string]>([
  ["another average", { average: "mean" }, 'average: expected "logits" or "probabilities", got "mean"'],
  ["a weight of 0", { weights: [1, 0] }, "weights[1]: expected a number above 0"],
  ["weights of another number", { weights: [1] }, "weights: expected a list of 2 numbers"],
  ["an unknown option", { wieghts: [1, 1] }, "wieghts"],
])("refused: %s", (_, options, message) => {
  const { teacher, second } = withGenerator(new Generator(0), own);
  expect(() => averaged([teacher, second], options)).toThrow(message);
  expect(() => averaged([live(teacher), second], options)).toThrow(message);
});

test("one teacher is no average", () => {
  const { teacher } = withGenerator(new Generator(0), own);
  for (const one of [teacher, live(teacher)])
    expect(() => averaged([one])).toThrow("teachers: expected two teachers or more");
});

test.each([
  [
    { average: "probabilities" },
    "average: probabilities are of classes, and the data are for regression: leave it out",
  ],
  [{ byConfidence: true }, "byConfidence: probabilities are of classes, and the data are for regression: leave it out"],
] as const)("probabilities of targets are refused: %o", async (options, message) => {
  const { teacher, second, student, data } = withGenerator(new Generator(0), own);
  const { inputs } = data.slice(0, SAMPLES);
  const targets = new TensorDataset(
    inputs,
    noGrad(() => second.forward(inputs)),
    { task: "regression", name: "targets" },
  );
  expect(() => evaluate(averaged([teacher, second], options), targets)).toThrow(message);
  for (const one of [teacher, live(teacher)]) {
    const run = distill({ teacher: averaged([one, second], options), student, data: targets, alpha: 1 });
    await expect(run).rejects.toThrow(message);
  }
});

test("networks that were trained with the classes in other orders are averaged by the classes' names", async () => {
  const { data } = withGenerator(new Generator(0), setting);
  const { inputs } = data.slice(0, SAMPLES);
  const named = (order: readonly number[]) =>
    new TensorDataset(
      inputs,
      labelsOf(data).map((label) => order.indexOf(label)),
      { classes: 3, classNames: order.map((i) => "abc"[i]), name: "named" },
    );
  const [plain, turned] = [named([0, 1, 2]), named([2, 0, 1])];
  const [first, second] = [plain, turned].map(() => new StudentNet({ ...SIZES, hidden: [8, 5] }));
  await trainTeacher({ model: first, data: plain, epochs: 1 });
  await trainTeacher({ model: second, data: turned, epochs: 1 });
  const [a, b] = [logitsOf(first, plain).data, logitsOf(second, turned).data];
  // Class 0 is the turned network's second, 1 its third, 2 its first.
  const expected = a.map((z, at) => (z + b[at - (at % 3) + [1, 2, 0][at % 3]]) / 2);
  const got = logitsOf(averaged([first, second]), plain).data;
  for (const [i, z] of got.entries()) expect(z).toBeCloseTo(expected[i], 6);
});

test("of objects of a class the methods are called as methods", async () => {
  class OfNetwork implements Teacher {
    readonly name = "own";
    constructor(private readonly network: Module) {}
    fingerprint() {
      return null;
    }
    outputs({ inputs }: Batch) {
      return { logits: noGrad(() => this.network.forward(inputs)), taps: {} };
    }
    evaluate(batch: Batch) {
      return this.outputs(batch);
    }
  }
  const { history } = await run(({ teacher, second }) => averaged([new OfNetwork(teacher), new OfNetwork(second)]));
  expect(history[0]).toHaveProperty("agreement");
});

test("each teacher hears of steps and is closed, also after one that can't be", async () => {
  const { teacher: first } = withGenerator(new Generator(0), own);
  const calls: string[] = [];
  const mine = (name: string, close: () => void): Teacher => ({
    ...live(first),
    afterStep: () => void calls.push(`${name} steps`),
    close,
  });
  const failing = mine("first", () => {
    throw new Error("the first is gone");
  });
  const teacher = averaged([failing, mine("second", () => void calls.push("second closes"))]) as Teacher;
  teacher.afterStep?.();
  await expect(teacher.close?.()).rejects.toThrow("the first is gone");
  expect(calls).toEqual(["first steps", "second steps", "second closes"]);
});
