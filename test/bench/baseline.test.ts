import { describe, expect, it } from "vitest";
import { matmul, matmulNt, matmulTn } from "../../bench/baseline/matmul.js";
import { copyWeights } from "../../bench/baseline/networks.js";
import { MersenneTwister } from "../../bench/baseline/random.js";
import { PlainStep, PlainTeacherStep } from "../../bench/baseline/steps.js";
import {
  AdamW,
  clipGradNorm,
  crossEntropy,
  Generator,
  kdLoss,
  manualSeed,
  noGrad,
  rand,
  randint,
  randn,
  StudentNet,
  TeacherNet,
  type Tensor,
  withGenerator,
} from "../../src/index.js";

const TOLERANCE = 1e-5;
const [ROWS, FEATURES, CLASSES, STEPS] = [7, 13, 5, 3];

/** The largest distance between two arrays, in parts of the largest value. */
function distance(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  const scale = Math.max(...a.map(Math.abs), 1e-30);
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]))) / scale;
}

/** The same networks, inputs and random stream for both implementations, of sizes that no tile divides. */
function bothAtStart() {
  const generator = manualSeed(3);
  const teacher = new TeacherNet({ inFeatures: FEATURES, hidden: [33, 18, 9], classes: CLASSES }).freeze();
  const student = new StudentNet({ inFeatures: FEATURES, hidden: [17, 11], classes: CLASSES });
  const [inputs, labels] = [randn([ROWS, FEATURES]), randint(0, CLASSES, [ROWS])];
  const weights = { teacher: copyWeights(teacher), student: copyWeights(student) };
  const randomState = generator.state.slice();
  const plain = new PlainStep({ ...weights, rows: ROWS, randomState });
  const optimizer = new AdamW(student.parameters(), { lr: 6e-4, betas: [0.95, 0.999], weightDecay: 1e-5 });
  const step = () => {
    const loss = kdLoss(
      student.forward(inputs),
      noGrad(() => teacher.forward(inputs)),
      labels,
    );
    optimizer.zeroGrad();
    loss.backward();
    clipGradNorm(student.parameters(), 1);
    optimizer.step();
    return loss.item();
  };
  const [{ lr, betas }] = optimizer.paramGroups;
  const plainStep = () => plain.run(inputs.data, labels.data, { lr, beta1: betas[0] });
  return { teacher, student, plain, weights, step, plainStep, states: [generator.state, randomState] };
}

describe("the plain TypeScript step", () => {
  it("has the library's losses, gradients and parameters, step after step", () => {
    const { student, plain, step, plainStep } = bothAtStart();
    for (let i = 0; i < STEPS; i++) {
      expect(Math.abs(step() - plainStep())).toBeLessThan(TOLERANCE);
      student.parameters().forEach((parameter, j) => {
        expect(distance((parameter.grad as Tensor).data, plain.student.grads[j])).toBeLessThan(TOLERANCE);
        expect(distance(parameter.data, plain.student.parameters[j])).toBeLessThan(TOLERANCE);
      });
    }
  });

  it("moves the teacher's running statistics and the random stream as the library does", () => {
    const { teacher, weights, step, plainStep, states } = bothAtStart();
    step();
    plainStep();
    for (const [name, values] of Object.entries(copyWeights(teacher))) {
      expect(distance(values, weights.teacher[name])).toBeLessThan(TOLERANCE);
    }
    expect([...states[1]]).toEqual([...states[0]]);
  });

  it("names a key that the weights lack", () => {
    const { weights } = bothAtStart();
    const start = { teacher: {}, student: weights.student, rows: ROWS, randomState: new Uint32Array(628) };
    expect(() => new PlainStep(start)).toThrow("expected the key fc1.weight");
  });
});

