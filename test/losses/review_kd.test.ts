import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  createNetwork,
  distill,
  Generator,
  ImageDataset,
  type Module,
  ones,
  ReviewFusion,
  randint,
  reviewKdLoss,
  Tensor,
  withGenerator,
  zeros,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";
import { failure } from "../support.js";

interface Maps {
  shape: number[];
  values: number[];
  gradient: number[];
}
interface Case {
  name: string;
  student: Maps[];
  teacher: Maps[];
  state: Record<string, number[]>;
  gradients: Record<string, number[]>;
  statistics: Record<string, number[]>;
  value: number;
}
const { cases, initial } = JSON.parse(readFileSync(new URL("./fixtures/review_kd.json", import.meta.url), "utf8")) as {
  cases: Case[];
  initial: Record<string, number[]>;
};
const floats = ({ shape, values }: Maps, requiresGrad = false) =>
  new Tensor(Float32Array.from(values), shape, { requiresGrad });

describe("PyTorch's values and gradients", () => {
  test.each(cases.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const channels = (maps: Maps[]) => maps.map(({ shape }) => shape[1]);
    const fusion = new ReviewFusion(channels(one.student), channels(one.teacher));
    const parameters = new Map(fusion.namedParameters());
    expect([...parameters.keys()].sort()).toEqual(Object.keys(one.state).sort());
    for (const [key, values] of Object.entries(one.state)) parameters.get(key)?.data.set(values);
    const student = one.student.map((maps) => floats(maps, true));
    const teacher = one.teacher.map((maps) => floats(maps, true));
    const loss = reviewKdLoss(student, teacher, { fusion });
    expectClose([loss.item()], [one.value], { rel: 1e-5 }, "value");
    loss.backward();
    for (const [i, { gradient }] of one.student.entries()) {
      expectClose(student[i].grad?.data ?? [], gradient, { ofLargest: 1e-4 }, `gradient of stage ${i}`);
      expect(teacher[i].grad).toBeNull();
    }
    for (const [key, gradient] of Object.entries(one.gradients)) {
      // What a BatchNorm behind takes off has the gradient 0, up to rounding.
      expectClose(parameters.get(key)?.grad?.data ?? [], gradient, { ofLargest: 1e-4, abs: 1e-6 }, key);
    }
    for (const [key, values] of Object.entries(one.statistics)) {
      expectClose((fusion.stateDict()[key] as Tensor).data, values, { rel: 1e-5, abs: 1e-6 }, key);
    }
  });
});

test("new modules draw PyTorch's values", () => {
  const state = withGenerator(new Generator(7), () => new ReviewFusion([2, 3], [3, 2])).stateDict();
  for (const [key, values] of Object.entries(initial)) expect([...state[key].data], key).toEqual(values);
});

test("without a fusion: the difference at its own size and averaged to 1 position, weighed 1 and 1/2", () => {
  const [student, teacher] = [new Tensor(Float32Array.of(1, 2, 3, 6), [1, 1, 2, 2]), zeros([1, 1, 2, 2])];
  const expected = ((1 + 4 + 9 + 36) / 4 + 3 ** 2 / 2) / 1.5;
  expectClose([reviewKdLoss([student], [teacher]).item()], [expected], { rel: 1e-6 });
  expect(reviewKdLoss([student], [student.detach()]).item()).toBe(0);
});

/** A wrn_16_2, whose maps have twice the channels, teaches a resnet8. */
function run(loss: string, { shards = 1 } = {}) {
  return withGenerator(new Generator(4), () => {
    const shape = [3, 8, 8];
    const [teacher, student] = ["wrn_16_2", "resnet8"].map((name) => createNetwork(name, { shape, classes: 4 }));
    const image = { channels: 3, height: 8, width: 8 };
    const pixels = Uint8Array.from(randint(0, 256, [16, ...shape]).data);
    const data = new ImageDataset(pixels, randint(0, 4, [16]), { image, mean: 0.5, std: 0.25 });
    const more = { teacherMode: "eval", epochs: 3, batchSize: 8, lr: 0.01, shards } as const;
    return { student, done: Promise.resolve(distill({ teacher, student, data, loss, ...more })) };
  });
}
const weights = (network: Module) => Object.values(network.stateDict()).map(({ data }) => [...data]);
const LAYERS = "student=[layer1, layer2, layer3], teacher=[block1, block2, block3]";

