import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  compare,
  createNetwork,
  type Dataset,
  distill,
  encodeSamples,
  evaluate,
  functionTeacher,
  type LabelPrediction,
  live,
  loadNetwork,
  logitsFile,
  Mlp,
  manualSeed,
  onnxTeacher,
  predict,
  preprocessingOf,
  type RegressionEvaluation,
  randn,
  readPreprocessing,
  saveOnnx,
  splitDataset,
  sweep,
  sweepSummary,
  type TaskEvaluation,
  TeacherCache,
  type Tensor,
  TensorDataset,
  tensor,
  trainTeacher,
  type ValuePrediction,
  type VectorEvaluation,
  writeLogits,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const OPTIONS = { epochs: 30, batchSize: 16, lr: 0.02, schedule: "constant" } as const;
const SCALE = { mean: [1000, -2], std: [250, 0.5] };

/** Two targets that are sums of three values, standardised by `scale`. */
function linear(scale = SCALE, samples = 120): TensorDataset {
  manualSeed(3);
  const inputs = randn([samples, 3]);
  const rows = (inputs.toArray() as number[][]).map(([a, b, c]) => [
    1000 + 200 * (a as number) - 150 * (b as number),
    -2 + 0.5 * (c as number),
  ]);
  const scaled = rows.map((row) => row.map((x, i) => (x - (scale.mean[i] as number)) / (scale.std[i] as number)));
  return new TensorDataset(inputs, tensor(scaled), {
    task: "regression",
    classNames: ["price", "age"],
    targetScale: scale,
    name: "linear",
  });
}

const network = (classes: number, hidden: number[] = [12]) => new Mlp({ inFeatures: 3, hidden, classes });

