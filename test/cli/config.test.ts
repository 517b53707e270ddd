import { readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { beforeAll, describe, expect, test } from "vitest";
import { givenFlags } from "../../src/cli/flags.js";
import { temporaryFolder } from "../support.js";
import { bytes, distillery, lines, newFolder, refused, SMALL, STUDENT, succeed, tree } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;
let whole: string[];

const CONFIG = "epochs: 2\nbatchSize: 128\nlr: 0.001\ntemperature: 2\nseed: 7\nreport: false\n";
const FLAGS = ["--epochs", "2", "--batch-size", "128", "--lr", "0.001", "--temperature", "2", "--seed", "7"];

beforeAll(async () => {
  cwd = newFolder(temporary);
  writeFileSync(join(cwd, "run.yaml"), CONFIG);
  whole = lines(await succeed(["distill", ...FLAGS, "--no-report", "--out", "flags"], cwd));
});

const configOf = (out: string) => JSON.parse(readFileSync(join(cwd, out, "config.json"), "utf8"));
const student = (out: string) => bytes(cwd, out, `${STUDENT}.safetensors`);

describe("--config", () => {
  test("takes what flags take", async () => {
    const printed = lines(await succeed(["distill", "--config", "run.yaml", "--out", "file"], cwd));
    expect(printed.slice(0, 2)).toEqual(whole.slice(0, 2));
    expect(student("file")).toBe(student("flags"));
    expect(configOf("file")).toEqual(configOf("flags"));
    const given = { epochs: 2, batchSize: 128, lr: 0.001, temperature: 2, seed: 7 };
    expect(configOf("file")).toMatchObject({ ...given, userOptions: given });
  });

  test("flags go before it", async () => {
    const args = ["distill", "--config", "run.yaml", "--epochs", "1", "--seed", "8", "--out", "above"];
    expect(await succeed(args, cwd)).toMatch(/^Epoch \[1\/1\]/);
    expect(configOf("above")).toMatchObject({ epochs: 1, seed: 8, batchSize: 128 });
  });

  test("takes the config.json of a run", async () => {
    await succeed(["distill", "--config", join("flags", "config.json"), "--no-report", "--out", "again"], cwd);
    expect(student("again")).toBe(student("flags"));
  });

  test("with a log file", async () => {
    writeFileSync(join(cwd, "log.json"), '{ "epochs": 1, "logFile": "logs/run.txt", "out": "logged" }');
    const { code, stdout, opening } = await distillery(["distill", "--config", "log.json"], cwd);
    expect(code).toBe(0);
    expect(opening).toMatch(/^Data: synthetic/);
    expect(readFileSync(join(cwd, "logs", "run.txt"), "utf8")).toBe(opening + stdout);
  });

  test("a run is not resumed with another one", async () => {
    const text = await refused(
      [
        "distill",
        "--config",
        "run.yaml",
        "--temperature",
        "3",
        "--label-smoothing",
        "0.1",
        "--out",
        "flags",
        "--resume",
      ],
      cwd,
      78,
      "BAD_CONFIG",
    );
    expect(text).toBe(
      "flags: can't resume a run with another configuration: labelSmoothing was 0, is 0.1; temperature was 2, is 3: give the options of before, choose another folder, or --overwrite instead of --resume (BAD_CONFIG)",
    );
  });

  test("its mistakes: exit code 78, all with their lines, and nothing was run", async () => {
    writeFileSync(join(cwd, "wrong.yaml"), "epoch: 2\nlr: -1\naugment:\n  flip: 2\n");
    const before = tree(cwd);
    expect(await refused(["distill", "--config", "wrong.yaml"], cwd, 78, "BAD_CONFIG")).toBe(
      "wrong.yaml: line 1: epoch: unknown option, did you mean epochs?; " +
        "line 2: lr: expected a number above 0, got -1; " +
        "line 4: augment.flip: expected a number from 0 to 1, got 2 (BAD_CONFIG)",
    );
    expect(await refused(["train-teacher", "--config", "none.yaml"], cwd, 1, "NOT_FOUND")).toBe(
      "none.yaml: no such file (NOT_FOUND)",
    );
    expect(tree(cwd)).toEqual(before);
  });

  test("flags' mistakes: exit code 2, under the flags' names", async () => {
    const args = ["--augment", "shift=2.5,flip=2", "--checkpoint-every", "0steps", "--validation", "1", "--csv", ""];
    expect(await refused(["distill", "--config", "run.yaml", ...args], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--validation: expected a number from 0 to below 1, got 1; " +
        "--augment shift: expected a whole number of at least 0, got 2.5; " +
        "--augment flip: expected a number from 0 to 1, got 2; " +
        "--checkpoint-every: expected a whole number of at least 1, got 0; " +
        '--csv: expected a file, got "" (BAD_ARGUMENT)',
    );
    expect(await refused(["distill", "--augment", "mirror"], cwd, 2, "BAD_ARGUMENT")).toBe(
      '--augment: expected each change with its number, as shift=2,flip=0.5, got "mirror" (BAD_ARGUMENT)',
    );
    expect(await refused(["distill", "--augment", "noise=0.1,mixup"], cwd, 2, "BAD_ARGUMENT")).toBe(
      '--augment: expected each change with its number, as shift=2,flip=0.5, got "noise=0.1,mixup" (BAD_ARGUMENT)',
    );
    expect(await refused(["distill", "--augment", "mirror=1"], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--augment mirror: unknown option (BAD_ARGUMENT)",
    );
    expect(await refused(["distill", "--data", "rows"], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--teacher: needed with data rows; `distillery train-teacher` makes one (BAD_ARGUMENT)",
    );
    expect(await refused(["distill", "--data", "missing.csv"], cwd, 1, "NOT_FOUND")).toMatch(
      /^missing\.csv: no such file or folder/,
    );
  });
});

describe("logs beside metrics.jsonl", () => {
  test("as a table and for TensorBoard, in the run's folder or elsewhere", async () => {
    await succeed(["distill", ...SMALL, "--epochs", "2", "--csv", "--tensorboard", "--out", "logs-here"], cwd);
    const table = readFileSync(join(cwd, "logs-here", "metrics.csv"), "utf8")
      .trimEnd()
      .split("\r\n");
    expect(table).toHaveLength(3);
    expect(table[0]).toMatch(/^epoch,epochs,loss,/);
    expect(tree(join(cwd, "logs-here", "tensorboard"))).toEqual([expect.stringMatching(/^events\.out\.tfevents\./)]);
    const elsewhere = ["--csv", "mine.csv", "--tensorboard", "board", "--out", "away"];
    await succeed(["distill", ...SMALL, "--epochs", "1", ...elsewhere], cwd);
    expect(readFileSync(join(cwd, "mine.csv"), "utf8")).toMatch(/^epoch,/);
    expect(tree(join(cwd, "board"))).toHaveLength(1);
    expect(tree(join(cwd, "away"))).not.toContain("metrics.csv");
  });
});

describe("--dry-run", () => {
  test("says what each column of a table was taken for", async () => {
    const rows = Array.from({ length: 20 }, (_, i) => `${i};0,5;${i % 3 ? "red" : ""};n${i};${"xy"[i % 2]}`);
    writeFileSync(join(cwd, "columns.csv"), `a;b;colour;id;kind\n${rows.join("\n")}\n`);
    const flags = ["--drop-columns", "id", "--missing", "category", "--label-column", "-1", "--dry-run"];
    const printed = await succeed(["train-teacher", "--data", "columns.csv", ...flags], cwd);
    expect(printed).toContain(`Columns:
  a: numbers
  b: numbers, written with decimal commas
  colour: texts, 2 categories
  kind: the label, 2 classes
`);
  });

  test("prints the networks and what a run takes, and writes nothing", async () => {
    const folder = newFolder(temporary);
    const printed = await succeed(["distill", "--epochs", "3", "--dry-run"], folder);
    expect(tree(folder)).toEqual([]);
    expect(printed).toMatch(
      /^teacher: TeacherNet\(\n {2}\(fc1\): Linear\(in_features=784, out_features=2048, bias=True\)$/m,
    );
    expect(printed).toMatch(/^student: StudentNet\($/m);
    expect(printed).toContain("Parameters: teacher 4,242,954, student 535,818, 7.9 times fewer\n");
    expect(printed).toContain("Data: synthetic, 1,024 samples for training, 0 for validation, 0 for testing; ");
    expect(printed).toMatch(/^ {2}the optimizer's state +4\.3 MB$/m);
    expect(printed).toMatch(/^Time of the distillation, about: \d+ s for 48 steps of \d+\.\d\d ms, /m);
  });

  test("as JSON", async () => {
    const printed = await succeed(
      ["train-teacher", "--epochs", "2", "--batch-size", "100", "--dry-run", "--json"],
      cwd,
    );
    const { networks, parameters, compression, data, seconds, runs, ...rest } = JSON.parse(printed);
    expect(rest).toEqual({});
    expect([parameters, compression]).toEqual([{ teacher: 4_242_954 }, null]);
    expect(networks.teacher).toMatch(/^TeacherNet\(\n/);
    const sizes = { features: 784, classes: 10 };
    expect(data).toEqual({ name: "synthetic", training: 1024, validation: 0, test: 0, ...sizes });
    expect(runs).toHaveLength(1);
    expect(runs[0]).toMatchObject({ name: "the training", times: 1, steps: 22, seconds });
    expect(runs[0].memory).toMatchObject({ gradients: 4 * 4_242_954, optimizer: 8 * 4_242_954 });
  });

  test("looks at the configuration first", async () => {
    const { code, stderr } = await distillery(["distill", "--epochs", "0", "--dry-run"], cwd);
    expect([code, stderr]).toEqual([
      2,
      "distillery: --epochs: expected a whole number of at least 1, got 0 (BAD_ARGUMENT)\n",
    ]);
  });
});

test("~ after = is the home folder, in flags that name files alone", () => {
  const command = new Command().option("--onnx [out]").option("--config <file>").option("--student <name>");
  command.parse(["--onnx=~/n.onnx", "--config=~/c.yaml", "--student=~/net"], { from: "user" });
  expect(givenFlags(command)).toEqual({
    onnx: `${homedir()}/n.onnx`,
    config: `${homedir()}/c.yaml`,
    student: "~/net",
  });
});
