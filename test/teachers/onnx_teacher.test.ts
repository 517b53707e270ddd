import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { MODEL } from "../../src/export/onnx_schema.js";
import { encode } from "../../src/export/protobuf.js";
import {
  augment,
  createNetwork,
  type Dataset,
  distill,
  Generator,
  ImageDataset,
  Linear,
  loadData,
  loadNetwork,
  manualSeed,
  type OnnxTeacherOptions,
  onnxTeacher,
  openTeacher,
  randn,
  Sequential,
  saveOnnx,
  TeacherNet,
  Tensor,
  TensorDataset,
  tensor,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { fitNetwork } from "../../src/models/fit_network.js";
import { planInputs } from "../../src/teachers/onnx_inputs.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { expectClose } from "../parity/close.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const path = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
/** Pixels, and what the network of each file says of them in PyTorch: see make_onnx_fixtures.py. */
const kept = JSON.parse(readFileSync(path("onnx.json"), "utf8")) as Record<
  string,
  { shape: number[]; pixels: number[][]; logits: number[][] }
>;
const CLASSES = 3;
/** What the networks were exported with. */
const NORMALISED = { mean: 0.4, std: 0.2 };

/** The fixture's images, in planes, normalised for a student in another way. */
function imagesOf(name: string): ImageDataset {
  const { shape, pixels } = kept[name];
  const isLast = name === "nhwc";
  const [channels, height, width] = isLast ? [shape[2], shape[0], shape[1]] : [1, 4, 6];
  const planes = pixels.map((row) =>
    isLast ? row.map((_, i) => row[(i % (height * width)) * channels + Math.floor(i / (height * width))]) : row,
  );
  const labels = Int32Array.of(0, 1, 2, 0, 1);
  const image = { channels, height, width };
  return new ImageDataset(Uint8Array.from(planes.flat()), labels, { image, mean: 0.7, std: 0.31, name: "images" });
}

async function logitsOf(file: string, data: Dataset, options: OnnxTeacherOptions = {}) {
  const teacher = await onnxTeacher(file, options);
  teacher.open?.({ data, taps: [] });
  await teacher.prepare?.({ out: null });
  const { logits } = await teacher.outputs(data.batch(Int32Array.of(4, 0, 1, 2, 3)));
  teacher.close?.();
  return logits.toArray() as number[][];
}

test("grey images may have no axis of channels, and no size is advised that they have", () => {
  const data = imagesOf("nchw");
  const plan = (...shape: number[]) => planInputs({ name: "x", shape, type: "float32" }, data, {});
  const values = Float32Array.from({ length: 48 }, (_, i) => i / 7);
  expect(plan(4, 6).shape).toEqual([4, 6]);
  expect(plan(4, 6).convert(values, 2)).toEqual(plan(1, 4, 6).convert(values, 2));
  expect(() => plan(2, 4, 6)).toThrow(/^x: its input takes samples of \[2, 4, 6\], images has \[1, 4, 6\]$/);
});

function expectLogits(got: number[][], expected: number[][]) {
  for (const [i, row] of [4, 0, 1, 2, 3].entries()) {
    for (const [c, value] of expected[row].entries()) expect(got[i][c]).toBeCloseTo(value, 5);
  }
}

describe("logits equal PyTorch's", () => {
  test.each([
    ["flat", "a matrix of rows"],
    ["nchw", "[n, channels, height, width]"],
    ["nhwc", "[n, height, width, channels]"],
    ["fixed", "batches of two rows"],
  ])("%s: %s", async (name) => {
    expectLogits(await logitsOf(path(`${name}.onnx`), imagesOf(name), NORMALISED), kept[name].logits);
  });

  test("with the student's own normalisation as with that of an option", async () => {
    const { pixels, logits } = kept.nchw;
    const options = { image: { channels: 1, height: 4, width: 6 }, ...NORMALISED };
    const data = new ImageDataset(Uint8Array.from(pixels.flat()), Int32Array.of(0, 1, 2, 0, 1), options);
    expectLogits(await logitsOf(path("nchw.onnx"), data), logits);
  });

  test("of an input of bytes, which noise does not move beyond them, and no option normalises", async () => {
    manualSeed(0);
    const network = new Sequential(new Linear(4, CLASSES));
    const file = join(folder, "bytes.onnx");
    const normalisation = { mean: 0.5, std: 0.25 };
    await saveOnnx(network, file, { normalisation, embedNormalisation: true });
    const image = { channels: 1, height: 2, width: 2 };
    const data = new ImageDataset(Uint8Array.of(255, 0, 255, 3), Int32Array.of(2), { image, ...normalisation });
    const { inputs } = data.slice(0, 1);
    const teacher = await onnxTeacher(file);
    teacher.open?.({ data, taps: [] });
    const of = async (x: Tensor) =>
      (await teacher.evaluate?.({ inputs: x, indices: Int32Array.of(0), labels: null as never }))?.logits;
    const expected = await of(inputs);
    expectClose(expected?.data ?? [], network.forward(inputs.reshape([1, 4])).data, { abs: 1e-5 });
    expect(await of(inputs.add(tensor([0.1, -0.1, 0.05, 0.004]).reshape(inputs.shape)))).toEqual(expected);
    teacher.close?.();
    const { message } = await failure(logitsOf(file, data, { mean: 0.9, std: 0.1 }), "BAD_ARGUMENT");
    expect(message).toMatch(
      /mean, std \(--teacher-mean, --teacher-std\): its input takes pixels in bytes: leave them out$/,
    );
  });

  test("of images that are resized", async () => {
    const grey = [10, 90, 128, 200, 255];
    const of = (height: number, width: number) =>
      new ImageDataset(
        Uint8Array.from(grey.flatMap((x) => Array<number>(height * width).fill(x))),
        Int32Array.of(0, 1, 2, 0, 1),
        {
          image: { channels: 1, height, width },
          mean: 0.7,
          std: 0.31,
        },
      );
    const small = await logitsOf(path("nchw.onnx"), of(4, 6), NORMALISED);
    expect(await logitsOf(path("nchw.onnx"), of(9, 7), { ...NORMALISED, size: [4, 6] })).toEqual(small);
  });
});

test("it teaches: cached where that is exact, with the agreement on the validation set, and at random changes step by step", async () => {
  const data = imagesOf("nchw");
  const run = (more: object) =>
    drawingFrom(new Generator(0), async () => {
      const student = createNetwork("mlp(hidden=[4])", { shape: [24], classes: CLASSES });
      const teacher = await openTeacher(path("nchw.onnx"), { teacherMean: [0.4], teacherStd: [0.2] });
      const notes: string[] = [];
      const onNote = (text: string) => notes.push(text);
      const { history } = await distill({
        teacher,
        student,
        data,
        epochs: 40,
        batchSize: 5,
        lr: 0.05,
        onNote,
        ...more,
      });
      return { loss: history.map(({ metrics }) => metrics.loss), last: history.at(-1)?.metrics, notes };
    });
  const { loss, last } = await run({ alpha: 1, validation: data });
  expect(loss[39]).toBeLessThan(loss[0] / 2);
  expect(last).toMatchObject({ agreement: expect.any(Number) });
  const changing = await run({ data: augment(data, { flip: 0.5 }), epochs: 2 });
  expect(changing.notes.filter((note) => note.startsWith("teacher"))).toEqual([]);
});

test("a table's numbers go in as they were, or with a normalisation of their own; a network of Distillery's comes back", async () => {
  const { network, data } = withGenerator(new Generator(0), () => ({
    network: new TeacherNet({ inFeatures: 6, classes: CLASSES, hidden: [8, 7, 6] }).eval(),
    data: new TensorDataset(randn([5, 6]), Int32Array.of(0, 1, 2, 0, 1)),
  }));
  const file = join(folder, "own.onnx");
  await saveOnnx(network, file);
  const own = (scale: (x: number) => number) => {
    const { shape, data: values } = data.slice(0, 5).inputs;
    const scaled = new Tensor(values.map(scale), shape);
    return network.forward(scaled).toArray() as number[][];
  };
  expectLogits(
    await logitsOf(file, data),
    own((x) => x),
  );
  expectLogits(
    await logitsOf(file, data, { mean: 0.5, std: 2 }),
    own((x) => (x - 0.5) / 2),
  );
});

describe("a file of Distillery's own says what goes in, and which classes come out", () => {
  const rows = Array.from({ length: 60 }, (_, i) => ({
    kind: i % 3,
    a: 1000 + 100 * (i % 3) + i / 10,
    b: (i % 3) * 0.01,
  }));
  const table = (name: string, columns: ("a" | "b" | "colour")[], names: (string | undefined)[]) => {
    const file = join(folder, name);
    const cells = (row: (typeof rows)[number]) => ({ ...row, colour: ["red", "blue"][row.kind % 2] });
    const lines = rows
      .filter(({ kind }) => names[kind] !== undefined)
      .map((row) => [...columns.map((column) => cells(row)[column]), names[row.kind]].join(","));
    writeFileSync(file, `${[...columns, "label"].join(",")}\n${lines.join("\n")}\n`);
    return loadData(file);
  };
  const trained = (train: Dataset) =>
    drawingFrom(new Generator(0), async () => {
      const network = createNetwork("mlp(hidden=[8])", { shape: [train.features], classes: 3 });
      const out = join(folder, train.name);
      await trainTeacher({ model: network, data: train, epochs: 30, lr: 0.05, batchSize: 8, out });
      return (await loadNetwork(join(out, "teacher.safetensors"))).eval();
    });
  const answers = async (file: string, data: Dataset, options: OnnxTeacherOptions = {}) => {
    const notes: string[] = [];
    const teacher = await onnxTeacher(file, options);
    teacher.open?.({ data, taps: [] });
    await teacher.prepare?.({ out: null, onNote: (text) => notes.push(text) });
    const { logits } = await teacher.outputs(data.slice(0, data.length));
    return { notes, logits };
  };

  test("numbers as they are, columns and classes by their names, with and without the standardisation in the graph", async () => {
    const { train } = await table("own.csv", ["a", "b", "colour"], ["x", "y", "z"]);
    const network = await trained(train);
    const other = (await table("other.csv", ["colour", "b", "a"], [undefined, "y", "z"])).train;
    for (const embedNormalisation of [true, false]) {
      const file = join(folder, `own-${embedNormalisation}.onnx`);
      await saveOnnx(network, file, { embedNormalisation });
      for (const data of [train, other]) {
        const { notes, logits } = await answers(file, data);
        const own = fitNetwork(network, data).forward(data.slice(0, data.length).inputs);
        for (const [i, value] of logits.data.entries()) expect(value).toBeCloseTo(own.data[i], 3);
        expect(notes.at(-1)).toMatch(
          /^teacher: .* accuracy (9\d\.\d\d|100\.00)% on the (48|32) labelled training samples$/,
        );
      }
    }
    // By their place, columns of another order would be others.
    expect(
      (await failure(answers(join(folder, "own-true.onnx"), other, { mean: 0, std: 1 }), "BAD_ARGUMENT")).message,
    ).toMatch(/own-true\.onnx: mean, std .*: the file says how the columns of a table go in: leave them out$/);
    for (const file of ["own-true.onnx", "own-false.onnx"]) {
      const { message } = await failure(answers(join(folder, file), train, { size: 8 }), "BAD_ARGUMENT");
      expect(message).toMatch(/own-.*\.onnx: size \(--teacher-size\): resizes images, and own has none: leave it out$/);
    }
    const lacking = (await table("lacking.csv", ["a", "colour"], ["x", "y", "z"])).train;
    const message = /own-true\.onnx: was trained on the column "b", which lacking lacks/;
    expect((await failure(answers(join(folder, "own-true.onnx"), lacking), "SHAPE_MISMATCH")).message).toMatch(message);
  });

  test("a missing number is the network's mean, with and without the standardisation in the graph", async () => {
    const gaps = (name: string, shift: number) => {
      const lines = rows.map(({ kind, a, b }, i) => [i % 5 === 0 ? "" : a + shift, b, "xyz"[kind]].join(","));
      writeFileSync(join(folder, name), `a,b,label\n${lines.join("\n")}\n`);
      return loadData(join(folder, name), { missing: "category" });
    };
    const network = await trained((await gaps("gaps.csv", 0)).train);
    const data = (await gaps("shifted.csv", 300)).train;
    const own = fitNetwork(network, data).forward(data.slice(0, data.length).inputs);
    for (const embedNormalisation of [true, false]) {
      const file = join(folder, `gaps-${embedNormalisation}.onnx`);
      await saveOnnx(network, file, { embedNormalisation });
      const { logits } = await answers(file, data);
      for (const [i, value] of logits.data.entries()) expect(value).toBeCloseTo(own.data[i], 3);
    }
  });

  test("another program's file gets standardised values, which is said", async () => {
    const { train } = await table("foreign.csv", ["a", "b"], ["x", "y", "z"]);
    const file = join(folder, "foreign.onnx");
    await saveOnnx(createNetwork("mlp(hidden=[4])", { shape: [2], classes: 3 }), file);
    expect((await answers(file, train)).notes[0]).toMatch(
      /foreign\.onnx is fed the standardised values that the student gets: mean 0 and std 1 \(--teacher-mean 0 --teacher-std 1\) feed it/,
    );
    expect((await answers(file, train, { mean: 0, std: 1 })).notes[0]).toMatch(/computed once$/);
    expect((await failure(answers(file, train, { size: 8 }), "BAD_ARGUMENT")).message).toMatch(
      / has none: leave it out$/,
    );
    const [plain, permuted] = [await answers(file, train), await answers(file, train, { classes: ["z", "x", "y"] })];
    const rowsOf = ({ logits }: typeof plain) => logits.toArray() as number[][];
    expect(rowsOf(permuted)).toEqual(rowsOf(plain).map(([z, x, y]) => [x, y, z]));
  });
});

test("weights in a file beside it count for its fingerprint", async () => {
  const TENSOR = {
    dims: { number: 1, type: "int64", repeated: true },
    dataType: { number: 2, type: "int32" },
    name: { number: 8, type: "string" },
    externalData: {
      number: 13,
      repeated: true,
      type: { key: { number: 1, type: "string" }, value: { number: 2, type: "string" } },
    },
    dataLocation: { number: 14, type: "int32" },
  } as const;
  const graph = { ...MODEL.graph.type, initializer: { number: 5, type: TENSOR, repeated: true } } as const;
  const value = (name: string) => ({
    name,
    type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "n" }, { dimValue: 2 }] } } },
  });
  const externalData = [{ key: "location", value: "weights.bin" }];
  const model = encode(
    { ...MODEL, graph: { ...MODEL.graph, type: graph } },
    {
      irVersion: 8,
      graph: {
        name: "graph",
        node: [{ opType: "MatMul", input: ["x", "w"], output: ["y"] }],
        initializer: [{ name: "w", dims: [2, 2], dataType: 1, dataLocation: 1, externalData }],
        input: [value("x")],
        output: [value("y")],
      },
      opsetImport: [{ domain: "", version: 13 }],
    },
  );
  const file = join(folder, "external.onnx");
  writeFileSync(file, model);
  const data = new TensorDataset(new Tensor(Float32Array.of(1, 2), [1, 2]), Int32Array.of(0), { classes: 2 });
  const fingerprints: (string | null)[] = [];
  for (const [weights, logits] of [
    [
      [1, 0, 0, 1],
      [1, 2],
    ],
    [
      [5, 0, 0, -3],
      [5, -6],
    ],
  ]) {
    writeFileSync(join(folder, "weights.bin"), new Uint8Array(Float32Array.from(weights).buffer));
    const teacher = await onnxTeacher(file);
    teacher.open?.({ data, taps: [] });
    await teacher.prepare?.({ out: null });
    expect((await teacher.outputs(data.slice(0, 1))).logits.toArray()).toEqual([logits]);
    fingerprints.push(teacher.fingerprint());
  }
  expect(fingerprints[1]).not.toBe(fingerprints[0]);
});