test("it trains a convolutional student by its name, warmed up, and learns", async () => {
  const { history } = await run(`review-kd(${LAYERS})`).done;
  expect(history[2].metrics.loss).toBeLessThan(history[0].metrics.loss);
  const { history: warm } = await run(`cross-entropy + review-kd(${LAYERS}, warmup=20)`).done;
  const { loss, "cross-entropy": hard, "review-kd": review } = warm[1].metrics;
  expect(hard + 0.1 * review).toBeCloseTo(loss, 4);
});

test("shards give the same bits again", async () => {
  const [one, two] = [run(`review-kd(${LAYERS})`, { shards: 2 }), run(`review-kd(${LAYERS})`, { shards: 2 })];
  await Promise.all([one.done, two.done]);
  expect(weights(one.student)).toEqual(weights(two.student));
});

describe("refusals", () => {
  test.each([
    ["review-kd", "student: needed"],
    ["review-kd(student=[1, layer2])", "review-kd: student[0]: expected the path of a layer, as layer3, got 1"],
    [
      "hint(student=[layer1, layer2])",
      'hint: student: expected the path of a layer, as layer3, got ["layer1", "layer2"]',
    ],
    ["attention-transfer", "attention-transfer: student: needed"],
    ["review-kd(student=[])", "student: expected paths of layers, from the first stage to the deepest"],
    ["review-kd(student=layer1)", "student: expected paths of layers, from the first stage to the deepest"],
    [
      "review-kd(student=[layer1, layer2], teacher=[block1])",
      "expected as many layers of the teacher as of the student, 2, got 1",
    ],
    [
      "review-kd(student=[layer1, layer3, layer2], teacher=[block1, block2, block3])",
      'student: expected layers from the first stage to the deepest, but "layer2" has more positions than "layer3"',
    ],
    ["review-kd(student=[layer4], teacher=[block1])", 'no module "layer4", did you mean layer1?'],
  ])("%s", async (loss, message) => {
    expect((await failure(run(loss).done, "BAD_ARGUMENT")).message).toContain(message);
  });

  const maps = ones([2, 3, 4, 4]);
  test.each<[() => Tensor, string, string]>([
    [
      () => reviewKdLoss([], []),
      "BAD_ARGUMENT",
      "studentFeatures: expected a list of tensors, one a stage, got an empty list",
    ],
    [() => reviewKdLoss([5 as never], [maps]), "BAD_DTYPE", "stage 0: studentFeatures: expected a Tensor, got 5"],
    [
      () => reviewKdLoss([maps], [maps, maps]),
      "BAD_ARGUMENT",
      "expected as many stages of the teacher as of the student, 1, got 2",
    ],
    [
      () => reviewKdLoss([maps], [ones([2, 3, 4, 2])]),
      "SHAPE_MISMATCH",
      "stage 0: studentFeatures: expected shape [2, 3, 4, 2]",
    ],
    [
      () => reviewKdLoss([maps], [ones([1, 3, 4, 4])]),
      "SHAPE_MISMATCH",
      "stage 0: teacherFeatures: expected shape [2, *, *, *]",
    ],
    [
      () => reviewKdLoss([maps], [maps], { fusion: new ReviewFusion([3, 3], [3, 3]) }),
      "SHAPE_MISMATCH",
      "ReviewFusion: maps: expected shape [2, 2], got [1, 1]",
    ],
    [
      () => reviewKdLoss([maps], [maps.mul(Number.NaN)]),
      "NON_FINITE",
      "stage 0: teacherFeatures: expected finite numbers",
    ],
    [
      () => reviewKdLoss([maps], [maps], { fusion: 3 as never }),
      "BAD_ARGUMENT",
      "fusion: expected a ReviewFusion, got 3",
    ],
    [() => reviewKdLoss([maps], [maps], { fusoin: null } as never), "BAD_ARGUMENT", '"fusoin", did you mean fusion?'],
  ])("%s", (call, code, message) => {
    expect(call).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });
});
