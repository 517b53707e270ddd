import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  AdamW,
  augment,
  BatchNorm1d,
  BatchNorm2d,
  Conv2d,
  CrdEmbedding,
  CrdMemory,
  clipGradNorm,
  crdDistillationLoss,
  createNetwork,
  DataLoader,
  type Dataset,
  type DistillationLoss,
  distill,
  EmbeddingBag,
  emaTeacher,
  estimateRun,
  F,
  Generator,
  ImageDataset,
  Linear,
  Module,
  manualSeed,
  OneCycleLR,
  predict,
  randint,
  randn,
  type ShardedMemory,
  setNumThreads,
  type Tensor,
  TensorDataset,
  tensor,
  trainTeacher,
  withGenerator,
  zeros,
} from "../../src/index.js";
import { drawSeed } from "../../src/tensor/random.js";
import { expectClose } from "../parity/close.js";
import { failure, temporaryFolder } from "../support.js";
import { distillationLoss, type Options, SIZES, setting, start } from "./support.js";

const folder = temporaryFolder();

/** Without dropout and statistics of a batch: its loss is a mean over samples. */
class Plain extends Module {
  readonly first = new Linear(SIZES.inFeatures, 8);
  readonly second = new Linear(8, SIZES.classes);

  forward(x: Tensor): Tensor {
    return this.second.forward(this.first.forward(x).relu());
  }
}

/** The reference: each shard's samples, generator, gradients and statistics, by the public API. */
function trainByHand(shards: number, data?: Dataset): { student: Module; losses: number[] } {
  const own = { ...setting(), ...(data && { data }) };
  const { student } = own;
  own.teacher.eval();
  const lossOf = distillationLoss(own);
  const options = { batchSize: 16, shuffle: true, order: "randperm" } as const;
  const loader = new DataLoader(own.data, options);
  const optimizer = new AdamW(student.parameters(), { lr: 0.01, weightDecay: 1e-5 });
  const cycle = { epochs: 3, stepsPerEpoch: loader.length, pctStart: 0.3, divFactor: 20, finalDivFactor: 100 };
  const scheduler = new OneCycleLR(optimizer, { maxLr: 0.01, ...cycle });
  const statistics = student.namedBuffers().flatMap(([, buffer]) => (buffer.dtype === "float32" ? [buffer] : []));
  const losses: number[] = [];
  for (let epoch = 0; epoch < 3; epoch++) {
    for (const { indices } of loader) {
      const seed = drawSeed();
      const size = 16 / shards;
      const before = statistics.map(({ data }) => data.slice());
      const moved = before.map(() => [] as { weight: number; values: Float32Array }[]);
      const gradients: Float32Array[][] = [];
      let loss = 0;
      for (let at = 0; at < indices.length; at += size) {
        const rows = indices.slice(at, at + size);
        const weight = rows.length / indices.length;
        for (const [i, { data }] of statistics.entries()) data.set(before[i]);
        withGenerator(new Generator(seed + BigInt(at / size)), () => {
          const { inputs, labels } = own.data.batch(rows);
          optimizer.zeroGrad();
          const value = lossOf(inputs, labels);
          loss += weight * value.item();
          value.mul(weight).backward();
        });
        gradients.push(student.parameters().map(({ grad }) => (grad as Tensor).data.slice()));
        for (const [i, { data }] of statistics.entries()) moved[i].push({ weight, values: data.slice() });
      }
      const add = (a: Float32Array[], b: Float32Array[]) => a.map((array, i) => array.map((x, j) => x + b[i][j]));
      const sums = gradients.reduce(add);
      for (const [i, parameter] of student.parameters().entries()) (parameter.grad as Tensor).data.set(sums[i]);
      for (const [i, { data }] of statistics.entries())
        data.set(before[i].map((old, j) => moved[i].reduce((sum, m) => sum + m.weight * (m.values[j] - old), old)));
      clipGradNorm(student.parameters(), 1);
      optimizer.step();
      scheduler.step();
      losses.push(loss);
    }
  }
  return { student, losses };
}

test.each([2, 4])("%i shards make the steps of a loop over them", async (shards) => {
  await expectByHand(shards);
});

test("a batch of fewer samples leaves shards at the end empty", async () => {
  await expectByHand(
    16,
    withGenerator(new Generator(4), () => setting(18).data),
  );
});

