import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  attentionTransferLoss,
  Conv1d,
  createNetwork,
  type DistillInput,
  distill,
  Generator,
  ImageDataset,
  kdDistillationLoss,
  Linear,
  Module,
  randint,
  StudentNet,
  synthetic,
  TeacherNet,
  type Tensor,
  withGenerator,
} from "../../src/index.js";
import { createLoss, LOSSES, weightedSum } from "../../src/losses/index.js";
import { inEpoch } from "../../src/losses/temperature.js";
import { Taps } from "../../src/nn/taps.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const SIZES = { inFeatures: 6, classes: 4 };

class Maps extends Module {
  forward(x: Tensor): Tensor {
    return x.reshape([x.shape[0], x.shape[1] / 4, 2, 2]).relu();
  }
}

/** Its hidden layer is an image of so many channels. */
class MapNet extends Module {
  readonly fc1: Linear;
  readonly maps = new Maps();
  readonly fc2: Linear;

  constructor(channels: number) {
    super();
    this.fc1 = new Linear(6, 4 * channels);
    this.fc2 = new Linear(4 * channels, 4);
  }

  forward(x: Tensor): Tensor {
    const h = this.maps.forward(this.fc1.forward(x));
    return this.fc2.forward(h.reshape([x.shape[0], h.size / x.shape[0]]));
  }
}

/** Two epochs of two steps, on a stream of its own; hidden layers of other widths in student and teacher. */
function run(loss: string, options: Partial<DistillInput> = {}) {
  return withGenerator(new Generator(3), () => {
    const hasMaps = loss.includes("maps");
    const teacher = (hasMaps ? new MapNet(3) : new TeacherNet({ ...SIZES, hidden: [12, 10, 8] })).freeze();
    const student = hasMaps ? new MapNet(2) : new StudentNet({ ...SIZES, hidden: [7, 5] });
    const data = synthetic({ samples: 11, features: 6, classes: 4 });
    const before = fingerprint(student.stateDict());
    const handle = distill({ teacher, student, data, loss, epochs: 2, batchSize: 6, lr: 0.01, ...options });
    const done = Promise.resolve(handle);
    return { done, before, end: async () => (await done) && fingerprint(student.stateDict()) };
  });
}

/** What each registered loss is trained with here; its name alone if it is not listed. */
const EXPRESSIONS: Record<string, string> = {
  dkd: "cross-entropy + dkd(warmup=3)",
  jsd: "jsd(beta=0.3, temperature=[4, 1])",
  "top-k-kd": "top-k-kd(k=2, tail=spread)",
  hint: "hint(student=fc1, teacher=fc2)",
  rkd: "kd + rkd",
  crd: "cross-entropy + 0.8*crd(dimension=6, negatives=5)",
  "review-kd": "cross-entropy + review-kd(student=[maps], warmup=3)",
  "attention-transfer": "1000*attention-transfer(student=maps)",
};
/** Those that compare with targets, which the data here have none of; test/tasks trains with them. */
const OF_TARGETS = ["mse", "mae", "huber", "bce", "cosine"];
const ALL = LOSSES.names.filter((name) => !OF_TARGETS.includes(name)).map((name) => EXPRESSIONS[name] ?? name);

describe("every loss trains a student by its name, and resumes to the bit", () => {
  test.each(ALL)("%s", async (loss) => {
    const whole = run(loss);
    const { history } = await whole.done;
    expect(history).toHaveLength(2);
    const weights = await whole.end();
    expect(weights).not.toBe(whole.before);
    const out = join(folder, `${ALL.indexOf(loss)}`);
    for (const stopped of [1, 3]) {
      const controller = new AbortController();
      const onStep = ({ step }: { step: number }) => step === stopped && controller.abort();
      await failure(run(loss, { out, signal: controller.signal, onStep, resume: stopped > 1 }).done, "ABORTED");
    }
    expect(await run(loss, { out, resume: true }).end()).toBe(weights);
  });
});

