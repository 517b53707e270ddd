import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  AdamW,
  augment,
  DataLoader,
  Dropout,
  distill,
  F,
  frozen,
  Generator,
  getNumThreads,
  kdLoss,
  Linear,
  live,
  Module,
  type Outputs,
  type Precision,
  prefetch,
  ReLU,
  randn,
  Sequential,
  setNumThreads,
  step,
  synthetic,
  type Teacher,
  TeacherNet,
  type Tensor,
  withGenerator,
  withPrecision,
} from "../../src/index.js";
import { native } from "../../src/native.js";
import { drawingFrom } from "../helpers/drawing_from.js";

const threads = getNumThreads();
beforeEach(() => setNumThreads(2));
afterEach(() => {
  setNumThreads(threads);
  vi.restoreAllMocks();
});

const data = () => synthetic({ samples: 50, features: 6, classes: 3 });

/** Trains a student by a custom loop; gives its weights, the teacher's statistics and the random stream. */
function train(kind: typeof frozen, options: { mode?: "train" | "eval"; dropout?: boolean; noise?: boolean }) {
  const generator = new Generator(5);
  return withGenerator(generator, () => {
    const network = new TeacherNet({ inFeatures: 6, hidden: [12, 10, 8], classes: 3 }).freeze();
    const more = options.dropout ? [new Dropout(0.5)] : [];
    const student = new Sequential(new Linear(6, 8), new ReLU(), ...more, new Linear(8, 3));
    const optimizer = new AdamW(student.parameters(), { lr: 0.01 });
    const samples = options.noise ? augment(data(), { noise: 0.3 }) : data();
    const loader = new DataLoader(samples, { batchSize: 16, shuffle: true });
    const teacher = kind(network, { mode: options.mode ?? "eval" });
    const losses: number[] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      for (const { inputs, labels, teacher: outputs } of prefetch(loader, teacher)) {
        losses.push(
          step(() => {
            const loss = kdLoss(student.forward(inputs), outputs.logits, labels);
            optimizer.zeroGrad();
            loss.backward();
            optimizer.step();
            return loss.item();
          }),
        );
      }
    }
    teacher.close?.();
    const state = (module: Sequential | TeacherNet) =>
      Object.values(module.stateDict()).map(({ data }) => Array.from(data, Number));
    return { losses, student: state(student), teacher: state(network), stream: [...generator.state] };
  });
}

describe("a custom loop with a frozen teacher has the bits of one with a live teacher", () => {
  test.each([
    ["eval mode", {}],
    ["train mode", { mode: "train" }],
    ["augmented data", { mode: "train", noise: true }],
    ["a student that draws too", { mode: "train", dropout: true }],
  ] as const)("%s", (_, options) => {
    expect(train(frozen, options)).toEqual(train(live, options));
  });
});

/** A network of one's own: a residual sum, LayerNorm in its parts, gelu. */
class Residual extends Module {
  readonly in = new Linear(6, 8);
  readonly dropout = new Dropout(0.2);
  readonly scale = withGenerator(new Generator(2), () => randn([8]));
  readonly out = new Linear(8, 3);

  override forward(x: Tensor): Tensor {
    const h = this.in.forward(x);
    const centred = h.sub(h.mean(1, true));
    const normalized = centred.div(centred.pow(2).mean(1, true).add(1e-5).sqrt()).mul(this.scale);
    return this.out.forward(h.add(this.dropout.forward(F.gelu(normalized))));
  }
}

test.each(["eval", "train"] as const)("a teacher of one's own is prefetched in distill(), %s mode", async (mode) => {
  const run = async (kind: typeof frozen) => {
    const generator = new Generator(5);
    const started = vi.spyOn(native, "inferenceEnqueue");
    const student = await drawingFrom(generator, async () => {
      const student = new Sequential(new Linear(6, 8), new ReLU(), new Linear(8, 3));
      const teacher = kind(new Residual().freeze(), { mode });
      await distill({ teacher, student, data: data(), epochs: 2, batchSize: 10 });
      return student;
    });
    const passes = started.mock.calls.length;
    vi.restoreAllMocks();
    return { passes, weights: student.parameters().map(({ data }) => [...data]), stream: [...generator.state] };
  };
  const [ahead, inStep] = [await run(frozen), await run(live)];
  expect([ahead.passes, inStep.passes]).toEqual([10, 0]);
  expect({ ...ahead, passes: 0 }).toEqual(inStep);
});

test.each([
  ["float32", "bfloat16"],
  ["bfloat16", "float32"],
] as const)("a teacher frozen in %s has the weights from then in %s too", (first, second) => {
  const network = withGenerator(new Generator(7), () => new Residual());
  const batch = data().batch(Int32Array.of(3, 1, 4));
  const logits = (precision: Precision, teacher: Teacher) =>
    withPrecision(precision, () => [...(teacher.outputs(batch) as Outputs).logits.data]);
  const want = [first, second].map((precision) => logits(precision, live(network)));
  const teacher = frozen(network);
  expect(logits(first, teacher)).toEqual(want[0]);
  network.out.weight.data.fill(1);
  expect(logits(second, teacher)).toEqual(want[1]);
  expect(logits(first, teacher)).toEqual(want[0]);
  expect(network.out.weight.data.every((x) => x === 1)).toBe(true);
  teacher.close?.();
});

test("the next batches are in flight while the loop works", () => {
  const enqueued = vi.spyOn(native, "inferenceEnqueue");
  const loader = new DataLoader(data(), { batchSize: 10 });
  const counts: number[] = [];
  for (const _ of prefetch(loader, frozen(new TeacherNet({ inFeatures: 6, hidden: [4, 4, 4], classes: 3 })))) {
    counts.push(enqueued.mock.calls.length);
  }
  expect(counts[1]).toBeGreaterThan(2);
  expect(counts.at(-1)).toBe(5);
});

test("the tensors of a batch end with it", () => {
  let before: Tensor | null = null;
  for (const { teacher } of prefetch(new DataLoader(data(), { batchSize: 25 }), frozen(new Linear(6, 3)))) {
    if (before !== null)
      expect(() => (before as Tensor).data).toThrow("the tensor belongs to a step or a batch that ended");
    before = teacher.logits;
    expect(before.shape).toEqual([25, 3]);
  }
});

describe("errors", () => {
  const loader = new DataLoader(data(), { batchSize: 25 });
  const next = (a: unknown, b: unknown) => () => [...prefetch(a as DataLoader, b as Teacher)];
  test("what is no loader, and no teacher", () => {
    expect(next([], frozen(new Linear(6, 3)))).toThrow("loader: expected a DataLoader");
    expect(next(loader, new Linear(6, 3))).toThrow("teacher: expected a Teacher such as frozen(network)");
  });

  test("a teacher whose outputs are a promise", () => {
    const slow: Teacher = {
      name: "slow",
      fingerprint: () => null,
      outputs: async () => ({ logits: null as never, taps: {} }),
    };
    expect(next(loader, slow)).toThrow("teacher: expected one whose outputs are no promise");
  });
});