/** Checks a run in shards against the loop over them: the loss of each step, and the student. */
async function expectByHand(shards: number, data?: Dataset): Promise<void> {
  const losses: number[] = [];
  const onStep = ({ metrics }: { metrics: Record<string, number> }) => losses.push(metrics.loss);
  const run = start({ shards, onStep, ...(data && { data }) });
  await run.done;
  const expected = withGenerator(new Generator(0), () => trainByHand(shards, data));
  expect(losses).toHaveLength(expected.losses.length);
  for (const [i, loss] of expected.losses.entries()) expect(losses[i]).toBeCloseTo(loss, 5);
  const state = run.setting.student.stateDict();
  for (const [key, { data }] of Object.entries(expected.student.stateDict())) {
    const ended = [...state[key].data].map(Number);
    // The counter of batches moves once a shard by hand.
    if (key.endsWith("num_batches_tracked")) expect(ended).toEqual([12]);
    else for (const [i, value] of [...data].map(Number).entries()) expect(ended[i]).toBeCloseTo(value, 4);
  }
}

test("of a network whose loss is a mean over samples they are the whole batch, but for rounding", async () => {
  const train = async (shards: number) => {
    manualSeed(3);
    const [model, { data }] = [new Plain(), setting()];
    // Drawn orders would be others: the stream gives a seed each batch.
    const { history } = await trainTeacher({ model, data, epochs: 2, batchSize: 16, lr: 0.01, shuffle: false, shards });
    return { weights: model.parameters().flatMap(({ data }) => [...data]), losses: history.map((r) => r.metrics.loss) };
  };
  const [whole, parts] = [await train(1), await train(8)];
  expectClose(parts.losses, whole.losses, { abs: 5e-6 });
  expectClose(parts.weights, whole.weights, { abs: 5e-6 });
});

test.each([{}, { batchSize: 8, accumulate: 2 }, { shards: 2 }])(
  "a table with a gradient by rows moves those that the batch names, and no other: %o",
  async (options) => {
    class Named extends Module {
      readonly bag = new EmbeddingBag(12, 4, { sparse: true });
      readonly out = new Linear(4, 2);
      forward(ids: Tensor): Tensor {
        return this.out.forward(this.bag.forward(ids));
      }
    }
    manualSeed(3);
    const model = new Named();
    const { weight } = model.bag;
    const before = weight.data.slice();
    const ids = tensor(Array.from({ length: 32 }, (_, i) => [i % 5, (3 * i) % 5]));
    const data = new TensorDataset(
      ids,
      Int32Array.from({ length: 32 }, (_, i) => i % 2),
    );
    await trainTeacher({ model, data, epochs: 1, batchSize: 16, optimizer: "adamw", weightDecay: 0.5, ...options });
    expect(weight.data.slice(20)).toEqual(before.slice(20));
    for (let row = 0; row < 5; row++) expect(weight.data[4 * row]).not.toBe(before[4 * row]);
  },
);

test.each([{ shards: 2 }, { ema: 0.9 }])("a buffer that stays may hold infinity: %o", async (options) => {
  class Masked extends Module {
    readonly fc = new Linear(4, 3);
    readonly mask = this.registerBuffer("mask", tensor([0, Number.NEGATIVE_INFINITY, 0]));
    forward(x: Tensor): Tensor {
      return F.softmax(this.fc.forward(x).add(this.mask));
    }
  }
  manualSeed(3);
  const model = new Masked();
  const data = new TensorDataset(
    randn([16, 4]),
    Int32Array.from({ length: 16 }, (_, i) => 2 * (i % 2)),
  );
  await trainTeacher({ model, data, epochs: 2, batchSize: 8, ...options });
  expect(model.mask.toArray()).toEqual([0, Number.NEGATIVE_INFINITY, 0]);
  expect(predict(model, randn([3, 4]))).toHaveLength(3);
});

/** With BatchNorm ahead of an activation and beside a shortcut, as in the networks of the field. */
class Normed extends Module {
  readonly first = new Linear(SIZES.inFeatures, 8);
  readonly norm = new BatchNorm1d(8);
  readonly inner = new Linear(8, 8);
  readonly innerNorm = new BatchNorm1d(8);
  readonly last = new Linear(8, SIZES.classes);

  forward(x: Tensor): Tensor {
    const hidden = this.norm.forward(this.first.forward(x)).relu();
    return this.last.forward(this.innerNorm.forward(this.inner.forward(hidden)).add(hidden).relu());
  }
}