describe("the plain step of the teacher's training", () => {
  it("has the library's losses, gradients, parameters and running statistics, step after step", () => {
    const generator = manualSeed(4);
    const model = new TeacherNet({ inFeatures: FEATURES, hidden: [33, 18, 9], classes: CLASSES });
    const [inputs, labels] = [randn([ROWS, FEATURES]), randint(0, CLASSES, [ROWS])];
    const weights = copyWeights(model);
    const plain = new PlainTeacherStep(weights, ROWS, generator.state.slice());
    const optimizer = new AdamW(model.parameters(), { lr: 6e-4, betas: [0.95, 0.999], weightDecay: 1e-5 });
    for (let i = 0; i < STEPS; i++) {
      const loss = crossEntropy(model.forward(inputs), labels);
      optimizer.zeroGrad();
      loss.backward();
      clipGradNorm(model.parameters(), 1);
      optimizer.step();
      const plainLoss = plain.run(inputs.data, labels.data, { lr: 6e-4, beta1: 0.95 });
      expect(Math.abs(loss.item() - plainLoss)).toBeLessThan(TOLERANCE);
      // A bias before a batch norm has no gradient but what rounding leaves: the largest gradient is the measure.
      const scale = Math.max(...plain.grads.map((grad) => Math.max(...grad.map(Math.abs))));
      model.parameters().forEach((parameter, j) => {
        const ours = (parameter.grad as Tensor).data;
        const apart = Math.max(...ours.map((x, k) => Math.abs(x - (plain.grads[j] as Float32Array)[k])));
        expect(apart).toBeLessThan(TOLERANCE * scale);
      });
    }
    // AdamW makes whole steps of that rounding, which the running means follow.
    for (const [name, values] of Object.entries(copyWeights(model))) {
      if (/^bn/.test(name)) expect(distance(values, weights[name])).toBeLessThan(1e-3);
    }
  });
});

describe("the plain teacher in eval mode", () => {
  it("gives the step the library's loss, and so do its logits when they are known", () => {
    const { teacher, student, plain, weights } = bothAtStart();
    const again = new PlainStep({
      teacher: weights.teacher,
      student: copyWeights(student),
      rows: ROWS,
      randomState: new Uint32Array(628),
    });
    const [inputs, labels] = [randn([ROWS, FEATURES]), randint(0, CLASSES, [ROWS])];
    const logits = noGrad(() => teacher.eval().forward(inputs));
    const expected = kdLoss(student.forward(inputs), logits, labels).item();
    const numbers = { lr: 6e-4, beta1: 0.95 };
    expect(Math.abs(plain.run(inputs.data, labels.data, numbers, "eval") - expected)).toBeLessThan(TOLERANCE);
    expect(Math.abs(again.run(inputs.data, labels.data, numbers, logits.data) - expected)).toBeLessThan(TOLERANCE);
  });
});

describe("the plain random stream", () => {
  it("draws the library's uniforms over several refills", () => {
    const generator = new Generator(11);
    const out = new Float32Array(2000);
    new MersenneTwister(generator.state.slice()).uniform(out, -2, 3);
    expect(out).toEqual(withGenerator(generator, () => rand([2000], -2, 3)).data);
  });
});

describe("the plain matrix products", () => {
  it.each([
    [1, 1, 1],
    [4, 5, 3],
    [7, 65, 10],
    [63, 7, 33],
  ])("are those of the library at %i×%i×%i", (m, k, n) => {
    const generator = new Generator(5);
    const [a, b] = withGenerator(generator, () => [randn([m, k]), randn([k, n])]);
    const expected = a.matmul(b).data;
    const [turnedA, turnedB] = [turned(a.data, m, k), turned(b.data, k, n)];
    const out = () => new Float32Array(m * n);
    const [nn, nt, tn] = [out(), out(), out()];
    matmul(a.data, b.data, nn, m, k, n, new Float32Array(k * n));
    matmulNt(a.data, turnedB, nt, m, k, n);
    matmulTn(turnedA, b.data, tn, m, k, n, new Float32Array(m * k), new Float32Array(k * n));
    for (const product of [nn, nt, tn]) expect(distance(expected, product)).toBeLessThan(TOLERANCE);
  });
});

function turned(x: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from({ length: x.length }, (_, i) => x[(i % rows) * columns + Math.floor(i / rows)]);
}
