import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Evaluation, evaluate, load, loadImages, networkFrom } from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import {
  distillery,
  imageFolder,
  jsonLines,
  lines,
  newFolder,
  refused,
  STUDENT,
  succeed,
  VALIDATED_LINE,
} from "./support.js";

const temporary = temporaryFolder();
const data = imageFolder();
/** Networks of the default kinds, whose few weights learn fast. */
const TEACHES = ["--teacher-network", "teacher(hidden=[128,64,32])", "--batch-size", "32", "--lr", "0.01"];
const DISTILS = ["--student", "student(hidden=[64,32])", "--batch-size", "32", "--lr", "0.01"];
const TEACHER = join("runs", "teacher", "teacher.pth");
const TEACHER_BEST = join("runs", "teacher", "teacher_best.pth");
let cwd: string;
let taught: string;

/** A teacher that the tests share. */
beforeAll(async () => {
  cwd = newFolder(temporary);
  taught = await succeed(["train-teacher", "--data", data, "--epochs", "3", ...TEACHES], cwd);
});

async function evaluationOf(file: string, teacher?: string): Promise<Evaluation> {
  const { test } = await loadImages(data);
  const read = async (name: string) => networkFrom(await load(join(cwd, name)));
  return evaluate(await read(file), test, teacher === undefined ? {} : { teacher: await read(teacher) });
}

interface Metrics {
  epoch: number;
  validationAccuracy: number;
  validationLoss: number;
}

/** What a run left of its epochs. */
const metricsOf = (run: string) =>
  jsonLines(readFileSync(join(cwd, "runs", run, "metrics.jsonl"), "utf8")) as unknown as Metrics[];

/** How the best of them is told: of equal accuracies the one with the lower loss. */
function bestOf(history: readonly Metrics[]): { epoch: number; text: string } {
  const [best] = history.toSorted(
    (a, b) => b.validationAccuracy - a.validationAccuracy || a.validationLoss - b.validationLoss,
  );
  const { epoch = 0, validationAccuracy } = best ?? {};
  return { epoch, text: `${epoch} of ${history.length}, ${percent(validationAccuracy)} on the validation set` };
}

const percent = (share = 0) => `${(100 * share).toFixed(2)}%`;