/** With a BatchNorm whose statistics stay, ahead of one whose statistics are the batch's. */
class PartlyFrozen extends Module {
  readonly conv = new Conv2d(3, 4, 3);
  readonly fixed = new BatchNorm2d(4);
  readonly inner = new Conv2d(4, 4, 3);
  readonly norm = new BatchNorm2d(4);
  readonly last = new Linear(64, 4);

  forward(x: Tensor): Tensor {
    const { weight, bias, runningMean, runningVar } = this.fixed;
    const state = { weight, bias, runningMean, runningVar };
    const fixed = F.batchNorm(this.conv.forward(x), state, { training: false, momentum: 0, eps: 1e-5 }).relu();
    return this.last.forward(this.norm.forward(this.inner.forward(fixed)).relu().flatten(1));
  }
}

const images = () =>
  new ImageDataset(
    Uint8Array.from(randint(0, 256, [40 * 3 * 8 * 8]).data),
    Int32Array.from({ length: 40 }, (_, i) => i % 4),
    { image: { channels: 3, height: 8, width: 8 }, classes: 4, mean: 0.5, std: 0.25 },
  );

test.each<[string, Options, () => { model: Module; data: Dataset }]>([
  ["rows", {}, () => ({ model: new Normed(), data: setting(40).data })],
  ["accumulated batches", { accumulate: 3 }, () => ({ model: new Normed(), data: setting(40).data })],
  ["images, some of it in eval mode", {}, () => ({ model: new PartlyFrozen(), data: images() })],
  ["images", {}, () => ({ model: createNetwork("resnet8", { shape: [3, 8, 8], classes: 4 }), data: images() })],
])("BatchNorm over the batch makes of shards of %s the whole batch, but for rounding", async (_, options, make) => {
  const train = async (shards: number) => {
    const { model, data } = withGenerator(new Generator(3), make);
    const run = { model, data, epochs: 1, batchSize: 16, lr: 0.001, optimizer: "sgd", ...options } as const;
    manualSeed(3);
    const { history } = await trainTeacher({ ...run, shards, batchNorm: "batch" });
    return { state: model.stateDict(), loss: history[0].metrics.loss };
  };
  const whole = await train(1);
  for (const shards of [2, 8, 16]) {
    const parts = await train(shards);
    expect(parts.loss).toBeCloseTo(whole.loss, 4);
    for (const [key, { data }] of Object.entries(whole.state)) {
      const values = parts.state[key].data;
      const far = [...data].findIndex((value, i) => !(Math.abs(Number(value) - Number(values[i])) < 5e-6));
      expect(far, key).toBe(-1);
    }
  }
});

/** Passes over what one of its layers throws. */
class Catching extends Normed {
  override forward(x: Tensor): Tensor {
    let hidden = this.first.forward(x);
    try {
      hidden = this.norm.forward(hidden);
    } catch {}
    hidden = hidden.relu();
    return this.last.forward(this.innerNorm.forward(this.inner.forward(hidden)).add(hidden).relu());
  }
}

test("a network that catches what its BatchNorm throws waits for the other shards all the same", async () => {
  const train = async (make: () => Normed) => {
    const { model, data } = withGenerator(new Generator(3), () => ({ model: make(), data: setting(40).data }));
    manualSeed(3);
    const run = { model, data, epochs: 2, batchSize: 16, lr: 0.01, shards: 4, batchNorm: "batch" } as const;
    const { history } = await trainTeacher(run);
    const weights = Object.values(model.stateDict()).map(({ data }) => Array.from(data, Number));
    return { weights, losses: history.map(({ metrics }) => metrics.loss) };
  };
  expect(await train(() => new Catching())).toEqual(await train(() => new Normed()));
});

const CASES: [string, () => Options][] = [
  ["batches", () => ({})],
  ["batches with BatchNorm over all of them", () => ({ batchNorm: "batch" })],
  ["accumulated ones", () => ({ accumulate: 3 })],
  ["a teacher in train mode", () => ({ teacherMode: "train" })],
  ["an average of the weights", () => ({ ema: 0.9 })],
  [
    "augmented data",
    () => ({
      data: augment(
        withGenerator(new Generator(4), () => setting().data),
        { noise: 0.1, mixup: 0.4 },
      ),
    }),
  ],
  ["a loss with a memory", () => ({ loss: "cross-entropy + crd(student=fc1, teacher=fc1, negatives=4, dimension=6)" })],
  ["a loss over pairs of a batch", () => ({ loss: "cross-entropy + rkd + similarity-preserving" })],
];

