/**
 * A loop and a loss of one's own, written with tensor operations; the tape finds the gradients. The student learns from
 * the teacher's logits alone, by their mean squared distance (Ba and Caruana, 2014). Each step runs in `step`, which uses its
 * arrays again, and the frozen teacher's logits for the next batches are computed meanwhile. Fails if the student does not
 * come near: `node own_loop.js [TARGET]`.
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

/** The mean over all elements of (a - b)². */
function squaredDistance(a: Tensor, b: Tensor): Tensor {
  const difference = a.add(b.mul(-1));
  return difference.mul(difference).mean();
}

manualSeed(0);
const network = new Sequential(new Linear(8, 64), new ReLU(), new Linear(64, 4)).freeze();
const student = new Sequential(new Linear(8, 32), new ReLU(), new Linear(32, 4));
// The labels are not read: the teacher says what is to be learned.
const data = new TensorDataset(randn([SAMPLES, 8]), new IntTensor(new Int32Array(SAMPLES)), { classes: 4 });
const loader = new DataLoader(data, { batchSize: BATCH, shuffle: true });
const optimizer = new AdamW(student.parameters(), { lr: 1e-2, weightDecay: 0 });
const scheduler = new OneCycleLR(optimizer, { maxLr: 1e-2, epochs: EPOCHS, stepsPerEpoch: loader.length });
const teacher = frozen(network);

let distance = Number.POSITIVE_INFINITY;
for (let epoch = 1; epoch <= EPOCHS; epoch++) {
  let sum = 0;
  for (const { inputs, teacher: outputs } of prefetch(loader, teacher)) {
    sum += step(() => {
      const loss = squaredDistance(student.forward(inputs), outputs.logits);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      scheduler.step();
      return loss.item();
    });
  }
  distance = sum / loader.length;
  if (epoch % 10 === 0) console.log(`epoch ${epoch}: mean squared distance ${distance.toFixed(5)}`);
}
if (distance > TARGET) {
  console.error(`the student is further from the teacher than ${TARGET}`);
  process.exitCode = 1;
}
