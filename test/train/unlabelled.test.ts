import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  augment,
  type Batch,
  crossEntropy,
  type Dataset,
  distill,
  evaluate,
  Generator,
  ImageDataset,
  kdLoss,
  loadData,
  noGrad,
  StudentNet,
  Subset,
  splitDataset,
  Tensor,
  TensorDataset,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { failure, temporaryFolder } from "../support.js";
import { SAMPLES, setting, timeless } from "./support.js";

const folder = temporaryFolder();
const ONE_BATCH = { epochs: 1, batchSize: SAMPLES, shuffle: false } as const;

/** The setting with the labels that `keep` keeps; null: no labels at all. */
function partly(keep: ((i: number) => boolean) | null) {
  return withGenerator(new Generator(0), () => {
    const { data: whole, teacher, student } = setting();
    const { inputs, labels } = whole.slice(0, SAMPLES);
    const some = keep && labels.data.map((label, i) => (keep(i) ? label : -1));
    const data = new TensorDataset(inputs, some, { classes: 3, ...(some && { unlabelled: true }), name: whole.name });
    return { whole, teacher: teacher.eval(), student, data, inputs, labels: labels.data };
  });
}
const third = (i: number) => i % 3 === 0;
const run = <T>(body: () => T) => withGenerator(new Generator(7), body);

describe("a transfer set of which some samples have labels", () => {
  test.each([
    ["0.4*cross-entropy + 0.6*kd(temperature=2)", 0],
    ["kd(temperature=2, alpha=0.6)", 0],
    ["0.4*cross-entropy(labelSmoothing=0.1) + 0.6*kd(temperature=2)", 0.1],
  ])(
    "%s: the labels' part is the mean over the labelled ones, the teacher's over all",
    async (loss, labelSmoothing) => {
      const { data, teacher, student, inputs, labels } = partly(third);
      const { hard, soft } = noGrad(() => {
        const [own, target] = [student.forward(inputs), teacher.forward(inputs)];
        const rows = Int32Array.from(labels.keys()).filter(third);
        const known = rows.map((row) => labels[row]);
        return {
          hard: crossEntropy(own.indexSelect(0, rows), known, { labelSmoothing }).item(),
          soft: kdLoss(own, target, labels, { temperature: 2, alpha: 1 }).item(),
        };
      });
      const { history } = await run(() => distill({ teacher, student, data, loss, ...ONE_BATCH }));
      expect(history[0].metrics.loss).toBeCloseTo(0.4 * hard + 0.6 * soft, 6);
      expect(history[0].metrics.labelled).toBe(17);
    },
  );

  test("a batch without labels learns from the teacher alone; metrics say how many of a batch have one", async () => {
    const { data, teacher, student } = partly((i) => i < 10);
    const loss = "cross-entropy + kd(temperature=2)";
    const { history } = await run(() =>
      distill({ teacher, student, data, loss, epochs: 1, batchSize: 10, shuffle: false }),
    );
    expect(history[0].metrics.labelled).toBe(2);
    const [first] = [partly((i) => i < 10)].map((own) =>
      noGrad(() => crossEntropy(own.student.forward(own.inputs.slice(0, 10)), own.labels.slice(0, 10)).item()),
    );
    // The mean over the steps: four of five have none.
    expect(history[0].metrics["cross-entropy"]).toBeCloseTo(first / 5, 6);
  });

  test("with all labels it is the run on labelled data, to the bit", async () => {
    const { whole, ...own } = partly(() => true);
    const labelled = partly(() => true);
    const a = await run(() =>
      distill({ ...own, inputs: undefined, labels: undefined, epochs: 2, batchSize: 16 } as never),
    );
    const b = await run(() =>
      distill({ teacher: labelled.teacher, student: labelled.student, data: labelled.whole, epochs: 2, batchSize: 16 }),
    );
    const without = a.history.map(timeless).map(({ labelled: _, ...record }) => record);
    expect(without).toEqual(b.history.map(timeless));
  });

  test("trainTeacher learns from the labelled ones", async () => {
    const { data, student } = partly(third);
    const { history } = await run(() => trainTeacher({ model: student, data, ...ONE_BATCH }));
    expect(history[0].metrics.labelled).toBe(17);
  });

  test("a split holds out labelled samples alone", () => {
    const { data, whole } = partly(third);
    const labelled = new Subset(
      whole,
      Int32Array.from({ length: 17 }, (_, i) => 3 * i),
    );
    const { train, heldOut } = splitDataset(data, { fraction: 0.3 });
    expect([...(heldOut.labels?.data ?? [])].includes(-1)).toBe(false);
    expect(heldOut.length).toBe(splitDataset(labelled, { fraction: 0.3 }).heldOut.length);
    expect(train.length).toBe(50 - heldOut.length);
    expect([...(train.labels?.data ?? [])].filter((label) => label < 0)).toHaveLength(33);
  });
});