describe.each(CASES)("shards of %s", (_, options) => {
  const sharded = () => ({ shards: 8, ...options() });

  test("give the same bits at any number of threads", async () => {
    setNumThreads(1);
    const one = await start(sharded()).end;
    setNumThreads(2);
    expect(await start(sharded()).end).toEqual(one);
    expect(one).not.toEqual(await start(options()).end);
  });

  test("resume to the bit", async () => {
    const whole = await start(sharded()).end;
    const out = join(folder, `run-${_}`);
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 3 && controller.abort();
    await failure(start({ ...sharded(), out, signal: controller.signal, onStep }).done, "ABORTED");
    expect(await start({ ...sharded(), out, resume: true }).end).toEqual(whole);
  });
});

test("a teacher that follows the student is what the steps made of it", async () => {
  const train = async (shards: number) => {
    const { student, data } = withGenerator(new Generator(0), () => setting());
    const run = { teacher: emaTeacher({ decay: 0.9 }), student, data, epochs: 2, batchSize: 16, lr: 0.01, shards };
    await withGenerator(new Generator(1), () => distill({ ...run, loss: "cross-entropy + kd" }));
    return student.parameters().flatMap(({ data }) => [...data]);
  };
  setNumThreads(1);
  const one = await train(4);
  setNumThreads(2);
  expect(await train(4)).toEqual(one);
  expect(one).not.toEqual(await train(1));
});

test.each<[Options, RegExp]>([
  [{ shards: 3 }, /^shards: expected a divisor of the batch size \(16\), got 3$/],
  [{ shards: 2, batchNorm: "batch", teacherMode: "train" }, /^batchNorm: "batch" is for the student/],
  [{ shards: 0 }, /^shards: expected a whole number of at least 1, got 0$/],
])("refused: %o", async (wrong, message) => {
  expect((await failure(start(wrong).done, "BAD_ARGUMENT")).message).toMatch(message);
});

test("a memory takes each sample's new embeddings once a batch", async () => {
  const train = async (shards: number) => {
    const model = withGenerator(new Generator(0), () => new Plain());
    const { teacher, data } = withGenerator(new Generator(2), () => setting(16));
    const made = withGenerator(new Generator(1), () => ({
      memory: new CrdMemory({ samples: 24, dimension: 5, negatives: 3 }),
      student: new CrdEmbedding(8, 5),
      teacher: new CrdEmbedding(12, 5),
    }));
    const before = [made.memory.student, made.memory.teacher].map(({ data }) => [...data]);
    const loss = crdDistillationLoss({ student: "first", teacher: "fc1" }, made);
    await distill({ teacher, student: model, data, epochs: 1, batchSize: 16, lr: 0.01, shards, loss });
    return { before, after: [made.memory.student, made.memory.teacher].map(({ data }) => [...data]) };
  };
  const whole = await train(1);
  const parts = await train(4);
  for (const [i, bank] of parts.after.entries()) {
    for (const [j, value] of bank.entries()) expect(value).toBeCloseTo(whole.after[i][j], 5);
    expect(bank.slice(16 * 5)).toEqual(parts.before[i].slice(16 * 5));
    expect(bank.slice(0, 5)).not.toEqual(parts.before[i].slice(0, 5));
  }
});

test("so does one of a user's own, also inside of another module", async () => {
  class Bank extends Module implements ShardedMemory {
    readonly rows = this.registerBuffer("rows", zeros([24, SIZES.classes]));
    readonly banks = [this.rows];
    #waiting: Float64Array[] = [];

    forward(x: Tensor): Tensor {
      return x;
    }
    asShard<T>(_: number, rows: Float64Array[], body: () => T): T {
      this.#waiting = rows;
      return body();
    }
    takeRows(rows: readonly Float64Array[]): void {
      for (const [index, ...row] of rows) this.rows.data.set(row, index * SIZES.classes);
    }
    take(indices: Int32Array, logits: Tensor): void {
      const rows = logits.toArray() as number[][];
      for (const [i, index] of indices.entries()) this.#waiting.push(Float64Array.of(index, ...rows[i]));
    }
  }
  class Holder extends Module {
    readonly bank = new Bank();
    forward(x: Tensor): Tensor {
      return x;
    }
  }
  const { teacher, data } = withGenerator(new Generator(2), () => setting(16));
  const student = withGenerator(new Generator(0), () => new Plain());
  const holder = new Holder();
  const loss: DistillationLoss = {
    name: "bank",
    needsTeacher: false,
    modules: { holder },
    config: () => ({ name: "bank" }),
    compute({ student: { logits }, indices }) {
      holder.bank.take(indices, logits);
      return { loss: logits.mul(logits).mean(), metrics: {} };
    },
  };
  const fresh = student.forward(data.batch(Int32Array.from({ length: 16 }, (_, i) => i)).inputs);
  await distill({ teacher, student, data, epochs: 1, batchSize: 16, lr: 0.01, shards: 4, loss });
  expectClose(holder.bank.rows.data, [...fresh.data, ...new Float32Array(8 * SIZES.classes)], { abs: 1e-6 });
});

