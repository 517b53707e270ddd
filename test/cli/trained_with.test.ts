import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { distillery, imageFolder, jsonLines, lines, newFolder, refused, SMALL, succeed } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;
const TEACHER = join("runs", "teacher", "teacher.pth");
const NETWORK = ["--teacher-network", "mlp(hidden=[16])"];

/** Insects by two columns, the second a hundred times the first. */
function table(rows: number, shift: number, columns = ["a", "b", "label"]): string {
  const cells = Array.from({ length: rows }, (_, i): Record<string, string | number> => {
    const [kind, jitter] = [i % 3, ((i * 37) % 11) / 10 - 0.5];
    return { a: kind + jitter + shift, b: 100 * (3 - kind) + 40 * jitter, label: ["ant", "bee", "cat"][kind], id: i };
  });
  return [columns.join(), ...cells.map((row) => columns.map((name) => row[name]).join()), ""].join("\n");
}

beforeAll(async () => {
  cwd = newFolder(temporary);
  writeFileSync(join(cwd, "train.csv"), table(150, 0));
  writeFileSync(join(cwd, "later.csv"), table(100, 0.4, ["id", "label", "b", "a"]));
  const args = ["--epochs", "25", "--batch-size", "16", "--lr", "0.02", "--split-seed", "1", ...NETWORK];
  await succeed(["train-teacher", "--data", "train.csv", ...args], cwd);
});

async function evaluated(args: readonly string[]): Promise<{ result: Record<string, unknown>; stderr: string }> {
  const { code, stdout, stderr } = await distillery(["evaluate", TEACHER, "--json", ...args], cwd);
  expect(code, stderr).toBe(0);
  return { result: JSON.parse(stdout), stderr };
}

describe("evaluate", () => {
  test("says that a network without a record is scored on the part that is held out", async () => {
    copyFileSync(join(cwd, TEACHER), join(cwd, "elsewhere.pth"));
    const evaluate = ["evaluate", "elsewhere.pth", "--network", "mlp(hidden=[16])", "--data", "train.csv", "--json"];
    const held = await distillery(evaluate, cwd);
    expect(JSON.parse(held.stdout).samples).toBe(30);
    expect(lines(held.stderr).at(-1)).toBe(
      "it is scored on 30 of the 150 samples of train, which are held out: --test-fraction 0 takes all",
    );
    const all = await distillery([...evaluate, "--test-fraction", "0"], cwd);
    expect(JSON.parse(all.stdout).samples).toBe(150);
    expect(lines(all.stderr)).toHaveLength(1);
  });

  test("scores all rows of a file that the network was not trained on, as predict does", async () => {
    const { result, stderr } = await evaluated(["--data", "later.csv"]);
    const predictions = jsonLines(await succeed(["predict", "later.csv", "--student", TEACHER, "--json"], cwd));
    const right = predictions.filter((one) => one.class === one.label).length;
    expect(right).toBeGreaterThan(60);
    expect(result).toMatchObject({ correct: right, samples: 100 });
    expect(stderr).toBe("");
    expect((await evaluated(["--data", "later.csv", "--test-fraction", "0.2"])).result.samples).toBe(20);
  });

  test("scores the held-out part of the file that it was trained on, by the split it was trained with", async () => {
    const { result, stderr } = await evaluated(["--data", "train.csv"]);
    expect(stderr).toBe("");
    expect(result.samples).toBe(30);
    const other = await evaluated(["--data", "train.csv", "--split-seed", "0"]);
    expect(other.result.samples).toBe(30);
    expect(other.stderr).toMatch(
      /^runs\/teacher\/teacher\.pth: was trained on \d+ of the 30 test samples: testFraction 0\.2 with splitSeed 1 .*\n$/,
    );
    const whole = await evaluated(["--data", "train.csv", "--test-fraction", "0"]);
    expect(whole.result.samples).toBe(150);
    expect(whole.stderr).toContain("was trained on 108 of the 150 test samples");
  });

  test("refuses options that the network's file decides, unless they say the same", async () => {
    const evaluate = ["evaluate", TEACHER, "--data", "later.csv"];
    for (const [own, ...args] of [
      ['the label "label"', "--label-column", "a"],
      ['the columns "a", "b", "label"', "--drop-columns", "a"],
      ["standardised columns", "--no-standardize"],
      ["no text column", "--text-column", "nope"],
      ["a first line of names", "--no-header"],
      ["classification", "--task", "regression"],
      ["no missing cells", "--missing", "mean"],
      ["no images", "--exif-orientation"],
    ]) {
      expect(await refused([...evaluate, ...args], cwd, 2, "BAD_ARGUMENT")).toBe(
        `${args[0]}: the network was trained with ${own}, which its file says: leave it out (BAD_ARGUMENT)`,
      );
    }
    expect(await refused([...evaluate, "--drop-columns", "ids"], cwd, 2, "BAD_ARGUMENT")).toMatch(
      /^--drop-columns: expected a column of later\.csv, .*, or its index from 0, got "ids", did you mean id\? \(BAD_ARGUMENT\)$/,
    );
    const same = ["--label-column", "label", "--drop-columns", "id", "--header", "--task", "classification"];
    const [plain, again] = [await evaluated(evaluate.slice(2)), await evaluated([...evaluate.slice(2), ...same])];
    expect({ ...again.result, latencyMs: 0 }).toEqual({ ...plain.result, latencyMs: 0 });
  });

  test("refuses what the network can't take, in one line", async () => {
    writeFileSync(join(cwd, "dogs.csv"), table(6, 0).replace("cat", "dog"));
    const args = (data: string) => ["evaluate", TEACHER, "--data", data];
    expect(await refused(args("dogs.csv"), cwd, 1, "BAD_DATA")).toBe(
      'dogs.csv: line 4: the network does not know the class "dog": it knows "ant", "bee", "cat" (BAD_DATA)',
    );
    writeFileSync(join(cwd, "narrow.csv"), table(6, 0, ["a", "label"]));
    expect(await refused(args("narrow.csv"), cwd, 1, "BAD_DATA")).toBe(
      'narrow.csv: line 1: no column is called "b", as one of the training file (BAD_DATA)',
    );
    expect(await refused(args(imageFolder()), cwd, 1, "BAD_DATA")).toMatch(
      /: the network takes rows of a table with the columns "a", "b", got images of 1 x 4 x 4 \(BAD_DATA\)$/,
    );
  });
});

