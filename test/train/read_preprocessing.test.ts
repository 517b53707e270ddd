import { renameSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  loadImages,
  manualSeed,
  preprocessingOf,
  readPreprocessing,
  StudentNet,
  save,
  TensorDataset,
  tensor,
  trainTeacher,
} from "../../src/index.js";
import { imageFolder } from "../cli/support.js";
import { refusal } from "../data/support.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const images = imageFolder();
const sizes = { inFeatures: 16, classes: 3, hidden: [4, 3] } as const;
const at = (name: string) => join(folder, name);

describe("readPreprocessing", () => {
  beforeAll(async () => {
    manualSeed(0);
    const { train } = await loadImages(images);
    await trainTeacher({ model: new StudentNet(sizes), data: train, epochs: 1, out: at("run") });
  });

  test("what a run wrote, out of either file", async () => {
    const { train } = await loadImages(images);
    const expected = preprocessingOf(train);
    expect(expected).toMatchObject({ kind: "image", height: 4, width: 4, classes: 3 });
    expect(await readPreprocessing(at("run/teacher.safetensors"))).toEqual(expected);
    expect(await readPreprocessing(at("run/teacher.pth"))).toEqual(expected);
  });

  test("of data without a layout: their number of values", async () => {
    const data = new TensorDataset(
      tensor([
        [1, 2],
        [3, 4],
      ]),
      Int32Array.of(0, 1),
      { classNames: ["a", "b"] },
    );
    const model = new StudentNet({ inFeatures: 2, classes: 2, hidden: [2, 2] });
    await trainTeacher({ model, data, epochs: 1, out: at("values") });
    expect(await readPreprocessing(at("values/teacher.pth"))).toEqual({
      kind: "values",
      features: 2,
      classes: 2,
      classNames: ["a", "b"],
    });
  });

  test("null where nothing says it, or other weights do", async () => {
    const [one, other] = [new StudentNet(sizes).stateDict(), new StudentNet(sizes).stateDict()];
    await save(one, at("one.safetensors"));
    expect(await readPreprocessing(at("one.safetensors"))).toBeNull();
    await save(one, at("alone.pth"));
    expect(await readPreprocessing(at("alone.pth"))).toBeNull();
    await save(other, at("both.pth"));
    await save(one, at("both.safetensors"), { metadata: { "distillery.preprocessing": "{}" } });
    expect(await readPreprocessing(at("both.pth"))).toBeNull();
  });

  test("what is no description, no file, or no checkpoint", async () => {
    await save(new StudentNet(sizes).stateDict(), at("odd.safetensors"), {
      metadata: { "distillery.preprocessing": "{}" },
    });
    expect(await refusal("BAD_DATA", () => readPreprocessing(at("odd.safetensors")))).toMatch(/its preprocessing/);
    await refusal("NOT_FOUND", () => readPreprocessing(at("none.pth")));
    renameSync(at("run/metrics.jsonl"), at("run/metrics.pth"));
    await refusal("BAD_CHECKPOINT", () => readPreprocessing(at("run/metrics.pth")));
  });
});
