import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Linear, StudentNet, save } from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import { distillery, ended, launch, newFolder, refused, SMALL_TEACHER, succeed, tree } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;

/** Files to refuse. */
beforeAll(async () => {
  cwd = newFolder(temporary);
  await save(new StudentNet().stateDict(), join(cwd, "student.pth"));
  const whole = readFileSync(join(cwd, "student.pth"));
  writeFileSync(join(cwd, "cut.pth"), whole.subarray(0, 100_000));
  writeFileSync(join(cwd, "text.pth"), "this is no checkpoint\n");
  writeFileSync(join(cwd, "empty.safetensors"), "");
  await save(new Linear(3, 2).stateDict(), join(cwd, "foreign.safetensors"));
  mkdirSync(join(cwd, "folder.pth"));
  mkdirSync(join(cwd, "epochs", "others"), { recursive: true });
  const rows = Array.from({ length: 12 }, (_, i) => `${i % 5},${i % 3},${i % 2}`);
  for (const name of ["t.csv", "tested.csv", "tested_test.csv", "tested_val.csv"]) {
    writeFileSync(join(cwd, name), ["a,b,label", ...rows].join("\n"));
  }
});

/** Runs that must be refused, and leave nothing behind. */
async function leavesNothing(args: readonly string[], exit: number, code: string): Promise<string> {
  const before = tree(cwd);
  const text = await refused(args, cwd, exit, code);
  expect(tree(cwd)).toEqual(before);
  return text;
}

