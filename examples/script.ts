/** The reference script, number for number: `node examples/script.ts [FILE]` saves the student, else as student.pth. */
import {
  AdamW,
  clipGradNorm,
  DataLoader,
  frozen,
  kdLoss,
  manualSeed,
  OneCycleLR,
  prefetch,
  randint,
  randn,
  StudentNet,
  save,
  step,
  TeacherNet,
  TensorDataset,
} from "distillery";

manualSeed(0);
const teacher = frozen(new TeacherNet(), { mode: "train" });
const student = new StudentNet();
const optimizer = new AdamW(student.parameters(), { lr: 6e-4, weightDecay: 1e-5 });
const scheduler = new OneCycleLR(optimizer, {
  maxLr: 6e-4,
  epochs: 150,
  stepsPerEpoch: 16,
  pctStart: 0.3,
  divFactor: 20,
  finalDivFactor: 100,
});
const data = new TensorDataset(randn([1024, 784]), randint(0, 10, [1024]));
const loader = new DataLoader(data, { batchSize: 64 });
for (let epoch = 0; epoch < 150; epoch++)
  for (const { inputs, labels, teacher: outputs } of prefetch(loader, teacher))
    step(() => {
      const loss = kdLoss(student.forward(inputs), outputs.logits, labels, { temperature: 3.5, alpha: 0.6 });
      optimizer.zeroGrad();
      loss.backward();
      clipGradNorm(student.parameters(), 1.0);
      optimizer.step();
      scheduler.step();
    });
await save(student.stateDict(), process.argv[2] ?? "student.pth");