describe("refused in one line", () => {
  test("a file that is no ONNX, one that is missing", async () => {
    const file = join(folder, "none.onnx");
    writeFileSync(file, "<html>\nno network\n</html>");
    expect((await failure(onnxTeacher(file), "BAD_DATA")).message).toMatch(
      /none\.onnx: is no ONNX file that ONNX Runtime reads: [^\n]+$/,
    );
    expect((await failure(onnxTeacher(join(folder, "missing.onnx")), "NOT_FOUND")).message).toMatch(/no such file/);
  });

  const image = { channels: 1, height: 9, width: 7 };
  const large = new ImageDataset(new Uint8Array(2 * 63), Int32Array.of(0, 2), {
    image,
    mean: 0,
    std: 1,
    name: "large",
  });
  test.each<[string, Dataset, OnnxTeacherOptions, RegExp]>([
    [
      "images of another size",
      large,
      {},
      /its input takes samples of \[1, 4, 6\], large has \[1, 9, 7\]: teacherSize \(--teacher-size 4x6\) resizes images$/,
    ],
    ["an input that it lacks", large, { input: "x" }, /nchw\.onnx: has no input "x": it has "pixels"$/],
    ["an output that it lacks", imagesOf("nchw"), { output: "y" }, /nchw\.onnx: has no output "y": it has "logits"$/],
    [
      "other classes",
      imagesOf("nchw"),
      { classes: ["0", "2", "x"] },
      /has no column of the class "1" of images: it has "0", "2", "x"$/,
    ],
    [
      "a mean of other channels",
      imagesOf("nchw"),
      { mean: [0.1, 0.2] },
      /mean: expected one number or one for each of the 1 channels, got 2$/,
    ],
  ])("%s", async (_, data, options, message) => {
    const out = join(folder, "refused");
    const student = createNetwork("mlp(hidden=[4])", { shape: [data.features], classes: CLASSES });
    const teacher = await onnxTeacher(path("nchw.onnx"), options);
    const { message: text } = await failure(distill({ teacher, student, data, out, epochs: 1 }), "BAD_ARGUMENT");
    expect(text).toMatch(message);
    expect(existsSync(out)).toBe(false);
  });

  test("another number of classes", async () => {
    const { pixels } = kept.nchw;
    const options = { image: { channels: 1, height: 4, width: 6 }, ...NORMALISED, classes: 4, name: "four" };
    const data = new ImageDataset(Uint8Array.from(pixels.flat()), Int32Array.of(0, 1, 2, 3, 1), options);
    const { message } = await failure(logitsOf(path("nchw.onnx"), data), "BAD_ARGUMENT");
    expect(message).toMatch(/nchw\.onnx: expected an output of \[\d, 4\] for four, got \[\d, 3\] of "logits"$/);
  });
});
