import { afterEach, beforeEach, expect, test } from "vitest";
import {
  augment,
  createNetwork,
  distill,
  Generator,
  randint,
  randn,
  TensorDataset,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { emptyCache } from "../../src/tensor/buffer_pool.js";

const WARM = 10;
const STEPS = 20;
const SAMPLES = 120;
const ROWS = 4;
const SHAPE = [3, 16, 16] as const;
const plain = globalThis.Float32Array;
/**
 * The lengths of arrays that `new Float32Array` made meanwhile: not `slice` and `map`, nor other types. A scalar, such
 * as the loss, is one element and does not count.
 */
let made: number[] = [];

beforeEach(() => {
  emptyCache();
  globalThis.Float32Array = new Proxy(plain, {
    construct(target, args: unknown[], newTarget) {
      const array = Reflect.construct(target, args, newTarget === Float32Array ? target : newTarget) as Float32Array;
      if (array.length > 1) made.push(array.length);
      return array;
    },
  });
});

afterEach(() => {
  globalThis.Float32Array = plain;
});

const setting = () =>
  withGenerator(new Generator(0), () => ({
    teacher: createNetwork("resnet14()", { shape: SHAPE, classes: 10 }),
    student: createNetwork("resnet8()", { shape: SHAPE, classes: 10 }),
    data: Object.assign(new TensorDataset(randn([SAMPLES, ...SHAPE]), randint(0, 10, [SAMPLES]), { classes: 10 }), {
      image: { channels: 3, height: 16, width: 16, mean: [0, 0, 0], std: [1, 1, 1] },
    }),
  }));

/** What the first steps make, and what the warm ones do. */
async function arraysOf(train: (onStep: () => void) => Promise<unknown>) {
  const counts: number[] = [];
  made = [];
  let step = 0;
  await train(() => {
    step++;
    if (step === WARM || step === STEPS) {
      counts.push(made.length);
      made = [];
    }
  });
  const [first, warm] = counts;
  return { first, warm };
}

test("a warm step of training on augmented images makes no Float32Array by `new`", async () => {
  const { student, data } = setting();
  const options = { data: augment(data, { crop: 2, flip: 0.5 }), batchSize: ROWS, epochs: 1, lr: 0.01 };
  const { first, warm } = await arraysOf((onStep) => trainTeacher({ ...options, model: student, onStep }));
  expect(first).toBeGreaterThan(100);
  expect(warm).toBe(0);
});

test.each([true, false])("nor does one of distillation, the teacher's logits cached: %s", async (teacherCache) => {
  const { teacher, student, data } = setting();
  const options = { data, batchSize: ROWS, epochs: 1, lr: 0.01, teacher: teacher.freeze(), student, teacherCache };
  const { first, warm } = await arraysOf((onStep) => distill({ ...options, onStep }));
  expect(first).toBeGreaterThan(100);
  expect(warm).toBe(0);
});
