import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  distill,
  type EpochRecord,
  formatEpoch,
  load,
  manualSeed,
  StudentNet,
  synthetic,
  TeacherNet,
} from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import {
  bytes,
  distillery,
  EPOCH_LINE,
  ended,
  jsonLines,
  launch,
  lines,
  newFolder,
  STUDENT,
  succeed,
  tree,
} from "./support.js";

const temporary = temporaryFolder();
/** What a run says at its end. */
const saved = (out: string) => [
  `Student saved to ${join(out, `${STUDENT}.pth`)}`,
  `Report: ${join(out, "report.html")}`,
];

/** The record of a line of `metrics.jsonl`. */
const recordOf = (row: unknown) => ({ ...(row as object), metrics: row }) as EpochRecord;

/** What a run prints with the numbers of the script but for its epochs. */
async function expectedLines(epochs: number, seed: number): Promise<{ texts: string[]; student: string }> {
  manualSeed(seed);
  const [teacher, student] = [new TeacherNet().freeze(), new StudentNet()];
  const texts: string[] = [];
  const onEpoch = (record: EpochRecord) => void texts.push(formatEpoch("KD Loss", record));
  await distill({ teacher, student, data: synthetic(), epochs, teacherMode: "train", shuffle: false, onEpoch });
  return { texts, student: fingerprint(student.stateDict()) };
}

describe("distill with no data is the script", () => {
  test("its lines, its files, and the same bytes with one thread and two", async () => {
    const cwd = newFolder(temporary);
    const { texts, student } = await expectedLines(2, 0);
    const printed = lines(
      await succeed(["distill", "--epochs", "2", "--threads", "1", "--keep-checkpoints", "1"], cwd),
    );
    expect(printed).toEqual([...texts, ...saved(join("runs", "distill"))]);
    for (const line of texts) expect(line).toMatch(EPOCH_LINE);
    const out = join(cwd, "runs", "distill");
    const files = [
      "checkpoint.safetensors",
      "config.json",
      `${STUDENT}.pth`,
      `${STUDENT}.safetensors`,
      "metrics.jsonl",
      "report.html",
      "run.lock",
    ];
    expect(tree(cwd)).toEqual(["runs", "runs/distill", ...files.map((file) => `runs/distill/${file}`)]);
    for (const file of files.filter((file) => file.startsWith(STUDENT))) {
      expect(fingerprint(await load(join(out, file)))).toBe(student);
    }
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config).toMatchObject({
      command: "distill",
      seed: 0,
      epochs: 2,
      batchSize: 64,
      lr: 6e-4,
      weightDecay: 1e-5,
      temperature: 3.5,
      alpha: 0.6,
      teacherMode: "train",
      shuffle: false,
      data: "synthetic",
      samples: 1024,
      features: 784,
    });
    const metrics = jsonLines(readFileSync(join(out, "metrics.jsonl"), "utf8"));
    expect(metrics.map((row) => formatEpoch("KD Loss", recordOf(row)))).toEqual(texts);

    const two = lines(await succeed(["distill", "--epochs", "2", "--threads", "2", "--out", "two"], cwd));
    expect(two).toEqual([...texts, ...saved("two")]);
    const timed = ["metrics.jsonl", "checkpoint.safetensors", "report.html"];
    for (const file of files.filter((file) => !timed.includes(file))) {
      expect(bytes(cwd, "two", file), file).toBe(bytes(out, file));
    }
  });

  test("another seed, as JSON lines", async () => {
    const cwd = newFolder(temporary);
    const { texts } = await expectedLines(1, 7);
    const [record, end] = jsonLines(await succeed(["distill", "--epochs", "1", "--seed", "7", "--json"], cwd));
    expect(formatEpoch("KD Loss", recordOf(record))).toBe(texts[0]);
    expect(end).toEqual({
      event: "end",
      loss: record?.loss,
      evaluation: null,
      best: null,
      stoppedEarly: false,
      report: join("runs", "distill", "report.html"),
      files: [".pth", ".safetensors"].map((extension) => join("runs", "distill", STUDENT + extension)),
    });
  });

  test("--quiet prints nothing", async () => {
    const cwd = newFolder(temporary);
    const { code, stdout, stderr } = await distillery(["distill", "--epochs", "1", "--quiet"], cwd);
    expect([code, stdout, stderr]).toEqual([0, "", ""]);
    expect(existsSync(join(cwd, "runs", "distill", `${STUDENT}.pth`))).toBe(true);
  });
});

