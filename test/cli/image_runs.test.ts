import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import {
  bytes,
  ended,
  imageFolder,
  jsonLines,
  launch,
  lines,
  refused,
  STUDENT,
  succeed,
  userFolder,
} from "./support.js";

const temporary = temporaryFolder();
const data = imageFolder();
let cwd: string;

const RUN = ["--data", data, "--batch-size", "16", "--lr", "0.01", "--no-report", "--quiet"];
const PAIR = ["--teacher", join("teacher", "teacher.safetensors"), "--student", "wrn_16_1()"];
const distill = (out: string, ...more: string[]) => ["distill", ...RUN, ...PAIR, "--out", out, ...more];

beforeAll(async () => {
  cwd = userFolder(temporary);
  await succeed(["train-teacher", "--teacher-network", "resnet8()", ...RUN, "--epochs", "1", "--out", "teacher"], cwd);
});

describe("a convolutional pair", () => {
  test("a last batch of one sample is refused for the BatchNorm of a loss", async () => {
    const loss = "review-kd(student=[first,second], teacher=[layer2,layer3])";
    const flags = ["--batch-size", "19", "--validation", "0", "--loss", `cross-entropy + ${loss}`, "--out", "none"];
    const pair = [...PAIR.slice(0, 2), "--student", "./stages.mjs"];
    expect(await refused(["distill", "--data", data, ...pair, ...flags], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--batch-size: 19 leaves a last batch of one of 96 samples, which BatchNorm of the loss cross-entropy+review-kd " +
        "can't take: --drop-last leaves it out (BAD_ARGUMENT)",
    );
    expect(existsSync(join(cwd, "none"))).toBe(false);
  });

  // The terms of each by their names in the records, with their weights.
  test.each<[string, string, Record<string, number>]>([
    ["hint", "kd + hint(student=block2, teacher=layer2)", { kd: 1, hint: 1 }],
    [
      "attention transfer of two stages",
      "kd + 100*attention-transfer(student=block1, teacher=layer1) + 100*attention-transfer(student=block2, teacher=layer2)",
      { kd: 1, "attention-transfer": 100, "attention-transfer_2": 100 },
    ],
    [
      "similarity-preserving",
      "kd + similarity-preserving(student=block3, teacher=layer3)",
      { kd: 1, "similarity-preserving": 1 },
    ],
    ["crd", "kd + crd(student=block3, teacher=layer3)", { kd: 1, crd: 1 }],
  ])("%s by the names of its stages: the loss is the sum of its terms", async (_, loss, weights) => {
    const out = loss.replace(/\W/g, "");
    await succeed(distill(out, "--epochs", "1", "--loss", loss), cwd);
    const [record] = jsonLines(readFileSync(join(cwd, out, "metrics.jsonl"), "utf8")) as [Record<string, number>];
    const terms = Object.entries(weights).map(([name, weight]) => weight * record[name]);
    for (const term of terms) expect(term).toBeGreaterThan(0);
    expect(record.loss).toBeCloseTo(terms.reduce((sum, term) => sum + term));
  });

  test("images smaller than a network takes are refused under its flag", async () => {
    const text = "lenet5 takes images [channels, height, width] of at least 12 x 12 pixels, got samples of [1, 4, 4]";
    const teacher = ["train-teacher", ...RUN.slice(0, -1), "--teacher-network", "lenet5"];
    expect(await refused(teacher, cwd, 2, "BAD_ARGUMENT")).toBe(`--teacher-network: ${text} (BAD_ARGUMENT)`);
    const student = ["distill", ...RUN.slice(0, -1), ...PAIR.slice(0, 2), "--student", "lenet5"];
    expect(await refused(student, cwd, 2, "BAD_ARGUMENT")).toBe(`--student: ${text} (BAD_ARGUMENT)`);
  });

  test("attention of a layer without positions is refused before anything is written", async () => {
    const text = await refused(
      distill("none", "--loss", "attention-transfer(student=fc:input)"),
      cwd,
      2,
      "BAD_ARGUMENT",
    );
    expect(text).toContain(
      'attention-transfer: student: expected the path of a layer that gives [channels, height, width], got "fc:input", which gives [64]',
    );
    expect(existsSync(join(cwd, "none"))).toBe(false);
  });

  test("killed and resumed with crops and mirrors gives the same bits", async () => {
    const options = ["--epochs", "4", "--augment", "crop=1,flip=0.5", "--checkpoint-every", "2steps"];
    await succeed(distill("whole", ...options), cwd);
    const child = launch(distill("killed", ...options), cwd);
    const metrics = join(cwd, "killed", "metrics.jsonl");
    while (child.exitCode === null && !(existsSync(metrics) && lines(readFileSync(metrics, "utf8")).length > 1)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill("SIGKILL");
    await ended(child);
    await succeed(distill("killed", ...options, "--resume"), cwd);
    for (const file of [`${STUDENT}.pth`, `${STUDENT}.safetensors`]) {
      expect(bytes(cwd, "killed", file)).toBe(bytes(cwd, "whole", file));
    }
  });

  test("compare, chain and mutual take it", async () => {
    const [quick, pair] = [
      ["--data", data, "--epochs", "1", "--batch-size", "32", "--quiet"],
      ["resnet8()", "wrn_16_1()"],
    ];
    await succeed(["compare", ...quick, ...PAIR, "--seeds", "1", "--out", "compared"], cwd);
    await succeed(["distill", ...quick, "--chain", pair.join(" -> "), "--out", "chain"], cwd);
    await succeed(["mutual", ...quick, ...pair.flatMap((network) => ["--student", network]), "--out", "mutual"], cwd);
    const named = (...config: string[]) => JSON.parse(readFileSync(join(cwd, ...config, "config.json"), "utf8"));
    const distilled = { teacherNetwork: "resnet8", student: "wrn_16_1" };
    expect(named("compared")).toMatchObject(distilled);
    expect(named("chain", "link-2")).toMatchObject(distilled);
    expect(named("mutual")).toMatchObject({ student: ["resnet8", "wrn_16_1"] });
  });
});