describe("a regression", () => {
  const { train, heldOut } = splitDataset(linear(), { fraction: 0.2 });

  test("is learnt, told in the unit of the columns, and comes back from its file", async () => {
    manualSeed(0);
    const model = createNetwork("mlp(hidden=[24])", { shape: [3], classes: 2 });
    const out = join(folder, "regression");
    const { best, history } = await trainTeacher({ model, data: train, validation: heldOut, ...OPTIONS, out });
    expect(best?.validationR2).toBeGreaterThan(0.97);
    expect(best?.validationR2).toBe(Math.max(...history.map(({ metrics }) => metrics.validationR2 as number)));
    const evaluation = evaluate<RegressionEvaluation>(model, heldOut);
    expect(evaluation.perTarget[0]?.rmse).toBeGreaterThan(10 * (evaluation.perTarget[1]?.rmse as number));
    const inputs = encodeSamples(
      { kind: "values", features: 3, classes: 2, classNames: null },
      Float32Array.of(1, 1, 1),
    );
    const [own] = predict<ValuePrediction>(model, inputs);
    expect(Math.abs(own?.values[0] - 1050)).toBeLessThan(25);
    const file = join(out, "teacher.safetensors");
    expect(await readPreprocessing(file)).toMatchObject({
      task: "regression",
      targets: SCALE,
      classNames: ["price", "age"],
    });
    const [again] = predict<ValuePrediction>(await loadNetwork(file), inputs);
    expect(again).toEqual(own);
    expect(existsSync(join(out, "report.html"))).toBe(true);
  });

  test("a teacher in other units teaches in the student's, whatever kind of teacher it is", async () => {
    manualSeed(1);
    const other = { mean: [0, 0], std: [1000, 1] };
    const teacher = network(2, [24]);
    await trainTeacher({ model: teacher, data: linear(other), ...OPTIONS, epochs: 60 });
    const file = join(folder, "values.npy");
    await writeLogits(teacher, linear(other), file);
    const truth = (row: readonly number[]) => [1000 + 200 * row[0] - 150 * row[1], -2 + 0.5 * (row[2] as number)];
    const ask = ({ inputs }: { inputs: Tensor }) => (inputs.toArray() as number[][]).map(truth);
    const of = async (source: unknown) => {
      manualSeed(2);
      const student = network(2, [24]);
      const input = {
        teacher: source as never,
        student,
        data: train,
        validation: heldOut,
        loss: "logit-mse",
        ...OPTIONS,
      };
      await distill(input);
      return evaluate<RegressionEvaluation>(student, heldOut).r2;
    };
    for (const source of [teacher, await logitsFile(file), functionTeacher(ask)])
      expect(await of(source)).toBeGreaterThan(0.95);
    const { teacherR2 = 0, agreement = 0 } = evaluate<RegressionEvaluation>(network(2), heldOut, { teacher });
    expect(teacherR2).toBeGreaterThan(0.97);
    expect(agreement).toBeLessThan(0.5);
  });

  test("interrupted, it resumes to the bit", async () => {
    const run = (out: string, more: object = {}) => {
      manualSeed(5);
      const student = network(2);
      const teacher = network(2, [4]);
      const options = { ...OPTIONS, epochs: 3, validation: heldOut, out: join(folder, out), report: false };
      return { student, done: distill({ teacher, student, data: train, ...options, ...more }) };
    };
    const whole = run("whole");
    await whole.done;
    const stop = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 9 && stop.abort();
    await failure(run("parts", { signal: stop.signal, onStep }).done, "ABORTED");
    const rest = run("parts", { resume: true });
    await rest.done;
    expect(fingerprint(rest.student.stateDict())).toBe(fingerprint(whole.student.stateDict()));
  });

  test("is compared and swept by R2", async () => {
    const { train: data, heldOut: held } = splitDataset(linear(), { fraction: 0.3, seed: 2 });
    const common = {
      teacher: () => network(2),
      student: () => network(2, [4]),
      data,
      test: held,
      ...OPTIONS,
      epochs: 2,
    };
    const { distilled, difference, data: about } = await compare({ ...common, seeds: 2, out: join(folder, "compare") });
    expect(about.task).toBe("regression");
    expect(Object.keys(distilled.best)).toEqual(["r2", "rmse", "mae", "agreement", "epoch"]);
    const [, first] = distilled.best.r2.values;
    expect(first).toBe((distilled.evaluations[1] as RegressionEvaluation).r2);
    expect(difference.best.values).toHaveLength(2);
    const swept = await sweep({
      ...common,
      loss: "mse + logit-mse",
      alphas: [1],
      temperatures: [1],
      out: join(folder, "s"),
    }).catch((error: Error) => error);
    expect(String(swept)).toContain("there is nothing to sweep");
    const result = await sweep({
      ...common,
      alphas: [0, 0.8],
      out: join(folder, "sweep"),
    });
    const { best, points, swept: read } = result;
    expect(read).toEqual(["alpha"]);
    expect(sweepSummary(result)).toMatch(/^Best with alpha 0(\.8)?: R2/);
    expect(points.map(({ alpha }) => alpha)).toEqual([0, 0.8]);
    expect(best.validationR2).toBe(Math.max(...points.map((point) => point.validationR2 as number)));
  });

  test("logits that a comparison or a cache leaves are read back as they were, and those of writeLogits in the columns' unit", async () => {
    manualSeed(6);
    const model = network(2);
    const own = live(model);
    const cache = await TeacherCache.compute(model, train);
    const files = ["cache.safetensors", "again.safetensors", "written.safetensors"].map((name) => join(folder, name));
    await cache.save(files[0]);
    await (await TeacherCache.load(files[0])).save(files[1]);
    await writeLogits(model, train, files[2]);
    const out = join(folder, "left");
    await compare({
      teacher: model,
      student: () => network(2, [4]),
      data: train,
      test: heldOut,
      ...OPTIONS,
      epochs: 1,
      seeds: 1,
      out,
    });
    const part = splitDataset(train, { fraction: 0.1, seed: 0 }).train;
    for (const [file, samples] of [
      ...files.map((name) => [name, train] as const),
      [join(out, "teacher_logits.safetensors"), part] as const,
    ]) {
      const teacher = await logitsFile(file);
      teacher.open?.({ data: samples, taps: [] });
      const batch = samples.slice(0, 8);
      const [{ logits }, wanted] = [await teacher.outputs(batch), await own.outputs(batch)];
      expect(Array.from(logits.data), file).toEqual(Array.from(wanted.logits.data).map((x) => expect.closeTo(x, 5)));
    }
  });

  test.each<[string, object, string]>([
    [
      "kd",
      { loss: "kd" },
      "kd is for classification, and the data are for regression: leave it out, or take one of mse, mae, huber, or",
    ],
    ["cross-entropy in a sum", { loss: "mse + cross-entropy" }, "cross-entropy is for classification"],
    ["a temperature", { temperature: 2 }, "temperature: no loss for regression reads it: leave it out"],
    ["label smoothing", { labelSmoothing: 0.1 }, "labelSmoothing: no loss for regression reads it"],
    ["calibration", { calibrateTeacher: true }, "calibrateTeacher: is for classes"],
    [
      "a teacher of other outputs",
      { teacher: functionTeacher(({ indices }) => Array.from(indices, () => [1, 2, 3])) },
      "expected 2 numbers, one for each target, got 3",
    ],
  ])("%s is refused", async (_, options, problem) => {
    const run = distill({
      teacher: network(2),
      student: network(2),
      data: train,
      validation: heldOut,
      ...OPTIONS,
      ...options,
    });
    const error = await Promise.resolve(run).then(
      () => new Error("nothing was thrown"),
      (thrown: Error) => thrown,
    );
    expect(error.message).toContain(problem);
  });

  test("an ONNX file tells in the unit of the columns, to whoever has others", async () => {
    manualSeed(4);
    const model = createNetwork("mlp(hidden=[24])", { shape: [3], classes: 2 });
    await trainTeacher({ model, data: train, ...OPTIONS, epochs: 5 });
    const file = join(folder, "values.onnx");
    await saveOnnx(model, file);
    const teacher = await onnxTeacher(file);
    const data = linear({ mean: [0, 0], std: [1000, 1] });
    teacher.open?.({ data, taps: [] });
    const { logits } = await teacher.outputs(data.slice(0, 4));
    const wanted = predict<ValuePrediction>(model, data.slice(0, 4).inputs).flatMap(({ values: [a = 0, b = 0] }) => [
      a / 1000,
      b,
    ]);
    expect(Array.from(logits.data)).toEqual(wanted.map((x) => expect.closeTo(x, 5)));
    teacher.close?.();
  });

  test("a file of other targets, and a network of another task, are refused", async () => {
    const file = join(folder, "three.npy");
    await writeLogits(
      network(3),
      new TensorDataset(linear().inputs, tensor(Array.from({ length: 120 }, () => [1, 2, 3]))),
      file,
    );
    const run = distill({ teacher: await logitsFile(file), student: network(2), data: train, ...OPTIONS });
    expect((await failure(run, "BAD_ARGUMENT")).message).toContain(
      "expected a column for each of the 2 targets of linear, got 3 columns",
    );
    const classifier = network(2);
    await trainTeacher({
      model: classifier,
      data: new TensorDataset(linear().inputs, new Int32Array(120).fill(1, 3)),
      ...OPTIONS,
      epochs: 1,
    });
    expect(() => evaluate(classifier, heldOut)).toThrow("was trained for classification: linear is for regression");
  });
});