describe("wrong usage: exit code 2", () => {
  test.each<[string, string]>([
    ["distill --epoch 3", "unknown option '--epoch' (Did you mean --epochs?) (BAD_ARGUMENT); see --help"],
    ["distill --nonsense", "unknown option '--nonsense' (BAD_ARGUMENT); see --help"],
    ["distil", "unknown command 'distil' (Did you mean distill?) (BAD_ARGUMENT); see --help"],
    ["--nonsense", "unknown option '--nonsense' (BAD_ARGUMENT); see --help"],
    [
      "distill --calibrate-teacher both",
      '--calibrate-teacher: takes no value, got "both", which compare alone takes (BAD_ARGUMENT); see --help',
    ],
    ["distill --resume 5", '--resume: takes no value, got "5" (BAD_ARGUMENT); see --help'],
    ["distill --resume=true", '--resume: takes no value, got "true" (BAD_ARGUMENT); see --help'],
    ["compare --overwrite=1", '--overwrite: takes no value, got "1" (BAD_ARGUMENT); see --help'],
    ["distill --nonsense=1", "unknown option '--nonsense=1' (BAD_ARGUMENT); see --help"],
    [
      "train-teacher --data t.csv --augment noise=0.1,noise=5",
      '--augment: "noise" is given twice: give it once (BAD_ARGUMENT)',
    ],
    ["distill --key model", "--key: needs a file of weights (--teacher, --from) (BAD_ARGUMENT)"],
    [
      "train-teacher --data t.csv --strip-prefix x.",
      "--strip-prefix: needs a file of weights (--teacher, --from) (BAD_ARGUMENT)",
    ],
    ["evaluate student.pth --average logits", "--average: needs a teacher's file (--teacher) (BAD_ARGUMENT)"],
    [
      "evaluate student.pth --teacher-network mlp(hidden=[8])",
      "--teacher-network: needs a teacher's file (--teacher) (BAD_ARGUMENT)",
    ],
    ["evaluate student.pth --teacher-size 32", "--teacher-size: needs a teacher's file (--teacher) (BAD_ARGUMENT)"],
    [
      "export student.pth --js --no-embed-normalisation",
      "--no-embed-normalisation: needs --onnx: JavaScript takes samples as they are (BAD_ARGUMENT)",
    ],
    [
      "compare --data t.csv --collect --overwrite",
      "--overwrite: collect replaces nothing: leave one of the two out (BAD_ARGUMENT)",
    ],
    ["distill more", 'unexpected argument "more": distill takes options alone (BAD_ARGUMENT); see --help'],
    ["inspect a.pth b.pth", 'unexpected argument "b.pth": inspect takes 1 argument (BAD_ARGUMENT); see --help'],
    ["train", 'unknown command "train", did you mean train-teacher? (BAD_ARGUMENT); see --help'],
    ["distill --epochs", "option '--epochs <number>' argument missing (BAD_ARGUMENT); see --help"],
    ["inspect", "missing required argument 'file' (BAD_ARGUMENT); see --help"],
    ["distill --epochs 0", "--epochs: expected a whole number of at least 1, got 0 (BAD_ARGUMENT)"],
    ["distill --epochs many", '--epochs: expected a whole number of at least 1, got "many" (BAD_ARGUMENT)'],
    ["distill --epochs 1e400", "--epochs: expected a whole number of at least 1, got Infinity (BAD_ARGUMENT)"],
    ["distill --epochs 0x10", '--epochs: expected a whole number of at least 1, got "0x10" (BAD_ARGUMENT)'],
    [
      "distill --checkpoint-every 0epochs",
      "--checkpoint-every: expected a whole number of at least 1, got 0 (BAD_ARGUMENT)",
    ],
    ["distill --batch-size 0", "--batch-size: expected a whole number of at least 1, got 0 (BAD_ARGUMENT)"],
    ["train-teacher --lr -1", "--lr: expected a number above 0, got -1 (BAD_ARGUMENT)"],
    [
      "distill --temperature 0 --alpha 2",
      "--temperature: expected a number above 0, got 0; --alpha: expected a number from 0 to 1, got 2 (BAD_ARGUMENT)",
    ],
    ["distill --teacher-mode frozen", '--teacher-mode: expected "train" or "eval", got "frozen" (BAD_ARGUMENT)'],
    ["distill --seed x", '--seed: expected a whole number of at least 0, got "x" (BAD_ARGUMENT)'],
    ["distill --threads 0", "--threads: expected a whole number from 1 to 1024, got 0 (BAD_ARGUMENT)"],
    [
      "distill --checkpoint-every 0.5",
      "--checkpoint-every: expected a whole number of at least 1, got 0.5 (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data t.csv --label-column no",
      '--label-column: expected a column of t.csv, "a", "b", "label", or its index from 0, got "no" (BAD_ARGUMENT)',
    ],
    [
      "train-teacher --data t.csv --augment flip=0.5",
      "--augment: expected images for shift, crop and flip; only noise and mixup suit any data (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data t.csv --batch-size 99 --drop-last --validation 0 --test-fraction 0",
      "--batch-size: expected at most the 12 samples, as the last short batch is dropped, got 99 (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data t.csv --batch-size 22 --shards 2 --validation 0 --test-fraction 0",
      "--shards: 2 leaves a last shard of one of the last batch's 12 samples, which BatchNorm can't take: " +
        "--drop-last leaves the batch out, --batch-norm batch normalises over all shards (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data t.csv --batch-size 1 --validation 0 --test-fraction 0",
      "--batch-size: 1 makes batches of one sample, which BatchNorm can't take: give at least 2 (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data tested.csv --test-fraction 0.3",
      "--test-fraction: tested.csv has a test part of its own, and none is held out: leave it out (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data tested.csv --validation 0.3",
      "--validation: tested.csv has a validation part of its own, and none is held out: leave it out, or give 0 for none (BAD_ARGUMENT)",
    ],
    [
      "compare --data t.csv --student mlp(hidden=[4],norm=batch) --batch-size 4 --shards 4",
      "--shards: 4 of batches of 4 makes shards of one sample, which BatchNorm can't take: " +
        "--batch-norm batch normalises over all shards (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data t.csv --loss review-kd(student=[fc1])",
      "--loss: review-kd needs a teacher: give distill one (BAD_ARGUMENT)",
    ],
    ["distill --epochs 2 --epochs 3", "--epochs: given twice: give it once (BAD_ARGUMENT)"],
    ["distill --shuffle --no-shuffle", "--no-shuffle: given with --shuffle (BAD_ARGUMENT)"],
    ["train-teacher --data t.csv --mean 0.5", "--mean, --std: expected both or none, got one of them (BAD_ARGUMENT)"],
    [
      "distill --seed 9007199254740993",
      "--seed: expected a whole number from 0 to 9007199254740991, got 9007199254740992 (BAD_ARGUMENT)",
    ],
    [
      "train-teacher --data t.csv --image-size 32x",
      '--image-size: expected a whole number from 1 to 65535, or two: rows and columns, got "32x" (BAD_ARGUMENT)',
    ],
    [
      "distill --force-threads",
      "--force-threads: is for more --threads than cores: give these too, or leave it out (BAD_ARGUMENT)",
    ],
    [
      "evaluate student.pth --data t.csv --seed 3",
      "--seed: nothing is drawn with data that are read: leave it out (BAD_ARGUMENT)",
    ],
    ["distill --grey", "--grey: the synthetic data are not read from files: leave it out (BAD_ARGUMENT)"],
    [
      "train-teacher --data t.csv --image-size 8",
      "--image-size: is an option of a folder of PNG, JPEG, WebP, BMP or GIF images by class: t.csv is a .csv or .tsv table (BAD_ARGUMENT)",
    ],
    [
      "compare --data t.csv --losses kd,hint(student=foo) --out o",
      '--losses: hint: student: no module "foo". It has "fc1", "fc2", "fc3" (BAD_ARGUMENT)',
    ],
    ["sweep --data t.csv --temperatures 1,1", "--temperatures: expected each once, got 1 again (BAD_ARGUMENT)"],
    ["data fashon-mnist", 'unknown data set "fashon-mnist", did you mean fashion-mnist? (BAD_ARGUMENT)'],
    ["list looses", 'unknown kind "looses", did you mean losses? (BAD_ARGUMENT)'],
    ["train-teacher --alpha 0.5", "unknown option '--alpha' (BAD_ARGUMENT); see --help"],
  ])("%s", async (args, message) => {
    expect(await leavesNothing(args.split(" "), 2, "BAD_ARGUMENT")).toBe(message);
  });

  test("a folder that is called as an option is none: exit code 1", async () => {
    const text = 'epochs: holds other things, as "others", and no run: choose a folder of its own (BAD_ARGUMENT)';
    const args = "train-teacher --data t.csv --out epochs --epochs 1".split(" ");
    expect(await leavesNothing(args, 1, "BAD_ARGUMENT")).toBe(text);
  });

  test("no command at all", async () => {
    const { code, stdout, stderr } = await distillery([], cwd);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^Usage: distillery /);
  });
});

