import { join } from "node:path";
import { expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  crossEntropy,
  Generator,
  type IntTensor,
  type StepRecord,
  TeacherNet,
  type Tensor,
  type TrainingOptions,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, mean, SIZES, setting, timeless, trainByHand } from "./support.js";

const folder = temporaryFolder();

function network(): TeacherNet {
  return new TeacherNet({ ...SIZES, hidden: [12, 10, 8] });
}

test.each<[string, TrainingOptions]>([
  ["shuffled", {}],
  ["in order", { shuffle: false }],
  ["other numbers", { lr: 3e-4, weightDecay: 0.1, maxGradNorm: 0.05, batchSize: 25, epochs: 2 }],
])("trainTeacher is the loop that one would write by hand, to the bit: %s", async (_, options) => {
  const generator = new Generator(4);
  const [model, data] = withGenerator(generator, () => [network(), setting().data]);
  const lossOf = (inputs: Tensor, labels: IntTensor) => crossEntropy(model.forward(inputs), labels);
  const losses = withGenerator(generator, () => trainByHand({ ...options, model, data, lossOf }));

  const other = new Generator(4);
  const [again, same] = withGenerator(other, () => [network(), setting().data]);
  const steps: StepRecord[] = [];
  const { history, files } = await withGenerator(other, () =>
    trainTeacher({
      model: again,
      data: same,
      epochs: 3,
      batchSize: BATCH,
      lr: 0.01,
      ...options,
      onStep: (record) => steps.push(record),
    }),
  );
  expect(steps.map(({ metrics }) => metrics.loss)).toEqual(losses.flat());
  expect(history.map(({ metrics }) => metrics.loss)).toEqual(losses.map(mean));
  expect(fingerprint(again.stateDict())).toBe(fingerprint(model.stateDict()));
  expect([...other.state]).toEqual([...generator.state]);
  expect(history.map((record) => Object.keys(timeless(record)))).toEqual(
    history.map(() => ["epoch", "epochs", "loss", "lr"]),
  );
  expect(files).toEqual([]);
});

test("a teacher in eval mode is trained in train mode, and is in eval mode afterwards", async () => {
  const { data } = setting();
  const model = network().eval();
  const before = model.bn1.numBatchesTracked;
  await trainTeacher({ model, data, epochs: 1, batchSize: BATCH });
  expect(model.bn1.numBatchesTracked).toBe(before + 4);
  expect([model.training, model.dropout1.training]).toEqual([false, false]);
});

test("its files have the name that is given", async () => {
  const train = (name: string) => {
    const { data } = setting();
    return trainTeacher({ model: network(), data, epochs: 1, batchSize: BATCH, out: join(folder, "named"), name });
  };
  const files = ["pth", "safetensors"].map((extension) => join(folder, "named", `student.${extension}`));
  expect((await train("student")).files).toEqual(files);
  const { message } = await failure(train("../student"), "BAD_ARGUMENT");
  expect(message).toBe('name: expected letters, digits, _ and -, got "../student"');
});