describe("--log-file", () => {
  test("by default output_results/knowledge_distillation.txt", async () => {
    const cwd = newFolder(temporary);
    const { stdout, opening } = await distillery(["distill", "--epochs", "1", "--log-file"], cwd);
    expect(lines(stdout)).toHaveLength(3);
    expect(readFileSync(join(cwd, "output_results", "knowledge_distillation.txt"), "utf8")).toBe(opening + stdout);
  });

  test("with a name; what was printed of a failure is there too", async () => {
    const cwd = newFolder(temporary);
    writeFileSync(join(cwd, "taken"), "");
    const log = ["--log-file", join("logs", "ünder", "run.txt")];
    const { code, stderr } = await distillery(["distill", "--out", "taken", ...log], cwd);
    expect(code).toBe(1);
    expect(readFileSync(join(cwd, "logs", "ünder", "run.txt"), "utf8")).toBe(stderr);
    expect(stderr).toContain("(IO_ERROR)");
  });

  test("a resumed run adds to it, one that is refused replaces nothing, a dry run writes none", async () => {
    const cwd = newFolder(temporary);
    const run = (...more: string[]) => ["distill", "--no-report", "--out", "r", "--log-file", "log.txt", ...more];
    const log = () => readFileSync(join(cwd, "log.txt"), "utf8");
    await succeed(run("--epochs", "1", "--dry-run"), cwd);
    expect(tree(cwd)).toEqual([]);
    await succeed(run("--epochs", "1"), cwd);
    const first = log();
    expect(first).toContain("Epoch [1/1]");
    const { code, stderr } = await distillery(run("--epochs", "1", "--lr", "0.1"), cwd);
    expect([code, log()]).toEqual([78, first + stderr]);
    await succeed(run("--epochs", "2", "--resume"), cwd);
    expect(log().startsWith(first + stderr)).toBe(true);
    expect(log()).toContain("Epoch [2/2]");
  });

  test("that can't be written: nothing is run", async () => {
    const cwd = newFolder(temporary);
    writeFileSync(join(cwd, "taken"), "");
    const { code, stdout, stderr } = await distillery(["distill", "--log-file", join("taken", "log.txt")], cwd);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^distillery: [^\n]*can't write it[^\n]* \(IO_ERROR\)\n$/);
    expect(tree(cwd)).toEqual(["taken"]);
  });
});

describe("Ctrl-C", () => {
  test("saves; --resume ends with the file of a run that was not interrupted", async () => {
    const cwd = newFolder(temporary);
    const options = ["distill", "--epochs", "5"];
    await succeed([...options, "--out", "whole"], cwd);
    const child = launch([...options, "--out", "cut"], cwd, { heldUntil: "SIGINT" });
    child.stdout?.once("data", () => child.kill("SIGINT"));
    const { code, stdout, stderr } = await ended(child);
    expect(code, stderr).toBe(130);
    const [advice, place, ...more] = lines(stderr);
    expect(advice).toBe("finishing the step and saving; once more stops at once");
    expect(place).toMatch(/^distillery: stopped in epoch \d of 5, after step \d+ of 16; its state is saved in cut: /);
    expect(more).toEqual([]);
    expect(tree(join(cwd, "cut")).some((file) => file.startsWith(STUDENT))).toBe(false);

    const rest = await distillery([...options, "--out", "cut", "--resume"], cwd);
    expect(rest.code, rest.stderr).toBe(0);
    expect(rest.stderr).toMatch(/^cut: resumed at epoch \d of 5, step \d+\n$/);
    const epochs = [...lines(stdout), ...lines(rest.stdout)].filter((line) => line.startsWith("Epoch"));
    expect(epochs.map((line) => EPOCH_LINE.exec(line)?.[1])).toEqual(["1", "2", "3", "4", "5"]);
    for (const extension of [".pth", ".safetensors"]) {
      expect(bytes(cwd, "cut", STUDENT + extension)).toBe(bytes(cwd, "whole", STUDENT + extension));
    }
    const logged = (out: string) =>
      jsonLines(readFileSync(join(cwd, out, "metrics.jsonl"), "utf8")).map(({ epoch, loss, lr }) => [epoch, loss, lr]);
    expect(logged("cut")).toEqual(logged("whole"));

    const finished = await distillery([...options, "--out", "cut", "--resume"], cwd);
    expect([finished.code, finished.stderr]).toEqual([0, "cut: this run is finished\n"]);
    expect(lines(finished.stdout)).toEqual(saved("cut"));
  });
});