describe("files that can't be used: exit code 1", () => {
  test("the name of a data set that is nearly known", async () => {
    expect(await leavesNothing(["train-teacher", "--data", "fashon-mnist"], 1, "NOT_FOUND")).toBe(
      "fashon-mnist: no such file or folder, did you mean fashion-mnist? (NOT_FOUND)",
    );
  });

  test.each<[string, string, string]>([
    ["missing.pth", "NOT_FOUND", "missing.pth: no such file (NOT_FOUND)"],
    ["cut.pth", "BAD_CHECKPOINT", "cut.pth: "],
    ["text.pth", "BAD_CHECKPOINT", "text.pth: "],
    ["empty.safetensors", "BAD_CHECKPOINT", "empty.safetensors: "],
    ["folder.pth", "IO_ERROR", "folder.pth: is a folder, not a file (IO_ERROR)"],
  ])("%s", async (file, code, message) => {
    for (const args of [
      ["inspect", file],
      ["evaluate", file],
      ["distill", "--teacher", file],
    ]) {
      const text = await leavesNothing(args, 1, code);
      expect(text.slice(0, message.length)).toBe(message);
    }
  });

  test("one of another network", async () => {
    for (const [flag, ...args] of [
      ["--network", "evaluate", "foreign.safetensors"],
      ["--teacher-network", "distill", "--teacher", "foreign.safetensors"],
    ]) {
      expect(await leavesNothing(args, 1, "BAD_CHECKPOINT")).toBe(
        "foreign.safetensors: the keys weight, bias are of no network that is recognised (student, teacher): " +
          `name it, as ${flag} "mlp(hidden=[64])" (BAD_CHECKPOINT)`,
      );
    }
  });

  test.each(["taken", join("taken", "deeper")])("a folder that can't be written: %s", async (out) => {
    writeFileSync(join(cwd, "taken"), "mine");
    const text = await leavesNothing(["distill", "--epochs", "1", "--out", out], 1, "IO_ERROR");
    expect(text).toBe(`${out}: can't write it: a part of its path is a file, not a folder (IO_ERROR)`);
    expect(readFileSync(join(cwd, "taken"), "utf8")).toBe("mine");
  });

  test("a damaged checkpoint is not resumed", async () => {
    const out = join(cwd, "damaged");
    const keep = ["--keep-checkpoints", "1"];
    await succeed(["distill", "--epochs", "1", "--quiet", "--out", "damaged", ...keep], cwd);
    copyFileSync(join(cwd, "cut.pth"), join(out, "checkpoint.safetensors"));
    const text = await leavesNothing(["distill", "--epochs", "1", "--resume", "--out", "damaged"], 1, "BAD_CHECKPOINT");
    expect(text).toContain(join("damaged", "checkpoint.safetensors"));
  });
});

