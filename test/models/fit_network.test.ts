import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  compare,
  createNetwork,
  type Dataset,
  distill,
  encodeSamples,
  evaluate,
  frozen,
  Generator,
  ImageDataset,
  live,
  loadData,
  loadNetwork,
  logitsOf,
  type Module,
  predict,
  preprocessingOf,
  readPreprocessing,
  Subset,
  splitDataset,
  sweep,
  TableDataset,
  TeacherCache,
  TensorDataset,
  tensor,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const KINDS = ["ant", "bee", "cat"];
let file: string;
let teacher: Module;

/** Rows that a network tells apart by all their columns, the second of which is a hundred times the first. */
function rows(count: number, shift = 0): Record<string, string | number>[] {
  return Array.from({ length: count }, (_, i) => {
    const [kind, jitter] = [i % 3, ((i * 37) % 11) / 10 - 0.5];
    return {
      a: kind + jitter + shift,
      b: 100 * (3 - kind) + 40 * jitter,
      c: kind === 1 ? "x" : "y",
      label: KINDS[kind],
    };
  });
}

function csv(name: string, table: readonly Record<string, string | number>[], columns = Object.keys(table[0])): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    [columns.join(), ...table.map((row) => columns.map((column) => row[column]).join()), ""].join("\n"),
  );
  return path;
}

const all = async (path: string) => (await loadData(path, { testFraction: 0 })).train;

beforeAll(async () => {
  file = csv("insects.csv", rows(150));
  const { train } = await loadData(file);
  const model = withGenerator(new Generator(0), () => createNetwork("mlp(hidden=[16])", { shape: [4], classes: 3 }));
  await trainTeacher({ model, data: train, epochs: 30, batchSize: 16, lr: 0.02, out: join(folder, "teacher") });
  teacher = await loadNetwork(join(folder, "teacher", "teacher.safetensors"));
});

/** The network's logits for rows, as `predict` makes them, in an order of the classes. */
async function expectedLogits(table: readonly Record<string, string | number>[], classes = KINDS): Promise<number[][]> {
  const spec = await readPreprocessing(join(folder, "teacher", "teacher.safetensors"));
  if (spec?.kind !== "table") throw new TypeError("no table");
  const { data } = teacher.forward(encodeSamples(spec, table));
  return table.map((_, i) => classes.map((name) => data[3 * i + KINDS.indexOf(name)]));
}

const close = (rows: number[][]) => rows.map((row) => row.map((x) => expect.closeTo(x, 3)));