describe("a transfer set without labels", () => {
  test("the teacher alone: the run of kd on the same samples with labels, to the bit", async () => {
    const [none, all] = [partly(null), partly(() => true)];
    const loss = "kd(temperature=4)";
    const options = { loss, epochs: 2, batchSize: 16 };
    const a = await run(() => distill({ teacher: none.teacher, student: none.student, data: none.data, ...options }));
    const b = await run(() => distill({ teacher: all.teacher, student: all.student, data: all.whole, ...options }));
    expect(a.history.map(timeless)).toEqual(b.history.map((record) => ({ ...timeless(record), labelled: 0 })));
  });

  test("alpha 1 needs none", async () => {
    const { data, teacher, student } = partly(null);
    const { history } = await run(() => distill({ teacher, student, data, alpha: 1, ...ONE_BATCH }));
    expect(history[0].metrics).toMatchObject({ hard: 0, labelled: 0 });
  });

  test.each([
    ["cross-entropy + kd(temperature=2)", "cross-entropy: the data have no labels: leave this term out"],
    [undefined, "kd: the data have no labels: leave this term out; kd needs none without alpha, or with alpha 1"],
  ])("refused: %s", async (loss, message) => {
    const { data, teacher, student } = partly(null);
    const done = run(() => distill({ teacher, student, data, ...(loss && { loss }), ...ONE_BATCH }));
    expect((await failure(done, "BAD_ARGUMENT")).message).toContain(message);
  });
});

describe("what needs a label for each sample says so", () => {
  test("dkd", async () => {
    const { data, teacher, student } = partly(third);
    const done = run(() => distill({ teacher, student, data, loss: "dkd", ...ONE_BATCH }));
    const message = "dkd: needs a label for every sample, and sample 1 has none";
    expect((await failure(done, "BAD_ARGUMENT")).message).toContain(message);
  });

  test("validation and evaluation", async () => {
    const { data, teacher, student } = partly(third);
    const done = run(() => distill({ teacher, student, data, validation: data, ...ONE_BATCH }));
    expect((await failure(done, "BAD_ARGUMENT")).message).toBe(
      "validation: sample 1 has no label, which accuracy needs",
    );
    expect(() => evaluate(student, data)).toThrow("got -1");
  });

  test("a data set that does not say so", () => {
    expect(() => new TensorDataset(new Tensor(new Float32Array(2), [2, 1]), Int32Array.of(0, -1))).toThrow(
      "labels[1]: expected a class from 0",
    );
    expect(() => new TensorDataset(new Tensor(new Float32Array(2), [2, 1]), null)).toThrow("classes: needed");
  });
});