describe("--threads", () => {
  afterEach(() => void vi.unstubAllEnvs());

  test.each([
    [
      ["--threads", "1000"],
      /^--threads: 1000 on \d+ cores? would be slower: \d+ (are|is) used \(--force-threads: all\)\n$/,
    ],
    [["--threads", `${availableParallelism() + 1}`, "--force-threads"], /^$/],
    [["--threads", "1000", "--quiet"], /^$/],
  ])("%j", async (flags, said) => {
    const { code, stderr } = await distillery(
      [
        "train-teacher",
        "--epochs",
        "1",
        ...SMALL_TEACHER,
        "--out",
        `threads-${flags.length}-${flags.at(-1)}`,
        ...flags,
      ],
      cwd,
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(said);
  });

  test("DISTILLERY_THREADS counts as the flag does", async () => {
    vi.stubEnv("DISTILLERY_THREADS", "1000");
    const { code, stderr } = await distillery(["distill", "--dry-run"], cwd);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^DISTILLERY_THREADS: 1000 on (\d+) cores? would be slower: \1 (are|is) used\n$/);
    vi.stubEnv("DISTILLERY_THREADS", "zero");
    expect(await ended(launch(["distill", "--dry-run"], cwd))).toMatchObject({
      code: 2,
      stdout: "",
      stderr: 'distillery: DISTILLERY_THREADS: expected a whole number from 1 to 1024, got "zero" (BAD_ARGUMENT)\n',
    });
  });
});

describe("--debug", () => {
  test("shows where a failure came from; without it nothing does", async () => {
    const { code, stderr } = await distillery(["inspect", "missing.pth", "--debug"], cwd);
    expect(code).toBe(1);
    expect(stderr).toMatch(/missing\.pth: no such file/);
    expect(stderr).toMatch(/^ {4}at /m);
    const usage = await distillery(["distill", "--epochs", "0", "--debug"], cwd);
    expect([usage.code, /^ {4}at /m.test(usage.stderr)]).toEqual([2, true]);
  });
});

describe("help and version: exit code 0", () => {
  test.each(["--help", "--version", "distill --help", "train-teacher --help", "evaluate --help", "inspect --help"])(
    "%s",
    async (args) => {
      const { code, stdout, stderr } = await distillery(args.split(" "), cwd);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout.length).toBeGreaterThan(4);
    },
  );

  test("distill's names every number with the script's default", async () => {
    expect(await succeed(["train-teacher", "--help"], cwd)).not.toMatch(/\bkd\b|logit-mse/);
    const text = (await succeed(["distill", "--help"], cwd)).replaceAll(/\s+/g, " ");
    for (const [flag, value] of Object.entries({
      "--validation": "0.1; 0 for synthetic data",
      "--schedule": "one-cycle",
      "--label-smoothing": "0",
      "--epochs": "150",
      "--batch-size": "64",
      "--lr": "0.0006",
      "--weight-decay": "0.00001",
      "--temperature": "3.5",
      "--alpha": "0.6",
      "--pct-start": "0.3",
      "--div-factor": "20",
      "--final-div-factor": "100",
      "--max-grad-norm": "1",
    })) {
      expect(text).toMatch(new RegExp(`${flag} <\\w+> [^<]*\\(default: ${value.replaceAll(".", "\\.")}\\)`));
    }
  });
});

describe("several ranks of a command that runs on one", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test.each([
    ["compare --data t.csv", "only distill and train-teacher divide a run; --index and --of run a share of the trials"],
    ["evaluate student.pth --data t.csv", "only distill and train-teacher divide a run (BAD_ARGUMENT)"],
  ])("%s", async (line, message) => {
    vi.stubEnv("OMPI_COMM_WORLD_SIZE", "3");
    const text = await leavesNothing(line.split(" "), 2, "BAD_ARGUMENT");
    expect(text).toContain(`${line.split(" ")[0]}: mpirun -n 3 would do its whole work 3 times: ${message}`);
  });
});
