import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { load, loadNetwork } from "../../src/index.js";
import { weightsMetadata } from "../../src/models/create_network.js";
import { temporaryFolder } from "../support.js";
import { bytes, refused, STUDENT, succeed, tree, userFolder } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;

const COMMON = ["--data", "rows.csv", "--epochs", "3", "--batch-size", "20", "--lr", "0.01", "--no-report"];
const TEACHER = ["--teacher", join("teacher", "teacher.safetensors")];
const OWN = "./net.mjs#Tiny(hidden=5)";

beforeAll(async () => {
  cwd = userFolder(temporary);
  const teacher = ["train-teacher", "--teacher-network", "mlp([16], norm=batch)", "--out", "teacher"];
  await succeed([...teacher, ...COMMON], cwd);
  await succeed(["distill", ...COMMON, ...TEACHER, "--student", "mlp(hidden=[4])", "--out", "named"], cwd);
  await succeed(["distill", ...COMMON, ...TEACHER, "--student", OWN, "--out", "own"], cwd);
});

const configOf = (out: string) => JSON.parse(readFileSync(join(cwd, out, "config.json"), "utf8"));
const student = (out: string, extension = "safetensors") => join(out, `${STUDENT}.${extension}`);

describe("networks by name", () => {
  test("are trained, and are in the files that runs write", async () => {
    const network = await loadNetwork(join(cwd, student("named")));
    expect(weightsMetadata(network)).toMatchObject({
      "distillery.network": "mlp(hidden=[4], dropout=0, norm=none, activation=relu)",
      "distillery.shape": "[2]",
      "distillery.classes": "3",
    });
    expect(configOf("named")).toMatchObject({
      student: "mlp(hidden=[4], dropout=0, norm=none, activation=relu)",
      teacherNetwork: "mlp(hidden=[16], dropout=0, norm=batch, activation=relu)",
      userOptions: { student: "mlp(hidden=[4])" },
    });
    for (const extension of ["pth", "safetensors"]) {
      const file = student("named", extension);
      const printed = await succeed(["evaluate", file, "--data", "rows.csv", ...TEACHER], cwd);
      expect(printed).toMatch(/^named.*: Mlp, 27 parameters/);
      expect(printed).toMatch(/agreement with the teacher/);
      expect(await succeed(["predict", "rows.csv", "--student", file, "--json"], cwd)).toMatch(/"class":/);
      await succeed(["export", file, "--onnx", `${extension}.onnx`], cwd);
    }
  });

  test("a .pth file alone needs --network", async () => {
    copyFileSync(join(cwd, student("named", "pth")), join(cwd, "alone.pth"));
    const evaluate = ["evaluate", "alone.pth", "--data", "rows.csv"];
    expect(await refused(evaluate, cwd, 1, "BAD_CHECKPOINT")).toMatch(/^alone\.pth: the keys fc1\.weight, .*--network/);
    expect(await succeed([...evaluate, "--network", "mlp([4])"], cwd)).toMatch(/^alone\.pth: Mlp, 27 parameters/);
    expect(await refused([...evaluate, "--network", "mlp([5])"], cwd, 1, "STATE_DICT_MISMATCH")).toMatch(
      /^alone\.pth: the weights do not fit mlp\(hidden=\[5\]/,
    );
    expect(await refused([...evaluate, "--network", "mpl([5])"], cwd, 2, "BAD_ARGUMENT")).toMatch(
      /^--network: unknown network "mpl"/,
    );
  });

  test("by their parts in a configuration file, whose mistakes have lines", async () => {
    writeFileSync(join(cwd, "run.yaml"), "student:\n  name: mlp\n  hidden: [4]\n");
    await succeed(["distill", "--config", "run.yaml", ...COMMON, ...TEACHER, "--out", "parts"], cwd);
    expect(bytes(cwd, student("parts"))).toBe(bytes(cwd, student("named")));
    writeFileSync(join(cwd, "wrong.yaml"), "epochs: 1\nstudent: mlp(hiden=[4])\nteacherNetwork: mlp(\n");
    expect(await refused(["distill", "--config", "wrong.yaml"], cwd, 78, "BAD_CONFIG")).toBe(
      "wrong.yaml: line 2: student: mlp: hiden: unknown argument, did you mean hidden? " +
        "(it takes hidden, dropout, norm, activation); " +
        "line 3: teacherNetwork: expected a value at character 5, got the end (BAD_CONFIG)",
    );
  });

  test.each([
    ["--student", "0.5*mlp", '--student: expected one network, without a weight or a sum, got "0.5*mlp"'],
    ["--teacher-network", "mlp(hidden=[0])", "--teacher-network: mlp: hidden[0]: expected a whole number from 1 to"],
  ])("%s %s is refused", async (flag, text, message) => {
    const before = tree(cwd);
    const line = await refused(["distill", ...COMMON, ...TEACHER, flag, text], cwd, 2, "BAD_ARGUMENT");
    expect(line.startsWith(message), line).toBe(true);
    expect(tree(cwd)).toEqual(before);
  });
});

describe("a user's class", () => {
  const distill = (out: string, ...more: string[]) => ["distill", ...COMMON, ...TEACHER, "--out", out, ...more];

  test("is trained, resumed, and read back if it is named again", async () => {
    expect(Object.keys(await load(join(cwd, student("own"))))).toEqual([
      "first.weight",
      "first.bias",
      "second.weight",
      "second.bias",
    ]);
    expect(configOf("own")).toMatchObject({
      student: OWN,
      modules: { "./net.mjs#Tiny": expect.stringMatching(/^\w{64}$/) },
    });
    await succeed(distill("own", "--student", OWN, "--resume"), cwd);
    const evaluate = ["evaluate", student("own"), "--data", "rows.csv"];
    expect(await succeed([...evaluate, "--network", OWN], cwd)).toMatch(/: Tiny, 33 parameters/);
    expect(await refused(evaluate, cwd, 1, "BAD_CHECKPOINT")).toMatch(
      /was made as \.\/net\.mjs#Tiny\(hidden=5\), a user module, which runs only if you name it: --network "\.\/net/,
    );
  });

  test("is not resumed with another text of its file", async () => {
    const file = join(cwd, "net.mjs");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, `${text}\n// changed`);
    try {
      expect(await refused(distill("own", "--student", OWN, "--resume"), cwd, 78, "BAD_CONFIG")).toMatch(
        /net\.mjs#Tiny has changed/,
      );
    } finally {
      writeFileSync(file, text);
    }
  });

  test("is relative to the configuration file that names it", async () => {
    mkdirSync(join(cwd, "conf"), { recursive: true });
    copyFileSync(join(cwd, "net.mjs"), join(cwd, "conf", "mine.mjs"));
    writeFileSync(join(cwd, "conf", "run.yaml"), `student: ./mine.mjs#Tiny(hidden=5)\n`);
    await succeed(distill("relative", "--config", join("conf", "run.yaml")), cwd);
    expect(configOf("relative")).toMatchObject({ student: "./conf/mine.mjs#Tiny(hidden=5)" });
    await succeed(distill("again", "--config", join("relative", "config.json")), cwd);
    expect(await load(join(cwd, student("again")))).toEqual(await load(join(cwd, student("own"))));
  });

  test("is trained in processes, by compare and sweep", async () => {
    const common = [...COMMON, ...TEACHER, "--student", OWN, "--parallel", "2"];
    await succeed(["compare", ...common, "--seeds", "2", "--out", "compared"], cwd);
    await succeed(["sweep", ...common, "--temperatures", "2", "--alphas", "0.5,0.9", "--out", "swept"], cwd);
    expect(tree(join(cwd, "compared"))).toContain("compare.json");
    expect(tree(join(cwd, "swept"))).toContain("sweep.json");
  });

  test.each([
    ["./none.mjs", 1, "NOT_FOUND", "./none.mjs: no such file: "],
    [
      "./net.mjs",
      1,
      "BAD_ARGUMENT",
      "./net.mjs: no default export (it exports Tiny, linear, wrong): name one, as ./net.mjs#Tiny",
    ],
    [
      "./net.mjs#wrong",
      2,
      "BAD_ARGUMENT",
      "--student: ./net.mjs#wrong: expected a Module, a class of one, or a function that returns one, got 3",
    ],
    ["./net.mjs#Tiny(classes=4)", 2, "BAD_ARGUMENT", "--student: ./net.mjs#Tiny: classes: the library gives it"],
  ] as const)("%s is refused in one line", async (text, exit, code, message) => {
    const line = await refused(distill("none", "--student", text), cwd, exit, code);
    expect(line.startsWith(message), line).toBe(true);
  });
});