describe("columns and classes of the data go by their names", () => {
  test.each([
    ["in another order", ["label", "c", "b", "a"]],
    ["among others", ["id", "b", "label", "a", "more", "c"]],
  ])("columns %s", async (_, columns) => {
    const table = rows(90, 0.1).map((row, i) => ({ ...row, id: i, more: "xyz"[i % 3] }));
    const data = await all(csv("other.csv", table, columns));
    expect(logitsOf(teacher, data).toArray()).toEqual(close(await expectedLogits(table)));
    expect(evaluate(teacher, data).accuracy).toBeGreaterThan(0.95);
    expect(evaluate(teacher, data, { teacher }).agreement).toBe(1);
  });

  test("numbers are standardised by the network's own statistics, not by the data's", async () => {
    const table = rows(60, 1.5);
    const data = await all(csv("shifted.csv", table));
    expect(logitsOf(teacher, data).toArray()).toEqual(close(await expectedLogits(table)));
  });

  test("classes that are numbered otherwise, and fewer", async () => {
    const data = (await all(file)) as TableDataset;
    const reversed = ["cat", "bee", "ant"];
    const labels = data.labels.data.map((label) => 2 - label);
    const other = new TableDataset(data.inputs, labels, { table: data.table, classNames: reversed });
    expect(logitsOf(teacher, other).toArray()).toEqual(close(await expectedLogits(rows(150), reversed)));
    expect(evaluate(teacher, other).accuracy).toBe(evaluate(teacher, data).accuracy);
    const two = rows(150).filter(({ label }) => label !== "bee");
    const fewer = await all(
      csv(
        "two.csv",
        two.map((row, i) => ({ ...row, c: "xy"[i % 2] })),
      ),
    );
    const expected = await expectedLogits(
      two.map((row, i) => ({ ...row, c: "xy"[i % 2] as string })),
      ["ant", "cat"],
    );
    expect(logitsOf(teacher, fewer).toArray()).toEqual(close(expected));
  });

  test("as a teacher: of every kind, cached or not, with hidden outputs", async () => {
    const swapped = await all(csv("swapped.csv", rows(90), ["label", "c", "b", "a"]));
    const plain = await all(csv("plain.csv", rows(90)));
    const student = () =>
      withGenerator(new Generator(1), () => createNetwork("mlp(hidden=[4])", { shape: [4], classes: 3 }));
    const validation = new Subset(
      swapped,
      Int32Array.from({ length: 30 }, (_, i) => i),
    );
    const run = async (options: object, data = swapped) => {
      const { history } = await withGenerator(new Generator(2), () =>
        distill({ teacher, student: student(), data, validation, epochs: 1, batchSize: 30, alpha: 1, ...options }),
      );
      return [history[0].metrics.loss, history[0].metrics.agreement];
    };
    const [loss, agreement] = await run({});
    for (const options of [{ teacher: frozen(teacher) }, { teacher: live(teacher) }, { teacherCache: false }]) {
      expect(await run(options)).toEqual([expect.closeTo(loss, 6), agreement]);
    }
    const teacherCache = await TeacherCache.compute(teacher, swapped);
    expect(await run({ teacherCache })).toEqual([loss, agreement]);
    const texts = (data: Dataset) => Array.from(logitsOf(teacher, data).data, (x) => x.toFixed(3));
    expect(texts(swapped)).toEqual(texts(plain));
  });

  test("what the network lacks is refused by its name", async () => {
    const refused = async (table: Record<string, string | number>[], columns?: string[]) => {
      const data = await all(csv("refused.csv", table, columns));
      const student = createNetwork("student", { shape: [data.features], classes: data.classes });
      const errors = [
        () => evaluate(teacher, data),
        () => distill({ teacher, student, data, epochs: 1 }),
        () => distill({ teacher: frozen(teacher), student, data, epochs: 1 }),
      ].map(async (call) => await call());
      const texts = await Promise.all(errors.map((error) => error.then(String, (e: Error) => e.message)));
      expect(new Set(texts).size).toBe(1);
      return texts[0];
    };
    const path = join(folder, "teacher", "teacher.safetensors");
    expect(await refused(rows(60), ["a", "c", "label"])).toBe(
      `${path}: was trained on the column "b", which refused lacks: it has "a", "c"`,
    );
    expect(await refused(rows(60).map((row, i) => ({ ...row, label: i % 2 ? "ant" : "dog" })))).toBe(
      `${path}: does not know the class "dog" of refused: it knows "ant", "bee", "cat"`,
    );
    expect(await refused(rows(60).map((row, i) => ({ ...row, a: i === 7 ? 1e15 : row.a })))).toMatch(
      /: the column "a": the mean or deviation of refused is \d{12,} of the network's deviations: float32 values do not hold what it tells apart\. Is one an outlier\?$/,
    );
    expect(await refused(rows(60).map((row, i) => ({ ...row, c: "xyz"[i % 3] })))).toBe(
      `${path}: knows "x", "y" in the column "c": refused has "z" too`,
    );
    expect(await refused(rows(60).map((row, i) => ({ ...row, a: "pq"[i % 2] })))).toBe(
      `${path}: takes numbers in the column "a": refused has texts`,
    );
    const pixels = new ImageDataset(new Uint8Array(16), Int32Array.of(0, 1, 2, 0), {
      image: { channels: 1, height: 2, width: 2 },
      mean: 0,
      std: 1,
      name: "photos",
    });
    expect(() => evaluate(teacher, pixels)).toThrow(
      `${path}: takes rows of a table with the columns "a", "b", "c": photos has images of 1 x 2 x 2`,
    );
  });

  test("pixels are normalised as the network's were, whatever the data set's normalisation", async () => {
    const pixels = Uint8Array.from({ length: 240 }, (_, i) => (i * 37) % 256);
    const labels = Int32Array.from({ length: 60 }, (_, i) => i % 2);
    const image = { channels: 1, height: 2, width: 2 };
    const [own, other] = [
      new ImageDataset(pixels, labels, { image, mean: 0.3, std: 0.2 }),
      new ImageDataset(pixels, labels, { image, mean: 0, std: 1 }),
    ];
    const model = createNetwork("mlp(hidden=[4])", { shape: [4], classes: 2 });
    await trainTeacher({ model, data: own, epochs: 1 });
    const [a, b] = [own, other].map((data) => logitsOf(model, data).toArray() as number[][]);
    expect(b).toEqual(a.map((row) => row.map((x) => expect.closeTo(x, 5))));
  });
});

