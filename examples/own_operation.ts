/**
 * An operation with a gradient of your own, as `torch.autograd.Function`: a student whose weights have 4 bits is
 * trained through the rounding (straight-through estimator). Fails if it misses its target:
 * `node examples/own_operation.ts [TARGET]`.
 */
import {
  defineFunction,
  distill,
  evaluate,
  F,
  Linear,
  Module,
  manualSeed,
  ReLU,
  randint,
  randn,
  Sequential,
  type Tensor,
  TensorDataset,
  tensor,
  trainTeacher,
} from "distillery";

const TARGET = Number(process.argv[2] ?? 0.9);
const [FEATURES, CLASSES] = [16, 6];

/** Rounds to the nearest whole number; the gradient passes as if it had not. */
const round = defineFunction({
  name: "round",
  forward: (_, x: Tensor) => tensor(x.data.map(Math.round), { shape: x.shape }),
  backward: (_, grad) => grad,
});

/** A linear layer whose weights are whole multiples, -7 to 7, of one number. */
class Linear4Bit extends Module {
  readonly full: Linear;

  constructor(inFeatures: number, outFeatures: number) {
    super();
    this.full = new Linear(inFeatures, outFeatures);
  }

  override forward(x: Tensor): Tensor {
    const scale = this.full.weight.detach().abs().max().div(7);
    return F.linear(x, round(this.full.weight.div(scale)).mul(scale), this.full.bias);
  }
}

manualSeed(0);
const centers = randn([CLASSES, FEATURES]);
const [train, test] = [1500, 1000].map((points) => {
  const labels = randint(0, CLASSES, [points]);
  return new TensorDataset(centers.indexSelect(0, labels).add(randn([points, FEATURES])), labels, { classes: CLASSES });
});

const teacher = new Sequential(new Linear(FEATURES, 96), new ReLU(), new Linear(96, CLASSES));
await trainTeacher({ model: teacher, data: train, epochs: 10, lr: 5e-3 });
const student = new Sequential(new Linear4Bit(FEATURES, 12), new ReLU(), new Linear4Bit(12, CLASSES));
await distill({ teacher, student, data: train, epochs: 15, lr: 1e-2, temperature: 2 });

const { accuracy, teacherAccuracy } = evaluate(student, test, { teacher });
console.log(`teacher: accuracy ${teacherAccuracy}`);
console.log(`student of 4 bits: accuracy ${accuracy}`);
if (accuracy < TARGET) {
  console.error(`the student's accuracy is below its target of ${TARGET}`);
  process.exitCode = 1;
}