describe("several labels at once", () => {
  const labelled = () => {
    const { inputs } = linear();
    const hot = (inputs.toArray() as number[][]).map((row) => row.map((x) => Number(x > 0)));
    return new TensorDataset(inputs, tensor(hot), { task: "multi-label", classNames: ["a", "b", "c"], name: "tags" });
  };

  test("are learnt from the data and from a teacher", async () => {
    const { train, heldOut } = splitDataset(labelled(), { fraction: 0.2 });
    manualSeed(0);
    const [teacher, student] = [network(3, [24]), network(3)];
    await trainTeacher({ model: teacher, data: train, ...OPTIONS });
    const { history } = await distill({ teacher, student, data: train, validation: heldOut, ...OPTIONS });
    expect(Object.keys(history[0]?.metrics ?? {})).toEqual([
      "loss",
      "bce",
      "multi-label-kd",
      "validationLoss",
      "validationAveragePrecision",
      "validationF1",
      "agreement",
    ]);
    expect(history.at(-1)?.metrics.validationAveragePrecision).toBeGreaterThan(0.95);
    expect(evaluate<TaskEvaluation>(student, heldOut, { teacher })).toMatchObject({ agreement: expect.any(Number) });
    const [one] = predict<LabelPrediction>(student, tensor([[3, -3, 3]]), { preprocessing: preprocessingOf(train) });
    expect(one?.labels).toEqual(["a", "c"]);
  });
});