test("predict says what the network takes, of an image and of a table", async () => {
  const images = imageFolder();
  const image = join(images, "train-images-idx3-ubyte");
  copyFileSync(image, join(cwd, "0.png"));
  expect(await refused(["predict", "0.png", "--student", TEACHER], cwd, 1, "BAD_DATA")).toMatch(
    /^0\.png: the network takes rows of a table with the columns "a", "b": expected /,
  );
  await succeed(
    ["train-teacher", "--data", images, "--epochs", "1", "--no-report", "--out", "images", ...NETWORK],
    cwd,
  );
  const student = join("images", "teacher.pth");
  expect(await refused(["predict", "later.csv", "--student", student], cwd, 1, "BAD_DATA")).toMatch(
    /^later\.csv: the network takes images of 1 x 4 x 4: expected /,
  );
  expect(
    await refused(["predict", "later.csv", "--student", TEACHER, "--data", "later.csv"], cwd, 2, "BAD_ARGUMENT"),
  ).toBe(`--data: ${TEACHER} was trained with inputs made otherwise, which it knows: leave --data out (BAD_ARGUMENT)`);
});

describe("a teacher", () => {
  let runs = 0;
  const distil = (args: readonly string[]) => {
    const out = ["--out", join("runs", `distill-${runs++}`), ...SMALL.slice(2)];
    return succeed(["distill", "--teacher", TEACHER, "--epochs", "1", "--no-report", ...out, ...args], cwd);
  };
  const accuracy = (text: string) => Number(/^Test accuracy: .*teacher ([\d.]+)%/m.exec(text)?.[1]);

  test("gets the columns of other data by their names", async () => {
    writeFileSync(join(cwd, "swapped.csv"), table(150, 0, ["b", "id", "label", "a"]));
    expect(accuracy(await distil(["--data", "swapped.csv"]))).toBeGreaterThan(90);
    writeFileSync(join(cwd, "other.csv"), table(150, 0, ["a", "id", "label"]));
    const args = ["distill", "--data", "other.csv", "--teacher", TEACHER, "--epochs", "1"];
    expect(await refused(args, cwd, 1, "SHAPE_MISMATCH")).toBe(
      `${TEACHER}: was trained on the column "b", which other lacks: it has "a", "id" (SHAPE_MISMATCH)`,
    );
  });

  test("without a record of its training data gets the columns in their order, and a note reports it", async () => {
    copyFileSync(join(cwd, TEACHER), join(cwd, "alone.pth"));
    const network = ["--teacher", "alone.pth", "--teacher-network", "mlp(hidden=[16])", ...SMALL.slice(2)];
    const args = ["distill", "--data", "train.csv", "--epochs", "1", "--no-report", "--out", "alone", ...network];
    const { code, stderr } = await distillery(args, cwd);
    expect([code, stderr.split("\n")[0]]).toEqual([
      0,
      "alone.pth: does not say what it was trained with, as the .safetensors files of runs do: " +
        "it gets the columns and classes of train in their order, by the statistics of train",
    ]);
  });

  test("trained on rows of the test set: a line names how many, and the split it was trained with", async () => {
    const own = lines(await distil(["--data", "train.csv", "--split-seed", "1"]));
    expect(own.filter((line) => line.includes("was trained on"))).toEqual([]);
    const overlapping = [
      "distill",
      "--teacher",
      TEACHER,
      "--epochs",
      "1",
      "--no-report",
      "--out",
      "overlapping",
      ...SMALL.slice(2),
    ];
    const { stdout, stderr } = await distillery([...overlapping, "--data", "train.csv"], cwd);
    const printed = lines(stdout);
    expect((stdout + stderr).match(/was trained on \d+ of/g), "once").toHaveLength(1);
    expect(printed.find((line) => line.includes("was trained on"))).toMatch(
      /^runs\/teacher\/teacher\.pth: was trained on \d+ of the 30 test samples: testFraction 0\.2 with splitSeed 1 \(--test-fraction, --split-seed\) is the split it was trained with$/,
    );
    const args = ["compare", "--data", "train.csv", "--teacher", TEACHER, "--epochs", "1", "--seeds", "1"];
    expect(await refused(args, cwd, 1, "BAD_ARGUMENT")).toMatch(/was trained on \d+ of the 30 test samples/);
  });
});
