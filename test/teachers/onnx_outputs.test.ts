import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { onnxTeacher, TensorDataset, tensor, writeLogits } from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";

/** Files of two numbers times [[1, 2], [3, -4]]: see make_onnx_outputs_fixture.py. */
const path = (name: string) => fileURLToPath(new URL(`fixtures/onnx_outputs/${name}.onnx`, import.meta.url));
const ROWS = [
  [1, 0],
  [0, 1],
  [2, 1],
];
const data = new TensorDataset(tensor(ROWS), Int32Array.of(0, 1, 0), { name: "data" });
const LOGITS = ROWS.map(([a, b]) => [a + 3 * b, 2 * a - 4 * b]);

async function answers(name: string, output?: string) {
  const notes: string[] = [];
  const teacher = await onnxTeacher(path(name), { mean: 0, std: 1, ...(output !== undefined && { output }) });
  teacher.open?.({ data, taps: [] });
  await teacher.prepare?.({ out: null, onNote: (text) => notes.push(text) });
  const { logits } = await teacher.outputs(data.slice(0, 3));
  return { notes, logits: logits.toArray() as number[][] };
}

describe("the output that fits is taken", () => {
  test("of a label and probabilities, as scikit-learn's networks have them", async () => {
    const { logits } = await answers("labels");
    for (const [i, row] of logits.entries()) {
      const powers = LOGITS[i].map(Math.exp);
      expect(row).toEqual(powers.map((x) => expect.closeTo(x / (powers[0] + powers[1]), 6)));
    }
  });

  test("of a sequence and a tensor, and of any rank as the input", async () => {
    expect((await answers("sequence")).logits).toEqual(LOGITS);
    expect((await answers("open")).logits).toEqual(LOGITS);
    expect((await answers("two", "y")).logits).toEqual(LOGITS);
  });
});

test.each([
  ["two", undefined, 'several of its outputs fit a number for each of the 2 classes: it has "y", "p": name one by'],
  ["int64", undefined, 'expected an output of float32, float64, float16, got int64 of "z"'],
  ["text", undefined, 'expected an output of float32, float64, float16, got string of "z"'],
  ["labels", "label", 'expected an output of float32, float64, float16, got int64 of "label"'],
  ["sequence", "q", 'expected an output of float32, float64, float16, got no tensor of "q"'],
])("refused: %s, %s", async (name, output, message) => {
  expect((await failure(answers(name, output), "BAD_ARGUMENT")).message).toContain(`${path(name)}: ${message}`);
});

test("logits that are others each time are not taken for those of a batch", async () => {
  expect((await answers("random")).notes).toEqual([
    "teacher logits not cached: the teacher's logits are others each time",
  ]);
});

describe("writeLogits says of outputs that are no logits of a sample", () => {
  const folder = temporaryFolder();
  const notesOf = async (name: string, output?: string) => {
    const notes: string[] = [];
    const teacher = await onnxTeacher(path(name), { mean: 0, std: 1, ...(output !== undefined && { output }) });
    await writeLogits(teacher, data, join(folder, `${name}-${output}.npy`), { onNote: (text) => notes.push(text) });
    return notes;
  };

  test("that they are probabilities", async () => {
    expect(await notesOf("two", "p")).toEqual([
      `warning: teacher: ${path("two")}: its outputs look like probabilities (none below 0, each row sums to 1) and are used as logits: let it give their logarithms`,
    ]);
    expect(await notesOf("two", "y")).toEqual([]);
  });

  test.each(["centred", "random"])("that they depend on the batch: %s", async (name) => {
    expect(await notesOf(name)).toEqual([
      `warning: teacher: ${path(name)}: the teacher's logits depend on the other samples of a batch, or are others each time`,
    ]);
  });
});
