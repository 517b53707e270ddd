import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  cached,
  createNetwork,
  type DistillInput,
  distill,
  frozen,
  Generator,
  getNumThreads,
  ImageDataset,
  live,
  randint,
  setNumThreads,
  TeacherCache,
  withGenerator,
} from "../../src/index.js";
import { native } from "../../src/native.js";
import { drawingFrom } from "../helpers/drawing_from.js";

const threads = getNumThreads();
afterAll(() => setNumThreads(threads));
beforeEach(() => vi.restoreAllMocks());

const SHAPE = [3, 8, 8];
const CLASSES = 4;

/**
 * A student of a teacher by its name; what becomes of student, teacher, losses and the random stream, and the passes
 * that ran ahead.
 */
async function run(teacherName: string, kind: typeof frozen | "cache" | "cached", options: Partial<DistillInput> = {}) {
  const ahead = vi.spyOn(native, "inferenceEnqueue");
  const generator = new Generator(8);
  const { teacherMode = "eval", ...more } = options;
  const { teacher, student, data } = withGenerator(generator, () => {
    const [teacher, student] = [teacherName, "resnet8"].map((name) =>
      createNetwork(name, { shape: SHAPE, classes: CLASSES }),
    );
    const pixels = Uint8Array.from(randint(0, 256, [22, ...SHAPE]).data);
    const image = { channels: 3, height: 8, width: 8 };
    const data = new ImageDataset(pixels, randint(0, CLASSES, [22]), { image, mean: 0.5, std: 0.25 });
    // Statistics that are none of a new network.
    teacher.train().forward(data.slice(0, 16).inputs);
    return { teacher: teacher.freeze(), student, data };
  });
  const given =
    kind === "cache"
      ? { teacher, teacherMode, teacherCache: true }
      : {
          teacher:
            kind === "cached"
              ? cached(await TeacherCache.compute(teacher, data))
              : kind(teacher, { mode: teacherMode }),
        };
  const { history } = await drawingFrom(generator, async () =>
    distill({ student, data, epochs: 2, batchSize: 8, lr: 0.01, ...given, ...more }),
  );
  const [ofStudent, ofTeacher] = [student, teacher].map((network) => fingerprint(network.stateDict()));
  const losses = history.map(({ metrics }) => metrics.loss);
  return { passes: ahead.mock.calls.length, result: { losses, ofStudent, ofTeacher, stream: [...generator.state] } };
}

// Blocks with a residual sum, depthwise and grouped convolutions with a shuffle of channels, pools, linear layers with
// dropout.
const TEACHERS = ["resnet8", "vgg8", "MobileNetV2", "ShuffleNetV1"];

describe("a frozen convolutional teacher that runs ahead has the bits of a live one", () => {
  test.each(TEACHERS)("%s in eval mode, by two threads too", async (name) => {
    setNumThreads(1);
    const expected = await run(name, live);
    expect(expected.passes).toBe(0);
    setNumThreads(2);
    const frozenRun = await run(name, frozen);
    // Three batches of two epochs.
    expect(frozenRun.passes).toBe(6);
    expect(frozenRun.result).toEqual(expected.result);
  });

  test("in train mode, whose running statistics move", async () => {
    const [one, two] = [
      await run("resnet8", live, { teacherMode: "train" }),
      await run("resnet8", frozen, { teacherMode: "train" }),
    ];
    expect(two.passes).toBe(6);
    expect(two.result).toEqual(one.result);
  });
});

describe("cached logits of a convolutional teacher have the bits of a live one", () => {
  test.each(["resnet8", "MobileNetV2"])("%s", async (name) => {
    const expected = await run(name, live);
    for (const kind of ["cache", "cached"] as const) {
      const { passes, result } = await run(name, kind);
      expect(result, kind).toEqual(expected.result);
      expect(passes, kind).toBe(0);
    }
  });
});