test("attention transfer teaches a resnet8 by its name from the feature maps of a resnet14", async () => {
  const hidden = (path: string) => !path.startsWith("fc");
  await drawingFrom(new Generator(4), async () => {
    const shape = [3, 8, 8];
    const [teacher, student] = ["resnet14", "resnet8"].map((name) => createNetwork(name, { shape, classes: 4 }));
    const image = { channels: 3, height: 8, width: 8 };
    const pixels = Uint8Array.from(randint(0, 256, [16, ...shape]).data);
    const data = new ImageDataset(pixels, randint(0, 4, [16]), { image, mean: 0.5, std: 0.25 });
    const loss = "attention-transfer(student=layer2, teacher=layer2)";
    const maps = (network: Module) => {
      const taps = new Taps(network, ["layer2"], "student");
      const { inputs } = data.slice(0, 16);
      return taps.record(() => network.forward(inputs)).taps.layer2;
    };
    const expected = attentionTransferLoss(maps(student.train()), maps(teacher.eval()).detach()).item();
    const before = structuredClone(
      Object.entries(student.stateDict()).map(([path, { data: values }]) => [path, values]),
    );
    const { history } = await distill({
      teacher,
      student,
      data,
      loss,
      teacherMode: "eval",
      epochs: 4,
      batchSize: 16,
      lr: 0.01,
    });
    expect(history[0].metrics.loss).toBeCloseTo(expected, 5);
    expect(history[3].metrics.loss).toBeLessThan(history[0].metrics.loss);
    for (const [path, values] of before as [string, Float32Array][]) {
      if (!path.endsWith("weight") || path.startsWith("layer3")) continue;
      const isSame = values.every((x, i) => x === student.stateDict()[path].data[i]);
      expect(isSame, path).toBe(!hidden(path));
    }
  });
});

/** Its hidden layer `c` gives so many channels of 6 places each. */
class SequenceNet extends Module {
  readonly c: Conv1d;
  readonly fc: Linear;

  constructor(channels: number) {
    super();
    this.c = new Conv1d(1, channels, 3, { padding: 1 });
    this.fc = new Linear(channels, 4);
  }

  forward(x: Tensor): Tensor {
    return this.fc.forward(this.c.forward(x.reshape([x.shape[0], 1, 6])).mean(2));
  }
}

describe("a layer that gives [channels, length] is refused by its path, before anything is written", () => {
  const one = "student=c, teacher=fc:input";
  const both = "expected the path of a layer that gives [features] or [channels, height, width]";
  test.each([
    ...["hint", "cosine-feature", "rkd", "similarity-preserving", "pkt", "vid", "crd"].map((name) => [name, one, both]),
    ["review-kd", "student=[c], teacher=[fc:input]", both],
    ["attention-transfer", one, "expected the path of a layer that gives [channels, height, width]"],
  ])("%s", async (name, layers, text) => {
    const out = join(folder, `sequence-${name}`);
    const data = synthetic({ samples: 8, features: 6, classes: 4 });
    const loss = `cross-entropy + ${name}(${layers})`;
    const run = distill({ teacher: new SequenceNet(3), student: new SequenceNet(2), data, loss, epochs: 1, out });
    const { message } = await failure(run, "BAD_ARGUMENT");
    expect(message).toBe(`loss: ${name}: student: ${text}, got "c", which gives [2, 6]`);
    expect(existsSync(out)).toBe(false);
  });
});