describe("vectors", () => {
  const embedded = (): Dataset => {
    const { inputs } = linear();
    const rows = (inputs.toArray() as number[][]).map(([a = 0, b = 0, c = 0]) => [
      a,
      b,
      c,
      a + b,
      b - c,
      Math.tanh(a * c),
    ]);
    return new TensorDataset(inputs, tensor(rows), { task: "vectors", name: "vectors" });
  };

  test("are learnt by cosine and squared error; a projection is trained and dropped", async () => {
    const { train, heldOut } = splitDataset(embedded(), { fraction: 0.4 });
    manualSeed(0);
    const [teacher, whole, narrow] = [network(6, [32]), network(6), network(2)];
    await trainTeacher({ model: teacher, data: train, ...OPTIONS });
    await distill({ teacher, student: whole, data: train, validation: heldOut, ...OPTIONS });
    const before = evaluate<VectorEvaluation>(narrow, heldOut);
    const out = join(folder, "projection");
    const refused = await failure(
      distill({ teacher, student: narrow, data: train, ...OPTIONS, out }),
      "SHAPE_MISMATCH",
    );
    expect(refused.message).toBe(
      "student: expected the targets' 6 dimensions, as the default loss compares them, got 2: " +
        'give the loss "vector-kd(projection=true)", which trains a Linear between them',
    );
    const same = distill({ teacher, student: narrow, data: train, loss: "vector-kd", ...OPTIONS, out });
    expect((await failure(same, "SHAPE_MISMATCH")).message).toBe(
      "loss: vector-kd compares with the teacher's 6 dimensions, and the student has 2: projection=true trains a Linear between them",
    );
    for (const loss of ["mse", "0.5*cosine + 0.5*vector-kd(projection=true)", "huber"]) {
      const other = distill({ teacher, student: narrow, data: train, loss, ...OPTIONS, out });
      expect((await failure(other, "SHAPE_MISMATCH")).message).toMatch(
        /^loss: (mse|cosine|huber) compares with the targets' 6 dimensions, and the student has 2: /,
      );
    }
    expect(existsSync(out)).toBe(false);
    const { history } = await distill({
      teacher,
      student: narrow,
      data: train,
      validation: heldOut,
      loss: "vector-kd(projection=true)",
      ...OPTIONS,
      out,
    });
    const [own, small] = [whole, narrow].map((student) => evaluate<VectorEvaluation>(student, heldOut, { teacher }));
    expect(own?.cosine).toBeGreaterThan(0.95);
    expect(small?.cosine).toBeUndefined();
    expect(small?.spearman).toBeGreaterThan(before.spearman);
    expect(history.at(-1)?.metrics.agreement).toBe(small?.agreement);
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8"))).toMatchObject({
      task: "vectors",
      loss: { projection: true },
    });
    expect(Object.keys(narrow.stateDict())).toEqual(["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
  });
});
