/**
 * A loop and a loss of one's own, written with tensor operations; the tape finds the gradients. The student learns from
 * the teacher's logits alone, by their mean squared distance (Ba and Caruana, 2014). Fails when it does not come near: `node own_loop.js [TARGET]`.
 */
import {
  AdamW,
  Linear,
  manualSeed,
  noGrad,
  OneCycleLR,
  ReLU,
  randn,
  randperm,
  Sequential,
  type Tensor,
} from "distillery";

const TARGET = Number(process.argv[2] ?? 0.01);
const [EPOCHS, EXAMPLES, BATCH] = [40, 512, 32];

/** The mean over all elements of (a - b)². */
function squaredDistance(a: Tensor, b: Tensor): Tensor {
  const difference = a.add(b.mul(-1));
  return difference.mul(difference).mean();
}

manualSeed(0);
const teacher = new Sequential(new Linear(8, 64), new ReLU(), new Linear(64, 4)).freeze();
const student = new Sequential(new Linear(8, 32), new ReLU(), new Linear(32, 4));
const x = randn([EXAMPLES, 8]);
const optimizer = new AdamW(student.parameters(), { lr: 1e-2, weightDecay: 0 });
const scheduler = new OneCycleLR(optimizer, { maxLr: 1e-2, epochs: EPOCHS, stepsPerEpoch: EXAMPLES / BATCH });

let distance = Number.POSITIVE_INFINITY;
for (let epoch = 1; epoch <= EPOCHS; epoch++) {
  // The same batches each epoch, in a new order.
  const order = randperm(EXAMPLES / BATCH).data;
  let sum = 0;
  for (const batch of order) {
    const inputs = x.slice(batch * BATCH, (batch + 1) * BATCH);
    const targets = noGrad(() => teacher.forward(inputs));
    const loss = squaredDistance(student.forward(inputs), targets);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    scheduler.step();
    sum += loss.item();
  }
  distance = sum / order.length;
  if (epoch % 10 === 0) console.log(`epoch ${epoch}: mean squared distance ${distance.toFixed(5)}`);
}
if (distance > TARGET) {
  console.error(`the student is further from the teacher than ${TARGET}`);
  process.exitCode = 1;
}
