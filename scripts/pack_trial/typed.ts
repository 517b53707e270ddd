// What a typed program uses, to be compiled and not run.
import {
  AdamW,
  crossEntropy,
  DistilleryError,
  distill,
  type ErrorCode,
  evaluate,
  F,
  Linear,
  load,
  loadImages,
  Module,
  randint,
  randn,
  save,
  type Tensor,
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
const accuracy: number = evaluate(student, test).accuracy;
// @ts-expect-error: sizes are numbers
new Linear("784", accuracy);
