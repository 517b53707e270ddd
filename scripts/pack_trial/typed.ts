// What a typed program uses, to be compiled and not run.
import {
  AdamW,
  crossEntropy,
  DataLoader,
  DistilleryError,
  distill,
  type ErrorCode,
  evaluate,
  F,
  Linear,
  load,
  loadImages,
  Module,
  networkFrom,
  randint,
  randn,
  save,
  type Tensor,
  TensorDataset,
} from "distillery";

class Tiny extends Module {
  readonly fc1 = new Linear(784, 64);
  readonly fc2 = new Linear(64, 10);
  override forward(x: Tensor): Tensor {
    return this.fc2.forward(F.relu(this.fc1.forward(x)));
  }
}

const student = new Tiny();
const optimizer = new AdamW(student.parameters(), { lr: 1e-3 });
const loss: number = crossEntropy(student.forward(randn([4, 784])), randint(0, 10, [4])).item();
optimizer.step();
try {
  student.loadStateDict(await load("student.pth"));
  await save(student.stateDict(), "student.safetensors");
} catch (error) {
  const code: ErrorCode | undefined = error instanceof DistilleryError ? error.code : undefined;
  console.error(code, loss);
}
const { train, test } = await loadImages("fashion-mnist");
const abort = new AbortController();
await distill({ teacher: new Tiny(), student, data: train, epochs: 1, signal: abort.signal });
// What is not given may be undefined.
const { number, flag, text }: { number?: number; flag?: boolean; text?: string } = {};
const { classNames, targetScale } = train;
const data = new TensorDataset(randn([4, 784]), Int32Array.of(0, 1, 2, 3), {
  classNames,
  targetScale,
});
new DataLoader(data, { batchSize: number, shuffle: flag });
await distill({
  teacher: student,
  student,
  data,
  epochs: number,
  validation: test,
  out: text,
  resume: flag,
  onEnd: undefined,
});
networkFrom(await load("student.pth"), { network: text, classes: number });
optimizer.addParamGroup({ params: student.fc1.weight, lr: number });
evaluate(student, data, { batchSize: number });
const accuracy: number = evaluate(student, test).accuracy;
// @ts-expect-error: sizes are numbers
new Linear("784", accuracy);
