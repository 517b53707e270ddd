// A run in its own process: `node child.js MODE EPOCHS THREADS` distils and prints its times as one line of JSON.
import { distill, Generator, StudentNet, setNumThreads, synthetic, TeacherNet, withGenerator } from "distillery";

const [mode = "train", epochs = "1", threads = "1"] = process.argv.slice(2);
setNumThreads(Number(threads));
let firstStepAt: number | null = null;

const begun = performance.now();
await withGenerator(new Generator(0), () =>
  distill({
    teacher: new TeacherNet().freeze(),
    student: new StudentNet(),
    data: synthetic(),
    teacherMode: mode === "train" ? "train" : "eval",
    shuffle: false,
    epochs: Number(epochs),
    onStep: () => {
      firstStepAt ??= performance.timeOrigin + performance.now();
    },
  }),
);
const distillSeconds = (performance.now() - begun) / 1000;
console.log(JSON.stringify({ firstStepAt, distillSeconds }));