describe("images in a folder, from the teacher to the evaluation", () => {
  test("train-teacher prints an epoch a line, the file and the accuracy", async () => {
    const printed = lines(taught);
    const history = metricsOf("teacher");
    expect(printed.slice(0, 3).map((line) => VALIDATED_LINE.exec(line)?.slice(1, 5))).toEqual(
      history.map(({ epoch, validationAccuracy }) => [`${epoch}`, "3", "Loss", (100 * validationAccuracy).toFixed(2)]),
    );
    const { accuracy } = await evaluationOf(TEACHER);
    expect(accuracy).toBe(1);
    const isLast = bestOf(history).epoch === 3;
    const best = isLast
      ? []
      : [`Test accuracy, best epoch: teacher ${percent((await evaluationOf(TEACHER_BEST)).accuracy)}`];
    expect(printed.slice(3)).toEqual([
      `Teacher saved to ${TEACHER}`,
      `Best epoch: ${bestOf(history).text}, saved to ${TEACHER_BEST}`,
      `Test accuracy: teacher ${percent(accuracy)}`,
      ...best,
      "The test set is for the end: choose by the validation set.",
      `Report: ${join("runs", "teacher", "report.html")}`,
    ]);
    const config = JSON.parse(readFileSync(join(cwd, "runs", "teacher", "config.json"), "utf8"));
    expect(config).toMatchObject({
      command: "train-teacher",
      data: "rows",
      shuffle: true,
      features: 16,
      seed: 0,
      splitSeed: 0,
      samples: 86,
      validation: 0.1,
      validationSamples: 10,
      userOptions: { data, epochs: 3, batchSize: 32 },
    });
  });

  test("distill takes it; both are evaluated", async () => {
    const options = ["--data", data, "--teacher", TEACHER, "--epochs", "4", ...DISTILS];
    const printed = lines(await succeed(["distill", ...options], cwd));
    const student = join("runs", "distill", `${STUDENT}.pth`);
    const best = student.replace(".pth", "_best.pth");
    expect((await evaluationOf(student, TEACHER)).accuracy).toBe(1);
    const figures = async (file: string) => {
      const { accuracy, teacherAccuracy, agreement } = await evaluationOf(file, TEACHER);
      return `student ${percent(accuracy)}, teacher ${percent(teacherAccuracy)}, agreement ${percent(agreement)}`;
    };
    const { epoch, text } = bestOf(metricsOf("distill"));
    expect(printed.slice(4)).toEqual([
      `Student saved to ${student}`,
      `Best epoch: ${text}, saved to ${best}`,
      `Test accuracy: ${await figures(student)}`,
      ...(epoch === 4 ? [] : [`Test accuracy, best epoch: ${await figures(best)}`]),
      "The test set is for the end: choose by the validation set.",
      `Report: ${join("runs", "distill", "report.html")}`,
    ]);
    const config = JSON.parse(readFileSync(join(cwd, "runs", "distill", "config.json"), "utf8"));
    expect(config).toMatchObject({ teacherMode: "eval", shuffle: true, data: "rows", classes: 3 });

    const [object, ...more] = jsonLines(
      await succeed(["evaluate", student, "--data", data, "--teacher", TEACHER, "--json"], cwd),
    );
    expect(more).toEqual([]);
    const { latencyMs, bytes, parameters, file, data: name, ...evaluation } = object ?? {};
    expect(evaluation).toEqual(await evaluationOf(student, TEACHER));
    expect(latencyMs).toBeGreaterThan(0);
    const size = 16 * 64 + 64 + 64 * 32 + 32 + 32 * 3 + 3;
    expect([bytes, parameters, file, name]).toEqual([statSync(join(cwd, student)).size, size, student, "rows"]);
  });

  test("with --json, of both commands", async () => {
    const out = join(cwd, "json");
    const common = ["--data", data, "--epochs", "1", "--json", "--out"];
    const teach = ["train-teacher", ...common, join(out, "teacher"), ...TEACHES];
    const [epoch, end] = jsonLines(await succeed(teach, cwd));
    const [epochs, metrics] = [
      ["epoch", "epochs"],
      ["loss", "validationLoss", "validationAccuracy"],
    ];
    expect(Object.keys(epoch ?? {})).toEqual([...epochs, ...metrics, "lr", "seconds", "samplesPerSecond"]);
    const best = { epoch: 1, validationAccuracy: epoch?.validationAccuracy, evaluation: { samples: 30 } };
    expect(end).toMatchObject({ event: "end", loss: epoch?.loss, evaluation: { samples: 30 }, best });
    const distilled = await succeed(
      ["distill", ...common, join(out, "student"), "--teacher", TEACHER, ...DISTILS],
      cwd,
    );
    const [record, last] = jsonLines(distilled);
    expect(record).toMatchObject({ epoch: 1, epochs: 1, agreement: expect.any(Number) });
    expect(last).toMatchObject({ event: "end", evaluation: { samples: 30, teacherAccuracy: 1 } });
  });

  test("evaluate prints tables", async () => {
    const printed = await succeed(["evaluate", TEACHER, "--data", data], cwd);
    const { perClass } = await evaluationOf(TEACHER);
    expect(printed).toMatch(/^runs.teacher.teacher\.pth: TeacherNet, [\d,]+ parameters, \d+\.\d kB\n/);
    expect(printed).toContain("rows: 30 samples\n");
    expect(printed).toMatch(/^accuracy +100\.00% +30 of 30$/m);
    expect(printed).toMatch(/^loss +\d\.\d{4} +mean cross-entropy$/m);
    expect(printed).toMatch(/^calibration error +\d+\.\d\d% +expected, over 15 bins$/m);
    expect(printed).toMatch(/^latency at batch 1 +\d+\.\d{3} ms +median$/m);
    expect(printed).toMatch(/^class +precision +recall +F1 +support$/m);
    for (const [i, { support }] of perClass.entries()) {
      expect(printed).toMatch(new RegExp(`^${i} +100\\.00% +100\\.00% +100\\.00% +${support}$`, "m"));
    }
  });

  test("inspect tells what is in a file", async () => {
    for (const [file, format] of [
      [TEACHER, "pth"],
      [TEACHER.replace(".pth", ".safetensors"), "safetensors"],
    ] as const) {
      const [object] = jsonLines(await succeed(["inspect", file, "--json"], cwd));
      const { tensors, ...rest } = object as { tensors: { key: string; dtype: string; shape: number[] }[] };
      const parameters = 16 * 128 + 128 * 3 + 128 * 64 + 64 * 3 + 64 * 32 + 32 * 3 + 32 * 3 + 3;
      expect(rest).toMatchObject({ file, format, parameters, bytes: statSync(join(cwd, file)).size });
      expect(tensors).toHaveLength(23);
      expect(tensors).toContainEqual({ key: "fc2.weight", dtype: "float32", shape: [64, 128] });
      expect(tensors).toContainEqual({ key: "bn1.num_batches_tracked", dtype: "int64", shape: [] });
    }
    const printed = await succeed(["inspect", TEACHER], cwd);
    expect(printed).toMatch(/^tensor +type +shape$/m);
    expect(printed).toMatch(/^fc4\.bias +float32 +\[3\]$/m);
  });

  test("a checkpoint can be inspected too", async () => {
    const printed = await succeed(["inspect", join("runs", "teacher", "checkpoint.safetensors")], cwd);
    expect(printed).toMatch(/^random\.state +int32 +\[\d+\]$/m);
    expect(printed).toMatch(/^progress: \{"epoch":3,/m);
  });
});

describe("what does not fit", () => {
  test("real data without a teacher", async () => {
    const text = await refused(["distill", "--data", data, "--out", "none"], cwd, 2, "BAD_ARGUMENT");
    expect(text).toContain("--teacher: needed with data");
    expect(text).toContain("distillery train-teacher");
    expect(existsSync(join(cwd, "none"))).toBe(false);
  });

  test("a teacher of other data", async () => {
    const text = await refused(["distill", "--teacher", TEACHER, "--out", "none"], cwd, 1, "SHAPE_MISMATCH");
    expect(text).toBe(
      `${TEACHER}: a network of 16 inputs and 3 classes; synthetic has 784 and 10: --data is needed, with its own data (SHAPE_MISMATCH)`,
    );
    expect(existsSync(join(cwd, "none"))).toBe(false);
    expect(await refused(["evaluate", TEACHER], cwd, 1, "SHAPE_MISMATCH")).toBe(text);
  });

  test("a run that is resumed with another option", async () => {
    const options = ["train-teacher", "--data", data, "--epochs", "3", ...TEACHES.with(3, "16"), "--resume"];
    const text = await refused(options, cwd, 78, "BAD_CONFIG");
    expect(text).toContain("batchSize was 32, is 16");
    const split = [
      ...options.with(options.indexOf("16"), "32").slice(0, -1),
      "--validation",
      "0.2",
      "--split-seed",
      "1",
      "--resume",
    ];
    expect(await refused(split, cwd, 78, "BAD_CONFIG")).toContain("validation was 0.1, is 0.2; splitSeed was 0, is 1;");
  });

  test("data sets that are not there", async () => {
    const text = await refused(["train-teacher", "--data", "no-such-folder"], cwd, 1, "NOT_FOUND");
    expect(text).toContain("no-such-folder: no such file or folder: expected fashion-mnist, mnist, ");
    const { code, stderr } = await distillery(["train-teacher", "--data", "mnist"], cwd);
    expect([code, lines(stderr)]).toEqual([
      1,
      [expect.stringMatching(/`distillery data mnist` brings it; or set DISTILLERY_DATA to a folder/)],
    ]);
  });
});
