import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import {
  bytes,
  distillery,
  ended,
  jsonLines,
  launch,
  lines,
  newFolder,
  refused,
  STUDENT,
  succeed,
  tree,
  userFolder,
} from "./support.js";

const temporary = temporaryFolder();
let cwd: string;

const COMMON = ["--data", "rows.csv", "--epochs", "3", "--batch-size", "20", "--lr", "0.01"];
const OWN = ["--loss", "./my_loss.mjs(scale=2)", "--student", "./net.mjs#Tiny"];
const TEACHER = ["--teacher", join("teacher", "teacher.safetensors")];
const distill = (out: string, ...more: string[]) => ["distill", ...COMMON, ...TEACHER, "--out", out, ...more];

beforeAll(async () => {
  cwd = userFolder(temporary);
  await succeed(["train-teacher", ...COMMON, "--teacher-network", "mlp([16])", "--no-report", "--out", "teacher"], cwd);
});

const configOf = (out: string) => JSON.parse(readFileSync(join(cwd, out, "config.json"), "utf8"));
const student = (out: string) => bytes(cwd, out, `${STUDENT}.safetensors`);

describe("a user's loss and network", () => {
  test("the loss's metrics are in the lines, metrics.jsonl, TensorBoard, the table and the report", async () => {
    const printed = lines(await succeed(distill("own", ...OWN, "--tensorboard", "--csv"), cwd));
    expect(printed[0]).toMatch(/^Epoch \[1\/3\] \| Loss: \d+\.\d{4} \| LR: .* \| logitMse: \d+\.\d{4} \| Validation: /);
    const records = jsonLines(readFileSync(join(cwd, "own", "metrics.jsonl"), "utf8"));
    expect(records).toHaveLength(3);
    for (const { loss, logitMse } of records) expect(loss as number).toBeCloseTo(2 * (logitMse as number), 5);
    const [events] = tree(join(cwd, "own", "tensorboard"));
    expect(readFileSync(join(cwd, "own", "tensorboard", events), "latin1")).toContain("logitMse");
    expect(readFileSync(join(cwd, "own", "metrics.csv"), "utf8")).toMatch(/^epoch,epochs,loss,logitMse,/);
    expect(readFileSync(join(cwd, "own", "report.html"), "utf8")).toContain("logitMse");
    expect(configOf("own")).toMatchObject({
      loss: { name: "my-loss", scale: 2 },
      modules: { "./net.mjs#Tiny": expect.any(String), "./my_loss.mjs": expect.any(String) },
      userOptions: { loss: "./my_loss.mjs(scale=2)", student: "./net.mjs#Tiny" },
    });
  });

  test("that reads no teacher trains on the synthetic data, whose default is a teacher in train mode", async () => {
    const text = `export default () => ({
  name: "alone",
  needsTeacher: false,
  config: () => ({ name: "alone" }),
  compute: ({ student }) => ({ loss: student.logits.mul(student.logits).mean(), metrics: {} }),
});
`;
    writeFileSync(join(cwd, "alone.mjs"), text);
    for (const loss of ["./alone.mjs", "0.5*./alone.mjs + 0.5*cross-entropy"]) {
      const printed = await succeed(["distill", "--epochs", "1", "--loss", loss, "--no-report", "--dry-run"], cwd);
      expect(printed).toContain("Time of the distillation");
    }
  });

  test("without a teacher a loss that needs none trains as train-teacher does", async () => {
    const loss = ["--loss", "cross-entropy", "--no-report"];
    const alone = ["distill", ...COMMON, ...loss, "--student", "./net.mjs#Tiny", "--out", "alone"];
    const printed = await succeed(alone, cwd);
    expect(printed).not.toContain("is no network of Distillery's");
    expect(configOf("alone")).not.toHaveProperty("teacherNetwork");
    const network = ["--teacher-network", "./net.mjs#Tiny"];
    await succeed(["train-teacher", ...COMMON, ...loss, ...network, "--out", "labels"], cwd);
    const figures = (out: string) =>
      jsonLines(readFileSync(join(cwd, out, "metrics.jsonl"), "utf8")).map(({ loss, lr, validationLoss }) => ({
        loss,
        lr,
        validationLoss,
      }));
    expect(figures("alone")).toEqual(figures("labels"));
    expect(await succeed([...alone, "--resume"], cwd)).toMatch(/Student saved/);
    expect(await succeed([...alone, "--dry-run"], cwd)).toContain("Time of the distillation");
  });

  test.each([
    [["--loss", "kd"], "--teacher: the loss kd needs one; `distillery train-teacher` makes it"],
    [["--loss", "hint"], "--loss: hint needs a teacher: give distill one"],
    [["--loss", "cross-entropy", "--teacher-cache"], "--teacher-cache: needs a teacher (--teacher)"],
    [["--loss", "cross-entropy", "--no-teacher-cache"], "--no-teacher-cache: needs a teacher (--teacher)"],
    [["--loss", "cross-entropy", "--teacher-size", "8"], "--teacher-size: needs a teacher's file (--teacher)"],
  ])("without a teacher %s is refused", async (args, message) => {
    expect(await refused(["distill", ...COMMON, ...args, "--out", "none"], cwd, 2, "BAD_ARGUMENT")).toBe(
      `${message} (BAD_ARGUMENT)`,
    );
  });

  test("a function that makes a function of the batch", async () => {
    await succeed(distill("function", "--loss", "./my_loss.mjs#makesFunction", "--no-report"), cwd);
    expect(configOf("function").loss.function).toContain("student.logits");
  });

  test("a stopped run is resumed, to the same bits, and not with other arguments", async () => {
    const shorter = distill("stopped", ...OWN, "--no-report", "--patience", "1");
    await succeed(shorter, cwd);
    expect(await succeed([...shorter, "--resume"], cwd)).toMatch(/Student saved/);
    await succeed([...distill("own", ...OWN), "--resume"], cwd);
    const other = distill("own", "--loss", "./my_loss.mjs(scale=3)", "--student", "./net.mjs#Tiny", "--resume");
    expect(await refused(other, cwd, 78, "BAD_CONFIG")).toMatch(/^own: can't resume .* loss was /);
  });

  test("losses by name, with regressors and a memory, side by side in several processes and alone in one", async () => {
    const loss = "cross-entropy + dkd(warmup=2) + 2*hint(student=fc1, teacher=fc1) + rkd + 0.8*crd(negatives=8)";
    const student = ["--student", "mlp([8])"];
    const compared = [
      "compare",
      ...COMMON,
      ...TEACHER,
      ...student,
      "--parallel",
      "2",
      "--seeds",
      "2",
      "--out",
      "named",
    ];
    const printed = lines(await succeed([...compared, "--losses", `kd, ${loss}`], cwd));
    for (const start of ["baseline student  ", "kd  ", "cross-entropy + dkd(warmup=2) + 2*", "kd: "]) {
      expect(
        printed.some((line) => line.startsWith(start)),
        `${start} in\n${printed.join("\n")}`,
      ).toBe(true);
    }
    expect(readFileSync(join(cwd, "named", "report.html"), "utf8")).toContain("correctedPValue");
    const [folder] = readdirSync(join(cwd, "named", "seed-0")).filter((name) => name.startsWith("cross-entropy+dkd"));
    const trial = join("named", "seed-0", folder);
    const [record] = jsonLines(readFileSync(join(cwd, trial, "metrics.jsonl"), "utf8"));
    expect(Object.keys(record)).toEqual(expect.arrayContaining(["cross-entropy", "dkd", "hint", "rkd", "crd"]));
    await succeed(distill("named-once", ...student, "--loss", loss, "--no-report"), cwd);
    expect(configOf("named-once").loss).toEqual(configOf(trial).loss);
    const missing = await refused(distill("none", "--loss", "hint(student=fc9)"), cwd, 2, "BAD_ARGUMENT");
    expect(missing).toMatch(/student: no module "fc9"/);
    const refusedList = (...flags: string[]) => refused([...compared, ...flags], cwd, 2, "BAD_ARGUMENT");
    expect(await refusedList("--losses", "kd, dkdd")).toMatch(/--losses: unknown loss "dkdd", did you mean dkd\?/);
    expect(await refusedList("--losses", "kd", "--loss", "kd")).toMatch(/--losses: loss is given too/);
  });

  test("compare and sweep train in processes with it", async () => {
    const common = [...COMMON, ...TEACHER, "--student", "./net.mjs#Tiny", "--parallel", "2", "--no-report"];
    await succeed(["compare", ...common, "--loss", "./my_loss.mjs(scale=2)", "--seeds", "2", "--out", "compared"], cwd);
    const records = jsonLines(readFileSync(join(cwd, "compared", "seed-0", "distilled", "metrics.jsonl"), "utf8"));
    expect(records[0]).toHaveProperty("logitMse");
    expect(
      await succeed(
        ["compare", ...common, "--loss", "./my_loss.mjs(scale=2)", "--seeds", "2", "--out", "compared", "--resume"],
        cwd,
      ),
    ).toMatch(/accuracy/);
    const grid = ["--temperatures", "2", "--alphas", "0.5,0.9"];
    await succeed(["sweep", ...common, ...grid, "--loss", "./my_loss.mjs#swept", "--out", "swept"], cwd);
    const point = configOf(join("swept", "temperature-2", "alpha-0.9"));
    expect(point.loss).toEqual({ name: "swept", temperature: 2, alpha: 0.9 });
    for (const { teacherNetwork } of [configOf("swept"), configOf("compared")]) {
      expect(teacherNetwork).toMatch(/^mlp\(hidden=\[16\]/);
    }
  });

  test.each([
    [
      "./my_loss.mjs#ofBatch",
      2,
      "BAD_ARGUMENT",
      "--loss: ./my_loss.mjs#ofBatch: my_loss.mjs:21:58: TypeError: Cannot read properties of undefined (reading 'logits'): it is called with { classes,",
    ],
    ["./my_loss.mjs#fails", 2, "BAD_ARGUMENT", "--loss: ./my_loss.mjs#fails: my_loss.mjs:33:9: RangeError: of my own"],
    ["./my_loss.mjs#wrong", 2, "BAD_ARGUMENT", "--loss: ./my_loss.mjs#wrong: expected a loss"],
    ["./none.mjs", 1, "NOT_FOUND", "./none.mjs: no such file"],
    ["./my_loss.mjs(", 2, "BAD_ARGUMENT", "--loss: expected a value at character 15, got the end"],
    ["kdd", 2, "BAD_ARGUMENT", '--loss: unknown loss "kdd", did you mean kd?'],
    ["kd(temprature=4)", 2, "BAD_ARGUMENT", "--loss: kd: temprature: unknown argument, did you mean temperature?"],
  ] as const)("%s is refused in one line", async (loss, exit, code, message) => {
    const line = await refused(distill("none", "--loss", loss), cwd, exit, code);
    expect(line.startsWith(message), line).toBe(true);
  });
});

test("an error of a loss's own has the step, the file and the line, and is no defect of Distillery", async () => {
  const { code, stderr } = await distillery(distill("none", "--loss", "./my_loss.mjs#throws"), cwd);
  expect(code).toBe(1);
  const line = "epoch 1, step 1 of \\d+: my_loss.mjs:\\d+:\\d+: RangeError: of my own \\(BAD_ARGUMENT\\)";
  expect(lines(stderr).at(-1)).toMatch(new RegExp(`^distillery: ${line}$`));
});

describe("mistakes in a user's module are no defect of Distillery", () => {
  const got = (what: string) => `forward: expected a Tensor, got ${what}`;
  const config = "expected a loss whose config() gives what JSON can hold";
  test.each([
    ["student", "NoForward", "forward: expected a method, got undefined"],
    ["student", "Nothing", got("undefined"), 1],
    ["student", "List", got("a list"), 1],
    ["student", "Async", got("a promise: forward can't be async"), 1],
    ["loss", "throwsNull", "expected an Error to be thrown, got null"],
    ["loss", "throwsText", 'expected an Error to be thrown, got "of my own"'],
    ["loss", "circular", `${config}: Converting circular structure to JSON`],
    ["loss", "bigint", `${config}: Do not know how to serialize a BigInt`],
  ])("--%s ./mistakes.mjs#%s", async (flag, name, message, exit = 2) => {
    const module = `./mistakes.mjs#${name}`;
    const { code, stderr } = await distillery(distill("none", `--${flag}`, module), cwd);
    expect(lines(stderr).at(-1)).toBe(`distillery: --${flag}: ${module}: ${message} (BAD_ARGUMENT)`);
    expect(code).toBe(exit);
  });
});

test.each([
  [
    "a teacher's promise that never settles",
    ["--teacher", "./ends.mjs"],
    "teacher: samples 0 to 63: its promise never settled",
  ],
  [
    "process.exit(0)",
    ["--loss", "./ends.mjs#exits"],
    "the command did not finish: a module of your own called process.exit",
  ],
])("%s ends the command as a failed one", async (_, flags, message) => {
  const { code, stderr } = await ended(launch(["distill", ...COMMON, "--out", newFolder(cwd), ...flags], cwd));
  expect(lines(stderr).at(-1)).toBe(`distillery: ${message} (BAD_ARGUMENT)`);
  expect(code).toBe(1);
});

describe("losses by name", () => {
  test("kd with its arguments is what --temperature and --alpha make, to the bit", async () => {
    await succeed(distill("flags", "--no-report", "--temperature", "4", "--alpha", "0.9"), cwd);
    await succeed(distill("by-name", "--no-report", "--loss", "kd(temperature=4, alpha=0.9)"), cwd);
    expect(student("by-name")).toBe(student("flags"));
  });

  test("by their parts in a configuration file", async () => {
    writeFileSync(
      join(cwd, "run.yaml"),
      "loss:\n  - { name: cross-entropy, weight: 0.1 }\n  - name: kd\n    weight: 0.9\n    temperature: 4\n",
    );
    await succeed(distill("parts", "--no-report", "--config", "run.yaml"), cwd);
    await succeed(distill("sum", "--no-report", "--loss", "0.1*cross-entropy + 0.9*kd(temperature=4)"), cwd);
    expect(student("parts")).toBe(student("sum"));
  });

  test("--temperature and --alpha beside --loss are refused", async () => {
    const flags = ["--loss", "kd", "--temperature", "4", "--alpha", "0.5"];
    expect(await refused(distill("none", ...flags), cwd, 2, "BAD_ARGUMENT")).toBe(
      "--temperature: has no effect beside a loss: write it into the loss, as kd(temperature=4); " +
        "--alpha: has no effect beside a loss: write it into the loss, as kd(alpha=0.9) (BAD_ARGUMENT)",
    );
  });

  test("--label-smoothing beside a --loss that reads none is refused", async () => {
    const text = 'no term of the loss kd reads it: leave it out, or add one, as "0.1*cross-entropy" (BAD_ARGUMENT)';
    const flags = ["--loss", "kd", "--label-smoothing", "0.5"];
    expect(await refused(distill("none", ...flags), cwd, 2, "BAD_ARGUMENT")).toBe(`--label-smoothing: ${text}`);
  });

  test("a sweep tries what the loss's terms take", async () => {
    const sweep = ["sweep", ...COMMON, ...TEACHER, "--no-report", "--parallel", "1", "--out", "terms"];
    await succeed([...sweep, "--loss", "0.5*cross-entropy + 0.5*kd", "--temperatures", "1,4"], cwd);
    expect(configOf(join("terms", "temperature-4", "alpha-0.6")).loss).toEqual([
      { weight: 0.5, loss: { name: "cross-entropy", labelSmoothing: 0 } },
      { weight: 0.5, loss: { name: "kd", temperature: 4 } },
    ]);
    expect(await refused([...sweep, "--loss", "cross-entropy"], cwd, 2, "BAD_ARGUMENT")).toMatch(
      /^--loss: no term of cross-entropy has a temperature or an alpha to sweep: there is nothing to sweep/,
    );
  });
});