describe("a network of images", () => {
  const pixels = Uint8Array.from({ length: 240 }, (_, i) => (i * 37) % 256);
  const labels = Int32Array.from({ length: 60 }, (_, i) => i % 2);
  const image = { channels: 1, height: 2, width: 2 };
  const trained = async (classNames: string[]) => {
    const model = createNetwork("mlp(hidden=[4])", { shape: [4], classes: 2 });
    const data = new ImageDataset(pixels, labels, { image, mean: 0.3, std: 0.2, classNames });
    await trainTeacher({ model, data, epochs: 1 });
    return model;
  };

  test("takes no numbers by their place, not even of as many", async () => {
    const model = await trained(["0", "1"]);
    const data = new TensorDataset(tensor(Float32Array.from(pixels), { shape: [60, 4] }), labels, { name: "floats" });
    const text = /takes images of 1 x 2 x 2: floats has 4 numbers a sample: .*astype\("uint8"\)/;
    expect(() => evaluate(model, data)).toThrow(text);
    const student = createNetwork("mlp(hidden=[4])", { shape: [4], classes: 2 });
    await expect(distill({ teacher: model, student, data, epochs: 1 })).rejects.toThrow(text);
    const path = join(folder, "floats");
    mkdirSync(path);
    writeFileSync(join(path, "x.npy"), npy([60, 2, 2, 1], Float32Array.from(pixels)));
    writeFileSync(join(path, "y.npy"), npy([60], labels));
    const { train } = await loadData(path, { testFraction: 0 });
    expect(() => evaluate(model, train)).toThrow(text);
  });

  test("with named classes takes no labels that are numbers alone, unless the names are those numbers", async () => {
    const data = (options: object, of = labels) => new ImageDataset(pixels, of, { image, mean: 0, std: 1, ...options });
    const named = await trained(["cat", "ant"]);
    expect(() => evaluate(named, data({ name: "plain" }))).toThrow(
      /knows its classes by names, "cat", "ant": plain has their numbers alone/,
    );
    expect(evaluate(named, data({ classNames: ["cat", "ant"] })).samples).toBe(60);
    expect(evaluate(await trained(["0", "1"]), data({})).samples).toBe(60);
    const none = data({ unlabelled: true, classes: 2 }, new Int32Array(60).fill(-1));
    expect(logitsOf(named, none).shape).toEqual([60, 2]);
  });
});

describe("missing numbers", () => {
  const gaps = (shift = 0) => rows(60, shift).map((row, i) => (i % 4 === 0 ? { ...row, a: "" } : row));
  const read = async (name: string, missing: "mean" | "category" | "error", table = rows(60)) =>
    (await loadData(csv(name, table), { missing, testFraction: 0 })).train;
  const trained = async (data: Dataset) => {
    const model = createNetwork("mlp(hidden=[4])", { shape: [data.features], classes: 3 });
    await trainTeacher({ model, data, epochs: 1 });
    return model;
  };

  test.each(["mean", "category"] as const)("are the mean of a network's own numbers: %s", async (missing) => {
    const data = await read("gaps.csv", missing, gaps());
    const model = await trained(data);
    const spec = preprocessingOf(data);
    if (spec.kind !== "table") throw new TypeError("no table");
    const shifted = gaps(1.5);
    const other = await read("shifted_gaps.csv", "category", shifted);
    const { data: logits } = model.eval().forward(encodeSamples(spec, shifted));
    expect([...logitsOf(model, other).data]).toEqual([...logits].map((x) => expect.closeTo(x, 4)));
  });

  test("are refused by a network that knows none", async () => {
    const model = await trained(await read("whole.csv", "error"));
    const some = await read("some.csv", "category", gaps());
    expect(() => evaluate(model, some)).toThrow('model: takes no missing cell in the column "a": some has some');
  });

  test("are refused with the mean in their place by a network that tells them apart", async () => {
    const model = await trained(await read("told.csv", "category", gaps()));
    const filled = await read("filled.csv", "mean", gaps());
    expect(() => evaluate(model, filled)).toThrow(
      'model: tells missing cells in the column "a": filled has the mean in their place: load it with missing category (--missing category)',
    );
    expect(evaluate(model, await read("none.csv", "error")).samples).toBe(60);
  });
});

