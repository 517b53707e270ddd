/**
 * Networks of your own: a wide teacher learns which of two spirals a point is on, and a student of a sixtieth of its
 * size learns it from the teacher. Fails if the student misses its target on points that neither has seen:
 * `node examples/own_network.ts [TARGET]`.
 */
import {
  cat,
  type Dataset,
  distill,
  evaluate,
  Linear,
  Module,
  manualSeed,
  Parameter,
  rand,
  randn,
  type Tensor,
  TensorDataset,
  tensor,
  trainTeacher,
} from "distillery";

const TARGET = Number(process.argv[2] ?? 0.95);

/** Two layers with residual blocks between them. */
class Teacher extends Module {
  readonly fc1 = new Linear(2, 128);
  readonly blocks = [new Linear(128, 128), new Linear(128, 128)];
  readonly fc2 = new Linear(128, 2);

  override forward(x: Tensor): Tensor {
    const h = this.blocks.reduce((h, block) => h.add(block.forward(h).relu()), this.fc1.forward(x).relu());
    return this.fc2.forward(h);
  }
}

/** The inputs and their squares as features, then experts that a softmax gate weighs; autograd finds the gradients. */
class Student extends Module {
  static readonly experts = 4;
  static readonly hidden = 24;
  readonly up: Parameter;
  readonly bias: Parameter;
  readonly gate: Linear;
  readonly down: Linear;
  readonly scale = new Parameter(new Float32Array(1).fill(1));

  constructor() {
    super();
    const width = Student.experts * Student.hidden;
    this.up = new Parameter(randn([4, width]).mul(0.7).data, [4, width]);
    this.bias = new Parameter(rand([width], -1, 1).data);
    this.gate = new Linear(4, Student.experts);
    this.down = new Linear(Student.hidden, 2);
  }

  override forward(x: Tensor): Tensor {
    const experts = Student.experts;
    const features = cat([x, x.mul(x)], 1);
    const hidden = features.matmul(this.up).add(this.bias).relu();
    const logits = this.down.forward(hidden.reshape([-1, experts, Student.hidden]));
    const weights = this.gate.forward(features).softmax().unsqueeze(2);
    return logits.mul(weights).sum(1).mul(this.scale);
  }
}

/** Points on two arms that wind around each other, with a little noise. */
function spirals(points: number): Dataset {
  const [position, noise] = [rand([points]).data, randn([points, 2]).mul(0.02).data];
  const labels = Int32Array.from({ length: points }, (_, i) => i % 2);
  const inputs = Array.from(labels, (label, i) => {
    const turn = position[i] * 1.25 * 2 * Math.PI;
    const radius = 0.2 + turn / (2 * Math.PI);
    const angle = turn + label * Math.PI;
    return [radius * Math.cos(angle) + noise[2 * i], radius * Math.sin(angle) + noise[2 * i + 1]];
  });
  return new TensorDataset(tensor(inputs), labels, { name: "spirals" });
}

manualSeed(0);
const [train, test] = [spirals(2000), spirals(1000)];

const teacher = new Teacher();
await trainTeacher({ model: teacher, data: train, epochs: 15, lr: 3e-3 });

const student = new Student();
const { history } = await distill({ teacher, student, data: train, epochs: 30, lr: 1e-2, temperature: 2 });

const { accuracy, teacherAccuracy, agreement } = evaluate(student, test, { teacher });
console.log(`loss ${history[0]?.metrics.loss?.toFixed(4)} -> ${history.at(-1)?.metrics.loss?.toFixed(4)}`);
console.log(`teacher: ${teacher.parameterCount()} parameters, accuracy ${teacherAccuracy}`);
console.log(`student: ${student.parameterCount()} parameters, accuracy ${accuracy}, agreement ${agreement}`);
if (accuracy < TARGET) {
  console.error(`the student's accuracy is below its target of ${TARGET}`);
  process.exitCode = 1;
}
