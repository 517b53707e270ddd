import { describe, expect, it } from "vitest";
import {
  AdamW,
  clipGradNorm,
  crossEntropy,
  type IntTensor,
  kdLoss,
  type Module,
  manualSeed,
  noGrad,
  OneCycleLR,
  randint,
  randn,
  StudentNet,
  TeacherNet,
  type Tensor,
} from "../../src/index.js";
import { expectClose } from "./close.js";
import { readFixture, type Stored } from "./fixture.js";

interface Run {
  seed: number;
  lr: number;
  losses: number[];
  lrs: number[];
}

interface Fixture {
  sizes: {
    rows: number;
    inputs: number;
    classes: number;
    batch: number;
    epochs: number;
    teacher: [number, number, number];
    student: [number, number];
  };
  distil: (Run & { mode: string; student: Record<string, Stored>; teacher_buffers: Record<string, Stored> })[];
  teach: (Run & { teacher: Record<string, Stored> })[];
}

/**
 * PyTorch with and without vector instructions differs by 1e-6 (losses) and 5e-7 (weights, statistics) over these 40
 * steps; three times that.
 */
const LOSS = { rel: 3e-6 };
const STATE = { ofLargest: 1.5e-6 };
/**
 * BatchNorm takes off whatever its layer's bias adds, so the bias's gradient is zero but for rounding errors. AdamW
 * divides those by their own size and walks anywhere with them, up to the learning rate a step, and the running mean
 * follows. PyTorch with and without vector instructions ends 2.4e-3 apart there; twice that.
 */
const ADRIFT = { abs: 5e-3 };
const isAdrift = (key: string) => /^(fc[123]\.bias|bn\d\.running_mean)$/.test(key);
const RATES = { rel: 1e-12 };

const { sizes, distil, teach } = readFixture<Fixture>("small_run");

describe("a small run of the script is PyTorch's", () => {
  it.each(distil)("distil, teacher in $mode mode, seed $seed, lr $lr", (expected) => {
    manualSeed(expected.seed);
    const teacher = newTeacher().freeze();
    const student = new StudentNet({ inFeatures: sizes.inputs, hidden: sizes.student, classes: sizes.classes });
    teacher.train(expected.mode === "train");
    const { x, y } = data();
    const run = train(student, x, y, expected.lr, (inputs, labels) => {
      const teacherLogits = noGrad(() => teacher.forward(inputs));
      return kdLoss(student.forward(inputs), teacherLogits, labels, { temperature: 3.5, alpha: 0.6 });
    });
    expectRun(run, expected);
    expect(Object.keys(student.stateDict())).toEqual(Object.keys(expected.student));
    expectState(student, expected.student);
    expectState(teacher, expected.teacher_buffers);
  });

  it.each(teach)("train the teacher, seed $seed", (expected) => {
    manualSeed(expected.seed);
    const teacher = newTeacher();
    const { x, y } = data();
    const run = train(teacher, x, y, expected.lr, (inputs, labels) => crossEntropy(teacher.forward(inputs), labels));
    expectRun(run, expected);
    expect(Object.keys(teacher.stateDict())).toEqual(Object.keys(expected.teacher));
    expectState(teacher, expected.teacher, isAdrift);
  });
});

function newTeacher(): TeacherNet {
  return new TeacherNet({ inFeatures: sizes.inputs, hidden: sizes.teacher, classes: sizes.classes });
}

function data(): { x: Tensor; y: IntTensor } {
  return { x: randn([sizes.rows, sizes.inputs]), y: randint(0, sizes.classes, [sizes.rows]) };
}

function train(
  model: Module,
  x: Tensor,
  y: IntTensor,
  lr: number,
  lossOf: (inputs: Tensor, labels: IntTensor) => Tensor,
): Pick<Run, "losses" | "lrs"> {
  const { rows, batch, epochs } = sizes;
  const optimizer = new AdamW(model.parameters(), { lr, weightDecay: 1e-5 });
  const cycle = { epochs, stepsPerEpoch: rows / batch, pctStart: 0.3, divFactor: 20, finalDivFactor: 100 };
  const scheduler = new OneCycleLR(optimizer, { maxLr: lr, ...cycle });
  const [losses, lrs]: [number[], number[]] = [[], []];
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let i = 0; i < rows; i += batch) {
      const loss = lossOf(x.slice(i, i + batch), y.slice(i, i + batch));
      optimizer.zeroGrad();
      loss.backward();
      clipGradNorm(model.parameters(), 1.0);
      optimizer.step();
      scheduler.step();
      losses.push(loss.item());
    }
    lrs.push(...scheduler.getLastLr());
  }
  return { losses, lrs };
}

function expectRun(actual: Pick<Run, "losses" | "lrs">, expected: Run): void {
  expectClose(actual.losses, expected.losses, LOSS, "losses");
  expectClose(actual.lrs, expected.lrs, RATES, "learning rates");
}

function expectState(
  model: Module,
  expected: Record<string, Stored>,
  adrift: (key: string) => boolean = () => false,
): void {
  const state = model.stateDict();
  for (const [key, { shape, values }] of Object.entries(expected)) {
    expect(state[key]?.shape, key).toEqual(shape);
    const tolerance = adrift(key) ? ADRIFT : STATE;
    expectClose(Float32Array.from(state[key]?.data ?? [], Number), values, tolerance, key);
  }
}
