import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { exportedGraph } from "../../src/export/index.js";
import { GraphModule } from "../../src/graph/index.js";
import {
  evaluate,
  exportJs,
  exportOnnx,
  load,
  loadImages,
  manualSeed,
  networkFrom,
  preprocessingOf,
  StudentNet,
  save,
  TeacherNet,
} from "../../src/index.js";
import { teach } from "../export/support.js";
import { temporaryFolder } from "../support.js";
import { imageFolder, lines, newFolder, refused, SMALL_TEACHER, succeed, tree } from "./support.js";

const temporary = temporaryFolder();
const data = imageFolder();
const sizes = { inFeatures: 16, classes: 3 };
let cwd: string;

beforeAll(async () => {
  cwd = newFolder(temporary);
  manualSeed(0);
  const { train } = await loadImages(data);
  const student = new StudentNet({ ...sizes, hidden: [20, 10] });
  const teacher = new TeacherNet({ ...sizes, hidden: [40, 30, 20] });
  for (const network of [student, teacher]) for (let i = 0; i < 20; i++) teach(network, train, 1);
  await save(student.stateDict(), join(cwd, "student.pth"));
  await save(teacher.stateDict(), join(cwd, "teacher.safetensors"));
  await save(new StudentNet({ inFeatures: 5, hidden: [4, 3], classes: 2 }).stateDict(), join(cwd, "other.pth"));
});

const network = async (file: string) => networkFrom(await load(join(cwd, file)));
const read = (file: string) => new Uint8Array(readFileSync(join(cwd, file)));
const kilobytes = (file: string) => `${(statSync(join(cwd, file)).size / 1e3).toFixed(1)} kB`;