test("a network whose shards come to different BatchNorms is refused", async () => {
  class Wilful extends Normed {
    override forward(x: Tensor): Tensor {
      return x.data[0] > 0 ? super.forward(x) : this.last.forward(this.first.forward(x).relu());
    }
  }
  const { data } = setting();
  const run = trainTeacher({ model: new Wilful(), data, epochs: 1, batchSize: 16, shards: 8, batchNorm: "batch" });
  expect((await failure(run, "BAD_ARGUMENT")).message).toMatch(/batchNorm: \d of 8 shards wait at a BatchNorm that/);
});

describe("BatchNorm that a batch has one number for", () => {
  const start = async (model: Module, more: object) => {
    let steps = 0;
    const data = withGenerator(new Generator(0), () => setting(49).data);
    const run = trainTeacher({ model, data, epochs: 1, batchSize: 16, ...more, onStep: () => void steps++ });
    const message = await run.then(
      () => null,
      (error: Error) => error.message,
    );
    return { steps, message };
  };
  /** Rows as images of one position. */
  class OnePosition extends Module {
    readonly norm = new BatchNorm2d(SIZES.inFeatures);
    readonly last = new Linear(SIZES.inFeatures, SIZES.classes);

    forward(x: Tensor): Tensor {
      return this.last.forward(
        this.norm.forward(x.reshape([-1, SIZES.inFeatures, 1, 1])).reshape([-1, SIZES.inFeatures]),
      );
    }
  }
  /** Whose statistics stay. */
  class Kept extends OnePosition {
    override train(mode = true): this {
      super.train(mode);
      this.norm.eval();
      return this;
    }
  }

  test.each<[string, () => Module, object, string | null]>([
    [
      "a last batch",
      () => new Normed(),
      {},
      "batchSize: 16 leaves a last batch of one of 49 samples, which BatchNorm can't take: dropLast: true leaves it out",
    ],
    [
      "a last batch of images of one position",
      () => new OnePosition(),
      {},
      "batchSize: 16 leaves a last batch of one of 49 samples, which BatchNorm can't take: dropLast: true leaves it out",
    ],
    [
      "a last shard",
      () => new Normed(),
      { batchSize: 46, shards: 23, dropLast: false },
      "shards: 23 leaves a last shard of one of the last batch's 3 samples, which BatchNorm can't take: " +
        'dropLast: true leaves the batch out, batchNorm: "batch" normalises over all shards',
    ],
    ["a last batch, left out", () => new Normed(), { dropLast: true }, null],
    ["a last batch by statistics that stay", () => new Kept(), {}, null],
  ])("%s", async (_, model, more, message) => {
    const run = await start(model(), more);
    expect(run.message).toBe(message);
    if (message !== null) expect(run.steps).toBe(0);
  });

  test.each<[string, () => Module, number, string | null]>([
    ["without shards", () => new Normed(), 1, "changes nothing without shards: statistics are the whole batch's"],
    ["without BatchNorm", () => new Plain(), 2, "changes nothing: the network has no BatchNorm"],
    ["with both", () => new Normed(), 2, null],
  ])('batchNorm "batch" %s', async (_, model, shards, note) => {
    const notes: string[] = [];
    const onNote = (text: string) => void notes.push(text);
    const { data } = setting(48);
    const run = { model: model(), data, epochs: 1, batchSize: 16, shards, batchNorm: "batch", onNote } as const;
    const expected = note === null ? [] : [`batchNorm: "batch" ${note}`];
    await trainTeacher(run);
    expect(notes.splice(0)).toEqual(expected);
    await estimateRun(run);
    expect(notes).toEqual(expected);
  });
});
