/**
 * A trained network adapted to other data: its new output layer is trained alone at first, then all layers, with a
 * smaller learning rate for the old ones; the saved weights are a moving average. Fails if it misses its target:
 * `node examples/fine_tune.ts [TARGET]`.
 */
import {
  AdamW,
  CosineAnnealingLR,
  clipGradNorm,
  crossEntropy,
  DataLoader,
  type Dataset,
  ExponentialMovingAverage,
  evaluate,
  Linear,
  manualSeed,
  ReLU,
  randint,
  randn,
  Sequential,
  step,
  TensorDataset,
  trainTeacher,
} from "distillery";

const TARGET = Number(process.argv[2] ?? 0.85);
const [FEATURES, CLASSES, EPOCHS, FROZEN_EPOCHS, ACCUMULATE] = [16, 6, 16, 4, 2];

/** A classification task: points around random centers, one for each class. */
function clusters(classes: number): (points: number) => Dataset {
  const centers = randn([classes, FEATURES]);
  return (points) => {
    const labels = randint(0, classes, [points]);
    return new TensorDataset(centers.indexSelect(0, labels).add(randn([points, FEATURES])), labels, { classes });
  };
}

manualSeed(0);
const [first, second] = [clusters(10), clusters(CLASSES)];
const backbone = new Sequential(new Linear(FEATURES, 64), new ReLU(), new Linear(64, 32), new ReLU());
await trainTeacher({ model: new Sequential(backbone, new Linear(32, 10)), data: first(2000), epochs: 5, lr: 5e-3 });

const head = new Linear(32, CLASSES);
const model = new Sequential(backbone, head);
const loader = new DataLoader(second(600), { batchSize: 20, shuffle: true });
const optimizer = new AdamW([{ params: backbone.parameters(), lr: 1e-3 }, { params: head.parameters() }], { lr: 1e-2 });
const scheduler = new CosineAnnealingLR(optimizer, { tMax: (EPOCHS * loader.length) / ACCUMULATE });
const average = new ExponentialMovingAverage(model, { decay: 0.95 });

for (let epoch = 0; epoch < EPOCHS; epoch++) {
  if (epoch === 0) backbone.freeze();
  if (epoch === FROZEN_EPOCHS) backbone.unfreeze();
  for (const [i, { inputs, labels }] of [...loader].entries())
    step(() => {
      if (i % ACCUMULATE === 0) optimizer.zeroGrad();
      crossEntropy(model.forward(inputs), labels).div(ACCUMULATE).backward();
      if (i % ACCUMULATE < ACCUMULATE - 1) return;
      clipGradNorm(model.parameters(), 1);
      optimizer.step();
      scheduler.step();
      average.update();
    });
}
model.loadStateDict(average.modelState());

const { accuracy } = evaluate(model, second(1000));
console.log(`accuracy ${accuracy}`);
if (accuracy < TARGET) {
  console.error(`the accuracy is below its target of ${TARGET}`);
  process.exitCode = 1;
}