describe("export", () => {
  test("beside the file, in one line", async () => {
    const printed = lines(await succeed(["export", "student.pth", "--onnx"], cwd));
    expect(read("student.onnx")).toEqual(exportOnnx(await network("student.pth")));
    expect(printed).toEqual([
      `student.onnx: ${kilobytes("student.onnx")}, opset 17, input float32 [batch, 16] to logits float32 [batch, 3]`,
    ]);
  });

  test("with data: its normalisation, and the accuracy by ONNX Runtime", async () => {
    const args = ["teacher.safetensors", "--onnx", "t.onnx", "--quantize", "int8", "--embed-normalisation"];
    const printed = lines(await succeed(["export", ...args, "--data", data], cwd));
    const { test: images } = await loadImages(data);
    const teacher = await network("teacher.safetensors");
    expect(read("t.onnx")).toEqual(
      exportOnnx(teacher, { quantize: "int8", preprocessing: preprocessingOf(images), embedNormalisation: true }),
    );
    const { accuracy } = evaluate(teacher, images);
    expect(accuracy).toBeGreaterThan(0.9);
    const share = `${(100 * accuracy).toFixed(2)}%`;
    expect(printed).toEqual([
      `t.onnx: ${kilobytes("t.onnx")}, opset 17, input uint8 [batch, 16] to logits float32 [batch, 3], weights in 8 bits`,
      expect.stringMatching(
        `^Test accuracy: teacher.safetensors ${share}, t.onnx ${share}, lost 0.00 points; by ONNX Runtime \\d+\\.\\d+\\.\\d+$`,
      ),
    ]);
  });

  test("as JSON", async () => {
    const printed = await succeed(["export", "student.pth", "--onnx", "j.onnx", "--data", data, "--json"], cwd);
    const { test: images } = await loadImages(data);
    const { accuracy } = evaluate(await network("student.pth"), images);
    expect(JSON.parse(printed)).toEqual({
      embedded: false,
      inputNames: null,
      classNames: null,
      file: "student.pth",
      onnx: "j.onnx",
      bytes: statSync(join(cwd, "j.onnx")).size,
      opset: 17,
      input: { name: "input", dtype: "float32", shape: ["batch", 16] },
      output: { name: "logits", dtype: "float32", shape: ["batch", 3] },
      quantize: null,
      data,
      accuracy: { original: accuracy, exported: accuracy, lost: 0, by: expect.stringMatching(/^ONNX Runtime /) },
    });
  });

  test("as a JavaScript module, in 8 bits, with what they cost", async () => {
    const args = ["teacher.safetensors", "--js", "t.mjs", "--quantize", "int8", "--data", data];
    const printed = lines(await succeed(["export", ...args], cwd));
    const { test: images } = await loadImages(data);
    const teacher = await network("teacher.safetensors");
    const { code, types } = exportJs(teacher, { quantize: "int8", preprocessing: preprocessingOf(images) });
    expect(readFileSync(join(cwd, "t.mjs"), "utf8")).toBe(code);
    expect(readFileSync(join(cwd, "t.d.mts"), "utf8")).toBe(types);
    const share = `${(100 * evaluate(teacher, images).accuracy).toFixed(2)}%`;
    expect(printed).toEqual([
      `t.mjs: ${kilobytes("t.mjs")}, classify(input) takes 16 pixels from 0 to 255 (1 x 4 x 4, channel after channel), or an ImageData of 4 x 4, weights in 8 bits; types in t.d.mts`,
      `Test accuracy: teacher.safetensors ${share}, t.mjs ${share}, lost 0.00 points; by Distillery's kernels, with its weights`,
    ]);
  });

  test("of a table: what the file takes, what is left to the caller, the classes", async () => {
    const rows = Array.from({ length: 40 }, (_, i) => `${i % 7},${["red", "blue"][i % 2]},${["yes", "no"][i % 2]}`);
    writeFileSync(join(cwd, "table.csv"), ["size,colour,label", ...rows].join("\n"));
    await succeed(
      ["train-teacher", "--data", "table.csv", "--epochs", "1", "--out", "table", "--no-report", ...SMALL_TEACHER],
      cwd,
    );
    const printed = lines(await succeed(["export", "table/teacher.safetensors", "--onnx", "table.onnx"], cwd));
    const said = [
      "Inputs: size, colour=blue, colour=red, as in the table",
      "Left to the caller: for each text 1 at its category (column=text), 0 at the column's others",
      "Classes: no, yes",
    ];
    expect(printed.slice(1)).toEqual(said);
    // A file that does not say it takes that of the data, as JavaScript's does.
    const args = ["table/teacher.pth", "--onnx", "pth.onnx", "--data", "table.csv"];
    const of = lines(await succeed(["export", ...args], cwd));
    expect(of.slice(1, 4)).toEqual(said);
    expect(of[4]).toMatch(/, lost 0\.00 points; by ONNX Runtime/);
  });

  test("in both formats, half precision", async () => {
    const args = ["student.pth", "--onnx", "h.onnx", "--js", "h.mjs", "--quantize", "float16"];
    const printed = lines(await succeed(["export", ...args], cwd));
    expect(printed.map((line) => line.split(":")[0])).toEqual(["h.onnx", "h.mjs"]);
    expect(read("h.onnx")).toEqual(exportOnnx(await network("student.pth"), { quantize: "float16" }));
    expect(read("h.onnx").length).toBeLessThan(0.75 * exportOnnx(await network("student.pth")).length);
  });

  test("without ONNX Runtime the library's kernels tell the accuracy, and it says so", async () => {
    const hook = `export const resolve = (name, context, next) =>
      name === "onnxruntime-node"
        ? Promise.reject(Object.assign(new Error("not installed"), { code: "ERR_MODULE_NOT_FOUND" }))
        : next(name, context);`;
    const file = join(cwd, "hook.mjs");
    const url = JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`);
    writeFileSync(file, `import { register } from "node:module"; register(${url});`);
    vi.stubEnv("NODE_OPTIONS", `--import=${pathToFileURL(file)}`);
    try {
      const args = ["student.pth", "--onnx", "n.onnx", "--quantize", "int8", "--data", data];
      const [, second] = lines(await succeed(["export", ...args], cwd));
      const { test: images } = await loadImages(data);
      const student = await network("student.pth");
      const exported = new GraphModule(exportedGraph(student, { quantize: "int8" }));
      const [before, after] = [student, exported].map((model) => evaluate(model, images).accuracy) as [number, number];
      const [was, is, lost] = [before, after, Math.abs(before - after)].map((share) => (100 * share).toFixed(2));
      const change = `${before < after ? "gained" : "lost"} ${lost} points`;
      expect(second).toBe(
        `Test accuracy: student.pth ${was}%, n.onnx ${is}%, ${change}; by Distillery's kernels, as onnxruntime-node is not installed`,
      );
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe("export, refused", () => {
  test.each([
    [
      ["student.pth"],
      2,
      "BAD_ARGUMENT",
      "export: needs the format to write: --onnx, --js or --html (NAME.onnx, NAME.mjs, NAME.html beside the file)",
    ],
    [["student.pth", "--onnx", "a.txt"], 2, "BAD_ARGUMENT", '--onnx: expected a name that ends in .onnx, got "a.txt"'],
    [
      ["student.pth", "--js", "a.MJS"],
      2,
      "BAD_ARGUMENT",
      '--js: expected a name that ends in .mjs or .js, got "a.MJS"',
    ],
    [["a.onnx", "--onnx"], 2, "BAD_ARGUMENT", "--onnx: a.onnx is the file to read: give another name"],
    [
      ["student.pth", "--onnx", "r.onnx", "--embed-normalisation"],
      2,
      "BAD_ARGUMENT",
      "--embed-normalisation: needs --data",
    ],
    [
      ["student.pth", "--onnx", "r.onnx", "--data", "synthetic"],
      2,
      "BAD_ARGUMENT",
      "--data: expected data with a test part, got synthetic",
    ],
    [["student.pth", "--onnx", "--stream"], 2, "BAD_ARGUMENT", "--stream: is an option of --data: give it too"],
    [["student.pth", "--onnx", "--no-header"], 2, "BAD_ARGUMENT", "--no-header: is an option of --data: give it too"],
    [["student.pth", "--onnx", "r.onnx", "--quantize", "int4"], 2, "BAD_ARGUMENT", "option '--quantize <type>'"],
    [["student.pth", "--onnx", "r.onnx", "--threads", "0"], 2, "BAD_ARGUMENT", "--threads: "],
    [["--onnx"], 2, "BAD_ARGUMENT", "missing required argument 'file'"],
    [["missing.pth", "--onnx", "r.onnx"], 1, "NOT_FOUND", "missing.pth: no such file"],
    [["student.pth", "--onnx", "r.onnx", "--data", "missing"], 1, "NOT_FOUND", "missing: "],
    [["other.pth", "--onnx", "r.onnx", "--data", data], 1, "SHAPE_MISMATCH", "other.pth: a network of 5 inputs"],
    [
      ["student.pth", "--onnx", join("missing", "r.onnx")],
      1,
      "IO_ERROR",
      `${join("missing", "r.onnx")}: can't write it`,
    ],
    [["student.pth", "--js", join("missing", "r.mjs")], 1, "IO_ERROR", `${join("missing", "r.mjs")}: can't write it`],
  ] as [string[], number, string, string][])("%j", async (args, exit, code, start) => {
    const before = tree(cwd);
    const message = await refused(["export", ...args], cwd, exit, code);
    expect(message.startsWith(start), message).toBe(true);
    expect(tree(cwd)).toEqual(before);
    expect(existsSync(join(cwd, "r.onnx"))).toBe(false);
  });
});
