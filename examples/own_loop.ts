/**
 * A training loop and a loss of your own, written with tensor operations. The student learns from the teacher's logits
 * alone, by their mean squared error (Ba and Caruana, 2014). `step` pools buffers across steps; `prefetch` computes the
 * frozen teacher's logits for the next batches meanwhile. Fails if the student misses its target:
 * `node examples/own_loop.ts [TARGET]`.
 */
import {
  AdamW,
  DataLoader,
  frozen,
  IntTensor,
  Linear,
  manualSeed,
  OneCycleLR,
  prefetch,
  ReLU,
  randn,
  Sequential,
  step,
  type Tensor,
  TensorDataset,
} from "distillery";

const TARGET = Number(process.argv[2] ?? 0.01);
const [EPOCHS, SAMPLES, BATCH] = [40, 512, 32];

/** The mean over all elements of (a - b)². The library has it as `F.mseLoss`. */
function meanSquaredError(a: Tensor, b: Tensor): Tensor {
  return a.sub(b).pow(2).mean();
}

manualSeed(0);
const network = new Sequential(new Linear(8, 64), new ReLU(), new Linear(64, 4)).freeze();
const student = new Sequential(new Linear(8, 32), new ReLU(), new Linear(32, 4));
// The loss reads no labels.
const data = new TensorDataset(randn([SAMPLES, 8]), new IntTensor(new Int32Array(SAMPLES)), { classes: 4 });
const loader = new DataLoader(data, { batchSize: BATCH, shuffle: true });
const optimizer = new AdamW(student.parameters(), { lr: 1e-2, weightDecay: 0 });
const scheduler = new OneCycleLR(optimizer, { maxLr: 1e-2, epochs: EPOCHS, stepsPerEpoch: loader.length });
const teacher = frozen(network);

let error = Number.POSITIVE_INFINITY;
for (let epoch = 1; epoch <= EPOCHS; epoch++) {
  let sum = 0;
  for (const { inputs, teacher: outputs } of prefetch(loader, teacher)) {
    sum += step(() => {
      const loss = meanSquaredError(student.forward(inputs), outputs.logits);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      scheduler.step();
      return loss.item();
    });
  }
  error = sum / loader.length;
  if (epoch % 10 === 0) console.log(`epoch ${epoch}: mean squared error ${error.toFixed(5)}`);
}
if (error > TARGET) {
  console.error(`the student's error is above its target of ${TARGET}`);
  process.exitCode = 1;
}