describe("weights and temperatures that follow the epoch", () => {
  test("a warm-up multiplies the loss by epoch / warmup, up to 1", async () => {
    const of = async (loss: string) => (await run(loss, { epochs: 3, lr: 1e-9 }).done).history;
    const [plain, warm] = [await of("dkd"), await of("dkd(warmup=2)")];
    for (const [i, factor] of [0.5, 1, 1].entries()) {
      expect(warm[i].metrics.loss / plain[i].metrics.loss).toBeCloseTo(factor, 4);
    }
  });

  test("the metric of a term has neither its weight nor its warm-up", async () => {
    const { history } = await run("0.5*cross-entropy + 0.5*dkd(warmup=2)", { epochs: 2, lr: 1e-9 }).done;
    for (const [i, factor] of [0.5, 1].entries()) {
      const { dkd, "cross-entropy": hard, loss } = history[i].metrics;
      expect(0.5 * hard + 0.5 * factor * dkd).toBeCloseTo(loss, 4);
    }
  });

  test("a temperature moves evenly from the first epoch's to the last one's", async () => {
    expect([1, 2, 3].map((epoch) => inEpoch([10, 1], { epoch, epochs: 3 }))).toEqual([10, 5.5, 1]);
    expect(inEpoch([10, 1], { epoch: 1, epochs: 1 })).toBe(1);
    const at = async (loss: string) =>
      (await run(loss, { epochs: 2, lr: 1e-9 }).done).history.map(({ metrics }) => metrics.loss);
    const [moving, hot, cold] = [await at("kd(temperature=[5, 2])"), await at("kd(5)"), await at("kd(2)")];
    expect(moving[0]).toBe(hot[0]);
    expect(moving[1]).toBeCloseTo(cold[1], 5);
  });

  test("so does the weight of any term, up or down; logs show the term without it", async () => {
    const { history } = await run("[0.9, 0]*kd(2) + [0, 1]*cross-entropy", { epochs: 3, lr: 1e-9 }).done;
    for (const [i, [soft, hard]] of [
      [0.9, 0],
      [0.45, 0.5],
      [0, 1],
    ].entries()) {
      const { kd, "cross-entropy": labels, loss } = history[i].metrics;
      expect(soft * kd + hard * labels).toBeCloseTo(loss, 5);
    }
    const context = { classes: 4, labelSmoothing: 0, tapShape: () => [4] } as never;
    const falling = createLoss({ name: "kd", weight: [0.9, 0], temperature: 2 }, context);
    expect(falling.config()).toEqual([{ weight: [0.9, 0], loss: { name: "kd", temperature: 2 } }]);
    const term = createLoss("kd", context);
    expect(weightedSum([[[1, 0.5], term]]).config()).toMatchObject([{ weight: [1, 0.5] }]);
    expect(() => weightedSum([[[1] as never, term]])).toThrow(
      "terms[0]: weight: expected a finite number, or two: [first epoch's, last epoch's], got [1]",
    );
    expect(LOSSES.canonical("[0.9, 0]*kd(2)")).toBe("[0.9, 0]*kd(temperature=2)");
  });

  test("both are part of the configuration, and mistakes are named", () => {
    const context = { classes: 4, labelSmoothing: 0, tapShape: () => [4] } as never;
    expect(createLoss("dkd(warmup=20, temperature=[8, 4])", context).config()).toEqual({
      loss: { name: "dkd", alpha: 1, beta: 8, temperature: [8, 4] },
      warmup: 20,
    });
    const of = (loss: string) => () => createLoss(loss, context);
    expect(of("dkd(warmup=0)")).toThrow("loss: dkd: warmup: expected a whole number of at least 1, got 0");
    expect(of("kd(temperature=[4])")).toThrow("kd: temperature: expected a number above 0, or two: [first epoch's");
    expect(of("cross-entropy(warmup=2)")).toThrow("warmup: unknown argument");
    const oneOrTwo = "expected a number above 0, or two: [first epoch's, last epoch's], got";
    for (const [value, problem] of [
      ["0", "temperature: expected a number above 0, got 0"],
      ["[4]", `temperature: ${oneOrTwo} [4]`],
      ["[4, 2, 1]", `temperature: ${oneOrTwo} [4, 2, 1]`],
      ["[4, 0]", "temperature[1]: expected a number above 0, got 0"],
      ["1e30", "temperature: expected a temperature from 0.001 to 1000000, got 1e+30"],
      ["[1, 1e-30]", "temperature[1]: expected a temperature from 0.001 to 1000000, got 1e-30"],
    ]) {
      expect(of(`kd(temperature=${value})`)).toThrow(`loss: kd: ${problem}`);
    }
    expect(of("kd(temp=3)")).toThrow("loss: kd: temp: unknown argument, did you mean temperature?");
    expect(() => kdDistillationLoss({ temperature: [4] as never })).toThrow(
      "temperature: expected two numbers, got [4]",
    );
  });
});

test.each([
  ["dkd(alpha=0, beta=0)", "alpha, beta"],
  ["dist(beta=0, gamma=0)", "beta, gamma"],
  ["vector-kd(cosine=0, mse=0)", "cosine, mse"],
  ["rkd(distanceWeight=0, angleWeight=0, student=fc1, teacher=fc1)", "distanceWeight, angleWeight"],
  ["0*kd + 0*cross-entropy", "weights"],
])("refuses %s, whose value is always 0", (loss, names) => {
  const context = { classes: 4, labelSmoothing: 0, tapShape: () => [4] } as never;
  expect(() => createLoss(loss, context)).toThrow(`${names}: expected at least one other than 0: the loss is always 0`);
});
