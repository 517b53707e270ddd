import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import {
  encodeSamples,
  evaluate,
  load,
  loadData,
  networkFrom,
  predict,
  preprocessingOf,
  readSamples,
  StudentNet,
  save,
} from "../../src/index.js";
import { idx } from "../data/support.js";
import { temporaryFolder } from "../support.js";
import { imageFolder, jsonLines, lines, newFolder, refused, SMALL_TEACHER, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();
const images = imageFolder();
let cwd: string;
const TEACHER = join("runs", "teacher", "teacher.pth");
const DISTILLED = join("runs", "distill", `${STUDENT}.pth`);

/** Three kinds of flowers that anything tells apart, most of the time. */
function flowers(rows: number): string[] {
  return Array.from({ length: rows }, (_, i) => {
    const [kind, jitter] = [i % 3, ((i * 37) % 11) / 10];
    return `${kind * 2 + jitter},${5 - kind + jitter},${["red", "blue", "red"][kind]},${["iris", "lily", "rose"][kind]}`;
  });
}

beforeAll(async () => {
  cwd = newFolder(temporary);
  writeFileSync(join(cwd, "flowers.csv"), ["width,height,colour,species", ...flowers(150), ""].join("\n"));
});

describe("a user's table", () => {
  let taught: string[];

  beforeAll(async () => {
    taught = lines(await succeed(["train-teacher", "--data", "flowers.csv", "--epochs", "8"], cwd));
    await succeed(["distill", "--data", "flowers.csv", "--teacher", TEACHER, "--epochs", "10"], cwd);
    // No label, and the columns in another order.
    writeFileSync(join(cwd, "new.csv"), "colour,height,width\nred,5.1,0.2\nblue,4.3,2.3\nred,3.5,4.5\n");
  });

  test("trains with one command, is distilled, and classifies new rows", async () => {
    const { test: held } = await loadData(join(cwd, "flowers.csv"));
    const teacher = networkFrom(await load(join(cwd, TEACHER)));
    const { accuracy } = evaluate(teacher, held as NonNullable<typeof held>);
    expect(accuracy).toBeGreaterThan(0.9);
    expect(taught).toContain(`Test accuracy: teacher ${(100 * accuracy).toFixed(2)}%`);
    const printed = lines(await succeed(["predict", "new.csv", "--student", DISTILLED, "--top", "2"], cwd));
    expect(printed.map((line) => /^(.*?) +(\w+) [\d.]+% +\w+ [\d.]+%$/.exec(line)?.slice(1))).toEqual([
      undefined,
      ["line 2", "iris"],
      ["line 3", "lily"],
      ["line 4", "rose"],
    ]);
    expect(printed[0]).toMatch(/^ +1st +2nd$/);
  });

  test("as JSON lines, with the values of the library", async () => {
    const got = jsonLines(await succeed(["predict", "new.csv", "--student", DISTILLED, "--json"], cwd));
    const { train } = await loadData(join(cwd, "flowers.csv"));
    const { inputs } = await readSamples(join(cwd, "new.csv"), preprocessingOf(train));
    const network = networkFrom(await load(join(cwd, DISTILLED)));
    const expected = predict(network, inputs, { classNames: ["iris", "lily", "rose"] });
    expect(got).toEqual(expected.map((one, index) => ({ file: "new.csv", index, ...one })));
    const table = lines(await succeed(["predict", "new.csv", "--student", DISTILLED, "--top", "9"], cwd));
    const names = ["iris", "lily", "rose"];
    for (const [i, { probabilities }] of expected.entries()) {
      const order = [0, 1, 2].sort((a, b) => probabilities[b] - probabilities[a]);
      expect(table[i + 1].match(/[a-z]+ (?=[\d.]+%)/g)?.map((name) => names.indexOf(name.trim()))).toEqual(order);
    }
  });

  test("with labels it says how many are right", async () => {
    const printed = lines(await succeed(["predict", "flowers.csv", "new.csv", "--student", DISTILLED], cwd));
    expect(printed).toHaveLength(1 + 150 + 3 + 2);
    expect(printed[1]).toMatch(/^flowers\.csv, line 2 .* iris$/);
    expect(printed[151]).toMatch(/^new\.csv, line 2 .* \?$/);
    const [, right] = /^(\d+) of 150 as labelled, \d+\.\d\d%$/.exec(printed.at(-1) ?? "") ?? [];
    expect(Number(right)).toBeGreaterThan(135);
  });

  test("a row without a label is neither right nor wrong, one of another class is wrong", async () => {
    const last = async (label: (own: string, i: number) => string) => {
      const rows = flowers(30).map((row, i) => row.replace(/[^,]*$/, (own) => label(own, i)));
      writeFileSync(join(cwd, "half.csv"), ["width,height,colour,species", ...rows, ""].join("\n"));
      return lines(await succeed(["predict", "half.csv", "--student", DISTILLED], cwd)).at(-1);
    };
    const [, right] =
      /^(\d+) of 15 as labelled/.exec((await last((own, i) => (i < 15 ? own : ["", "NA"][i % 2]))) ?? "") ?? [];
    expect(Number(right)).toBeGreaterThan(10);
    expect(await last((own, i) => (i < 15 ? own : "orchid"))).toMatch(new RegExp(`^${right} of 30 as labelled`));
    expect(await last(() => "")).toMatch(/^line 31 .*%$/);
  });

  test("a row that can't be encoded, with file and line", async () => {
    writeFileSync(join(cwd, "green.csv"), "width,height,colour\n1,2,red\n1,2,green\n");
    expect(await refused(["predict", "green.csv", "--student", DISTILLED], cwd, 1, "BAD_DATA")).toBe(
      'green.csv: line 3, "colour": expected one of "blue", "red", got "green" (BAD_DATA)',
    );
  });

  test("a column to leave out that the file does not have", async () => {
    writeFileSync(join(cwd, "more.csv"), "width,height,colour,number\n1,2,red,5\n");
    const args = ["predict", "more.csv", "--student", DISTILLED, "--drop-columns"];
    expect(await refused([...args, "numbre"], cwd, 2, "BAD_ARGUMENT")).toMatch(
      /^--drop-columns: expected a column of more\.csv, .*, got "numbre", did you mean number\? \(BAD_ARGUMENT\)$/,
    );
    await succeed([...args, "number"], cwd);
  });

  test("a last batch of one sample is refused before anything runs", async () => {
    const args = ["train-teacher", "--data", "flowers.csv", "--batch-size", "107", "--out", "none"];
    expect(await refused(args, cwd, 2, "BAD_ARGUMENT")).toBe(
      "--batch-size: 107 leaves a last batch of one of 108 samples, which BatchNorm can't take: " +
        "--drop-last leaves it out (BAD_ARGUMENT)",
    );
  });

  test("stops early, says so, and prints the best epoch's figures too", async () => {
    const args = [
      ...SMALL_TEACHER,
      "--epochs",
      "60",
      "--patience",
      "3",
      "--lr",
      "0.01",
      "--schedule",
      "cosine",
      "--warmup-steps",
      "3",
    ];
    const out = join("runs", "early");
    const printed = lines(await succeed(["train-teacher", "--data", "flowers.csv", ...args, "--out", out], cwd));
    const epochs = printed.filter((line) => line.startsWith("Epoch")).length;
    expect(epochs).toBeLessThan(60);
    const { test: held } = await loadData(join(cwd, "flowers.csv"));
    const accuracyOf = async (name: string) => {
      const network = networkFrom(await load(join(cwd, out, name)));
      return `teacher ${(100 * evaluate(network, held as NonNullable<typeof held>).accuracy).toFixed(2)}%`;
    };
    expect(printed.slice(epochs)).toEqual([
      `Teacher saved to ${join(out, "teacher.pth")}`,
      expect.stringMatching(
        new RegExp(`^Best epoch: ${epochs - 3} of ${epochs} \\(stopped early: none better in 3\\), [\\d.]+% on `),
      ),
      `Test accuracy: ${await accuracyOf("teacher.pth")}`,
      `Test accuracy, best epoch: ${await accuracyOf("teacher_best.pth")}`,
      "The test set is for the end: choose by the validation set.",
      `Report: ${join(out, "report.html")}`,
    ]);
  });

  test("no test set to evaluate on", async () => {
    const training = [
      ...SMALL_TEACHER,
      "--data",
      "flowers.csv",
      "--test-fraction",
      "0",
      "--epochs",
      "1",
      "--out",
      "whole",
    ];
    await succeed(["train-teacher", ...training], cwd);
    const file = join("whole", "teacher.pth");
    expect(await refused(["evaluate", file, "--data", "flowers.csv"], cwd, 2, "BAD_ARGUMENT")).toBe(
      `--data: ${file} was trained on flowers.csv without a test part: ` +
        "--test-fraction 0 evaluates on what it was trained on (BAD_ARGUMENT)",
    );
  });

  test("too few rows for a validation set", async () => {
    writeFileSync(join(cwd, "few.csv"), ["width,height,colour,species", ...flowers(6), ""].join("\n"));
    expect(await refused(["train-teacher", "--data", "few.csv", "--out", "none"], cwd, 1, "BAD_DATA")).toBe(
      "few: no class has two samples for training, one of which could be held out: " +
        "--validation 0 trains without a validation set (BAD_DATA)",
    );
    const args = [
      "train-teacher",
      "--data",
      "few.csv",
      "--validation",
      "0",
      "--epochs",
      "2",
      "--out",
      "few",
      ...SMALL_TEACHER,
    ];
    expect(lines(await succeed(args, cwd)).slice(-3, -1)).toEqual([
      expect.stringMatching(/^Test accuracy: teacher /),
      "The test set is for the end: choose by a validation set (--validation 0.1).",
    ]);
  });
});

describe("images", () => {
  let student: string;
  const row = (lit: number) => Array.from({ length: 16 }, (_, at) => (Math.floor(at / 4) === lit ? 210 : 30));

  beforeAll(async () => {
    student = join("runs", "images", "teacher.safetensors");
    const args = ["--epochs", "4", "--batch-size", "32", "--out", join("runs", "images")];
    await succeed(["train-teacher", "--data", images, ...args], cwd);
    const idxImages = idx([3, 4, 4], [...row(2), ...row(0), ...row(1)]);
    writeFileSync(join(cwd, "rows-idx3-ubyte"), idxImages);
    writeFileSync(join(cwd, "rows-idx3-ubyte.gz"), gzipSync(idxImages));
  });

  test.each(["rows-idx3-ubyte", "rows-idx3-ubyte.gz"])("%s", async (file) => {
    const got = jsonLines(await succeed(["predict", file, "--student", student, "--json"], cwd));
    const { train } = await loadData(images);
    const description = preprocessingOf(train);
    if (description.kind !== "image") throw new TypeError("no images");
    const inputs = encodeSamples(description, Uint8Array.from([...row(2), ...row(0), ...row(1)]));
    const expected = predict(networkFrom(await load(join(cwd, student))), inputs);
    expect(expected.map((one) => one.class)).toEqual([2, 0, 1]);
    expect(got).toEqual(expected.map((one, index) => ({ file, index, ...one })));
  });

  test("of another size", async () => {
    writeFileSync(join(cwd, "small"), idx([1, 2, 2], [1, 2, 3, 4]));
    expect(await refused(["predict", "small", "--student", student], cwd, 1, "BAD_DATA")).toBe(
      "small: expected images of 1 x 4 x 4, got 1 x 2 x 2 (BAD_DATA)",
    );
  });
});

describe("if the network's file does not describe its inputs", () => {
  beforeAll(() => copyFileSync(join(cwd, DISTILLED), join(cwd, "alone.pth")));

  test("it says both ways", async () => {
    expect(await refused(["predict", "new.csv", "--student", "alone.pth"], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--data: alone.pth does not say how inputs are made, as the .safetensors files of runs do: " +
        "give such a file as --student, or name the data it was trained on (BAD_ARGUMENT)",
    );
  });

  test("--data does", async () => {
    const [own, data] = [
      ["--student", DISTILLED],
      ["--student", "alone.pth", "--data", "flowers.csv"],
    ];
    const printed = await succeed(["predict", "new.csv", ...data], cwd);
    expect(printed).toBe(await succeed(["predict", "new.csv", ...own], cwd));
    expect(
      await refused(["predict", "new.csv", "--student", "alone.pth", "--data", images], cwd, 1, "SHAPE_MISMATCH"),
    ).toBe(`alone.pth: a network of 4 inputs and 3 classes; ${images} has 16 and 3 (SHAPE_MISMATCH)`);
  });

  test("a .safetensors file of other weights beside it does not count", async () => {
    await save(new StudentNet({ inFeatures: 4, classes: 3 }).stateDict(), join(cwd, "alone.safetensors"));
    const text = await refused(["predict", "new.csv", "--student", "alone.pth"], cwd, 2, "BAD_ARGUMENT");
    expect(text).toContain("alone.pth does not say how inputs are made");
  });

  test("what it says is no description", async () => {
    const state = new StudentNet({ inFeatures: 4, classes: 3 }).stateDict();
    await save(state, join(cwd, "odd.safetensors"), { metadata: { "distillery.preprocessing": "{" } });
    const text = await refused(["predict", "new.csv", "--student", "odd.safetensors"], cwd, 1, "BAD_DATA");
    expect(text).toMatch(/^odd\.safetensors: its preprocessing: expected /);
  });
});

test("usage", async () => {
  const student = ["--student", DISTILLED];
  expect(await refused(["predict", "new.csv"], cwd, 2, "BAD_ARGUMENT")).toContain("'--student <file>' not specified");
  expect(await refused(["predict", ...student], cwd, 2, "BAD_ARGUMENT")).toContain("missing required argument 'file'");
  expect(await refused(["predict", "new.csv", "--top", "0", ...student], cwd, 2, "BAD_ARGUMENT")).toBe(
    "--top: expected a whole number of at least 1, got 0 (BAD_ARGUMENT)",
  );
  expect(await refused(["predict", "new.csv", "--top", "2", "--json", ...student], cwd, 2, "BAD_ARGUMENT")).toBe(
    "--top: is for the table, and --json has the probabilities of all classes: leave it out (BAD_ARGUMENT)",
  );
  expect(await refused(["predict", "none.csv", ...student], cwd, 1, "NOT_FOUND")).toBe(
    "none.csv: no such file (NOT_FOUND)",
  );
});

test("options that a network or a teacher leaves nothing for are refused", async () => {
  const refusal = (...args: string[]) => refused(args, cwd, 2, "BAD_ARGUMENT");
  const small = ["--teacher-network", "mlp(hidden=[2])", "--epochs", "1", "--no-report"];
  const run = ["train-teacher", "--data", "flowers.csv", "--drop-columns", "species", ...small];
  await succeed([...run, "--label-column", "height", "--task", "regression", "--out", "heights"], cwd);
  const student = join("heights", "teacher.safetensors");
  expect(await refusal("predict", "flowers.csv", "--student", student, "--top", "2")).toBe(
    "--top: needs classes, and the network is for regression: leave it out (BAD_ARGUMENT)",
  );
  const teachers = ["--teacher", student, "--teacher-column", "height"];
  expect(await refusal("evaluate", student, "--data", "flowers.csv", ...teachers)).toBe(
    "--teacher-column: --teacher is given too: leave one of the two out (BAD_ARGUMENT)",
  );
  const grid = ["--label-column", "height", "--task", "regression", "--temperatures", "1,2", "--epochs", "1"];
  expect(await refusal("sweep", "--data", "flowers.csv", ...grid, "--out", "swept")).toBe(
    "--temperatures: no term of the loss has one temperature for all epochs: leave it out (BAD_ARGUMENT)",
  );
});