describe("data that a network is evaluated on, read as it takes them", () => {
  test("give what predict gives", async () => {
    const preprocessing = await readPreprocessing(join(folder, "teacher", "teacher.safetensors"));
    if (preprocessing?.kind !== "table") throw new TypeError("no table");
    // One class alone, a column more, and numbers far from those of training.
    const table = rows(60, 0.2).filter(({ label }) => label === "bee");
    const path = csv("later.csv", table, ["c", "label", "a", "b"]);
    const { train } = await loadData(path, { preprocessing, testFraction: 0 });
    const { inputs, labels } = train.slice(0, train.length);
    expect(inputs.toArray()).toEqual(encodeSamples(preprocessing, table).toArray());
    expect(new Set(labels.data)).toEqual(new Set([1]));
    expect(train.classNames).toEqual(KINDS);
    const right = predict(teacher, inputs).filter((one) => one.class === 1).length;
    expect(evaluate(teacher, train)).toMatchObject({ correct: right, samples: 20 });
    const spec = {
      kind: "values",
      features: 3,
      mean: [0, 0, 0],
      std: [1, 1, 1],
      classes: 3,
      classNames: null,
    } as const;
    await expect(loadData(file, { preprocessing: spec, testFraction: 0 })).rejects.toThrow(
      `${file}: the network takes 3 numbers a sample, got rows of a table`,
    );
    const matrix = join(folder, "x.npy");
    writeFileSync(matrix, npy([4, 4], new Float64Array(16)));
    writeFileSync(join(folder, "y.npy"), npy([4], Int32Array.of(0, 1, 2, 0)));
    await expect(loadData(matrix, { preprocessing, testFraction: 0 })).rejects.toThrow(
      `${matrix}: the network takes rows of a table with the columns "a", "b", "c", got 4 numbers a sample`,
    );
    const unknown = csv("unknown.csv", [{ ...table[0], label: "dog" }]);
    await expect(loadData(unknown, { preprocessing, testFraction: 0 })).rejects.toThrow(
      `${unknown}: line 2: the network does not know the class "dog": it knows "ant", "bee", "cat"`,
    );
    const none = csv("none.csv", [table[0], { ...table[1], label: "" }]);
    await expect(loadData(none, { preprocessing, testFraction: 0 })).rejects.toThrow(
      `${none}: line 3: its label, "label", is missing: leave the row out`,
    );
  });
});

describe("a teacher that was trained on rows of the test set", () => {
  const options = { epochs: 1, batchSize: 16, seeds: 1, temperatures: [1], alphas: [1] };
  const student = () => createNetwork("student", { shape: [4], classes: 3 });

  test.each([
    ["compare", compare],
    ["sweep", sweep],
  ] as const)("is refused by %s", async (name, call) => {
    const { train: data, test: held } = await loadData(file, { splitSeed: 5 });
    if (held === null) throw new TypeError("no test part");
    const { seeds: _, ...grid } = options;
    const { temperatures: __, alphas: ___, ...pairs } = options;
    const input = { teacher, student, data, test: held, out: join(folder, name), ...(name === "sweep" ? grid : pairs) };
    await expect(call(input as Parameters<typeof compare>[0] & Parameters<typeof sweep>[0])).rejects.toThrow(
      /teacher\.safetensors: was trained on \d+ of the 30 test samples: testFraction 0\.2 with splitSeed 0 \(--test-fraction, --split-seed\) is the split it was trained with: /,
    );
  });

  test("also where a program split the data", async () => {
    const data = await all(file);
    const { train } = splitDataset(data, { count: 30, seed: 3 });
    const kept = Int32Array.from({ length: 100 }, (_, i) => i);
    const rest = Int32Array.from({ length: 50 }, (_, i) => 100 + i);
    const cases = [
      [train, splitDataset(data, { count: 30, seed: 3 }).heldOut, 0],
      [new Subset(data, kept), new Subset(data, rest), 0],
      [
        new Subset(data, kept),
        new Subset(
          data,
          rest.map((i) => i - 10),
        ),
        10,
      ],
    ] as const;
    for (const [i, [part, held, count]] of cases.entries()) {
      const model = student();
      const out = join(folder, `own-${i}`);
      await trainTeacher({ model, data: part, epochs: 1, out });
      const again = await loadNetwork(join(out, "teacher.pth"));
      const call = compare({
        teacher: again,
        student,
        // The students' samples are in no test set: what is refused is the teacher.
        data: count === 0 ? part : new Subset(data, kept.subarray(0, 60)),
        test: held,
        out: join(folder, `compare-${i}`),
        epochs: 1,
        seeds: 1,
      });
      if (count === 0) await call;
      else await expect(call).rejects.toThrow(`was trained on ${count} of the 50 test samples`);
    }
  });
});