describe("files", () => {
  const rows = Array.from(
    { length: 60 },
    (_, i) => `${i % 7},${(i * 5) % 11},${i % 3 === 0 ? "" : ["no", "yes"][i % 2]}`,
  );
  const file = join(folder, "more.csv");
  beforeAll(() => writeFileSync(file, ["a,b,label", ...rows].join("\n")));

  test("a table's empty labels are none, and go to the training part", async () => {
    const { train, test: held } = await loadData(file, { unlabelled: true });
    const labels = (data: Dataset | null) => [...(data?.labels?.data ?? [])];
    expect(labels(train).filter((label) => label === -1)).toHaveLength(20);
    expect(labels(held)).not.toContain(-1);
    expect(held?.length).toBe(8);
    expect(train.classNames).toEqual(["no", "yes"]);
  });

  test("null in JSON lines, and -1 in NumPy's labels", async () => {
    const lines = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({ a: i % 5, label: i % 4 === 0 ? null : ["no", "yes"][i % 2] }),
    );
    writeFileSync(join(folder, "more.jsonl"), lines.join("\n"));
    const json = await loadData(join(folder, "more.jsonl"), { unlabelled: true, testFraction: 0 });
    expect([...(json.train.labels?.data ?? [])].slice(0, 5)).toEqual([-1, 1, 0, 1, -1]);
    const values = Float32Array.from({ length: 40 }, (_, i) => i % 5);
    writeFileSync(join(folder, "x.npy"), npy([40, 1], values));
    writeFileSync(
      join(folder, "y.npy"),
      npy(
        [40],
        Int32Array.from({ length: 40 }, (_, i) => (i % 4) - 1),
      ),
    );
    const arrays = await loadData(join(folder, "x.npy"), { unlabelled: true });
    const labels = [...(arrays.train.labels?.data ?? []), ...(arrays.test?.labels?.data ?? [])];
    expect(labels.filter((label) => label === -1)).toHaveLength(10);
    expect(arrays.train.classes).toBe(3);
    const { message } = await failure(loadData(join(folder, "x.npy")), "BAD_DATA");
    expect(message).toContain("got -1");
    expect(message).toContain("--unlabelled takes -1 as no label");
  });

  test("a table needs some labels, which name the classes", async () => {
    writeFileSync(join(folder, "none.csv"), "a,b,label\n1,2,\n3,4,\n");
    const { message } = await failure(loadData(join(folder, "none.csv"), { unlabelled: true }), "BAD_DATA");
    expect(message).toMatch(/none\.csv: no row has a label: at least some rows need one/);
  });

  test("without the flag they are refused with the advice", async () => {
    const { message } = await failure(loadData(file), "BAD_DATA");
    expect(message).toContain(
      'line 2: its label, "label", is empty: leave the row out, or, if it is a class, take the row without one (--unlabelled)',
    );
    const streamed = await failure(loadData(file, { unlabelled: true, stream: true }), "BAD_ARGUMENT");
    expect(streamed.message).toContain("has samples without labels, which are read whole");
  });
});

test("teacher and student see the same augmented images, in each step and each epoch others", async () => {
  const pixels = withGenerator(new Generator(3), () => Uint8Array.from({ length: 12 * 36 }, (_, i) => (i * 37) % 251));
  const images = new ImageDataset(pixels, new Int32Array(12), {
    classes: 3,
    features: 36,
    image: { channels: 1, height: 6, width: 6 },
    mean: 0.5,
    std: 0.5,
  });
  const data = augment(images, { shift: 2, flip: 0.5 });
  const seen: { teacher: number[][]; student: number[][] } = { teacher: [], student: [] };
  class Watched extends StudentNet {
    override forward(x: Tensor): Tensor {
      seen.student.push([...x.data]);
      return super.forward(x);
    }
  }
  const student = new Watched({ inFeatures: 36, classes: 3, hidden: [4, 4] });
  const teacher = {
    name: "watched",
    fingerprint: () => null,
    outputs: ({ inputs }: Batch) => {
      seen.teacher.push([...inputs.data]);
      return { logits: new Tensor(new Float32Array(inputs.shape[0] * 3), [inputs.shape[0], 3]), taps: {} };
    },
  };
  await run(() => distill({ teacher, student, data, epochs: 2, batchSize: 6 }));
  expect(seen.teacher).toHaveLength(4);
  expect(seen.student.slice(-4)).toEqual(seen.teacher);
  expect(new Set(seen.teacher.map(String)).size).toBe(4);
});
