/**
 * What soft targets carry: a student learns a class that it never sees (Hinton, Vinyals and Dean, 2015, section 3).
 * Prints a table of errors on the test set; fails if the class's recall misses its target:
 * `node examples/omitted_class.ts [DATA] [OMITTED_CLASS] [EPOCHS] [TARGET]`.
 */
import {
  createNetwork,
  type Dataset,
  distill,
  type Evaluation,
  evaluate,
  labelsOf,
  loadData,
  type Module,
  manualSeed,
  Subset,
  splitDataset,
  trainTeacher,
} from "distillery";

const [source = "fashion-mnist", omitted = "3", epochs = "4", target = "0"] = process.argv.slice(2);
const left = Number(omitted);

manualSeed(0);
const { train: all, test } = await loadData(source);
if (test === null) throw new Error(`${source} has no test part`);
// Held out to choose a bias by; the test set is read at the end.
const { train, heldOut } = splitDataset(all, { fraction: 0.1 });
const transfer = new Subset(
  train,
  Int32Array.from(train.indices.keys()).filter((i) => labelsOf(train)[i] !== left),
);

const context = { shape: [all.features], classes: all.classes };
const options = { epochs: Number(epochs), lr: 2e-3, batchSize: 128 };
const teacher = createNetwork("mlp(hidden=[400, 400], dropout=0.2)", context);
await trainTeacher({ ...options, model: teacher, data: train });

const student = () => createNetwork("mlp(hidden=[200])", context);
const [alone, distilled] = [student(), student()];
await trainTeacher({ ...options, model: alone, data: transfer });
// Without labels: the teacher's probabilities at a high temperature alone.
await distill({ ...options, teacher, student: distilled, data: transfer, loss: "kd(temperature=10)" });

const rows: [string, Evaluation][] = [
  ["teacher, all classes", evaluate(teacher, test)],
  [`student from the labels, no class ${left}`, evaluate(alone, test)],
  [`student distilled, no class ${left}`, evaluate(distilled, test)],
];
const shift = bestBias(distilled, heldOut);
rows.push([`the same, bias of class ${left} + ${shift}`, evaluate(distilled, test)]);

console.log(`${"".padEnd(38)}    errors   of class ${left}   its recall`);
for (const [name, { correct, samples, perClass, confusion }] of rows) {
  const wrong = perClass[left].support - confusion[left][left];
  const recall = `${(100 * perClass[left].recall).toFixed(1)}%`;
  console.log(
    `${name.padEnd(38)}${String(samples - correct).padStart(10)}${String(wrong).padStart(13)}${recall.padStart(13)}`,
  );
}
const recall = rows[3][1].perClass[left].recall;
if (recall < Number(target)) {
  console.error(`the recall of class ${left} is below its target of ${target}`);
  process.exitCode = 1;
}

/** Adds to the bias of the omitted class what makes the student best on a data set; gives how much. */
function bestBias(network: Module, data: Dataset): number {
  const [, bias] = network.namedParameters().at(-1) as [string, { data: Float32Array }];
  const own = bias.data[left];
  const accuracyAt = (shift: number) => {
    bias.data[left] = own + shift;
    return evaluate(network, data).accuracy;
  };
  const shifts = Array.from({ length: 21 }, (_, i) => i / 2);
  const accuracies = shifts.map(accuracyAt);
  const best = shifts[accuracies.indexOf(Math.max(...accuracies))];
  accuracyAt(best);
  return best;
}
