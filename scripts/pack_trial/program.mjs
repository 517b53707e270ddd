// The script's first epoch, its line and its student, written and read back.
import {
  AdamW,
  clipGradNorm,
  formatEpoch,
  kdLoss,
  load,
  manualSeed,
  noGrad,
  OneCycleLR,
  randint,
  randn,
  StudentNet,
  save,
  TeacherNet,
} from "distillery";

manualSeed(0);
const teacher = new TeacherNet().freeze();
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
const x = randn([1024, 784]);
const y = randint(0, 10, [1024]);
let sum = 0;
for (let i = 0; i < 1024; i += 64) {
  const inputs = x.slice(i, i + 64);
  const teacherLogits = noGrad(() => teacher.forward(inputs));
  const loss = kdLoss(student.forward(inputs), teacherLogits, y.slice(i, i + 64), { temperature: 3.5, alpha: 0.6 });
  optimizer.zeroGrad();
  loss.backward();
  clipGradNorm(student.parameters(), 1);
  optimizer.step();
  scheduler.step();
  sum += loss.item();
}
await save(student.stateDict(), "student.pth");
new StudentNet().loadStateDict(await load("student.pth"));
console.log(
  formatEpoch("KD Loss", { epoch: 1, epochs: 150, lr: scheduler.getLastLr()[0], metrics: { loss: sum / 16 } }),
);
