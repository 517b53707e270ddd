/**
 * Losses in distill(), written with tensor operations: decoupled knowledge distillation (Zhao et al., 2022) and the
 * cosine of hidden features. Its metrics are in the epoch records and all logs. Fails if the student misses its target:
 * `node examples/own_loss.ts [TARGET]`.
 */
import {
  cat,
  crossEntropyDistillationLoss,
  type Dataset,
  type DistillationLoss,
  distill,
  evaluate,
  F,
  Linear,
  Module,
  manualSeed,
  Parameter,
  randint,
  randn,
  splitDataset,
  type Tensor,
  TensorDataset,
  trainTeacher,
  weightedSum,
  where,
} from "distillery";

const TARGET = Number(process.argv[2] ?? 0.9);
const [FEATURES, CLASSES] = [16, 6];

/** Normalizes each row, as `torch.nn.LayerNorm`, in plain lines. */
class RowNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(width: number) {
    super();
    this.weight = new Parameter(new Float32Array(width).fill(1));
    this.bias = new Parameter(new Float32Array(width));
  }

  override forward(x: Tensor): Tensor {
    const centered = x.sub(x.mean(-1, true));
    const variance = centered.mul(centered).mean(-1, true);
    return centered.mul(variance.add(1e-5).rsqrt()).mul(this.weight).add(this.bias);
  }
}

class Net extends Module {
  readonly fc1: Linear;
  readonly norm: RowNorm;
  readonly fc2: Linear;

  constructor(width: number) {
    super();
    this.fc1 = new Linear(FEATURES, width);
    this.norm = new RowNorm(width);
    this.fc2 = new Linear(width, CLASSES);
  }

  override forward(x: Tensor): Tensor {
    return this.fc2.forward(F.gelu(this.norm.forward(this.fc1.forward(x))));
  }
}

/** Decoupled knowledge distillation: the target class against the rest, and the other classes among themselves. */
function dkd({ alpha = 1, beta = 2, temperature = 4 } = {}): DistillationLoss {
  return {
    name: "dkd",
    needsTeacher: true,
    config: () => ({ name: "dkd", alpha, beta, temperature }),
    compute({ student, teacher, labels }) {
      if (labels === null) throw new Error("dkd: needs labels");
      const target = F.oneHot(labels, CLASSES);
      const targetAndRest = (logits: Tensor) => {
        const p = where(target, logits.div(temperature).softmax(), 0).sum(1, true);
        return cat([p, p.neg().add(1)], 1);
      };
      const others = (logits: Tensor) => where(target, -1000, logits.div(temperature));
      const kl = (student: Tensor, teacher: Tensor) =>
        F.klDiv(student, teacher, { reduction: "batchmean" }).mul(temperature ** 2);
      const targetPart = kl(targetAndRest(student.logits).log(), targetAndRest(teacher.logits));
      const otherPart = kl(F.logSoftmax(others(student.logits)), others(teacher.logits).softmax());
      const loss = targetPart.mul(alpha).add(otherPart.mul(beta));
      return { loss, metrics: { targetPart: targetPart.item(), otherPart: otherPart.item() } };
    },
  };
}

/** One minus the cosine of hidden features; a trained projection maps the student's features to the teacher's width. */
function hiddenCosine(studentWidth: number, teacherWidth: number): DistillationLoss {
  const projection = new Linear(studentWidth, teacherWidth);
  return {
    name: "hidden-cosine",
    taps: { student: ["norm"], teacher: ["norm"] },
    modules: { projection },
    needsTeacher: true,
    config: () => ({ name: "hidden-cosine" }),
    compute({ student, teacher }) {
      const cosine = F.cosineSimilarity(projection.forward(student.taps.norm), teacher.taps.norm, { dim: 1 }).mean();
      return { loss: cosine.neg().add(1), metrics: { cosine: cosine.item() } };
    },
  };
}

/** Points around the centers of the classes. */
function clusters(centers: Tensor, points: number): Dataset {
  const labels = randint(0, CLASSES, [points]);
  return new TensorDataset(centers.indexSelect(0, labels).add(randn([points, FEATURES])), labels, { classes: CLASSES });
}

manualSeed(0);
const centers = randn([CLASSES, FEATURES]);
const { train, heldOut: validation } = splitDataset(clusters(centers, 1500), { fraction: 0.2 });
const test = clusters(centers, 1000);

const teacher = new Net(96);
await trainTeacher({ model: teacher, data: train, epochs: 10, lr: 5e-3 });

const student = new Net(8);
const loss = weightedSum([
  [1, crossEntropyDistillationLoss()],
  [1, dkd()],
  [0.5, hiddenCosine(8, 96)],
]);
const { history, best } = await distill({ teacher, student, data: train, validation, loss, epochs: 15, lr: 1e-2 });
if (best !== null) student.loadStateDict(best.state);

for (const [name, value] of Object.entries(history.at(-1)?.metrics ?? {})) console.log(`${name}: ${value.toFixed(4)}`);
const { accuracy, teacherAccuracy } = evaluate(student, test, { teacher });
console.log(`teacher: ${teacher.parameterCount()} parameters, accuracy ${teacherAccuracy}`);
console.log(`student: ${student.parameterCount()} parameters, accuracy ${accuracy}`);
if (accuracy < TARGET) {
  console.error(`the student's accuracy is below its target of ${TARGET}`);
  process.exitCode = 1;
}
