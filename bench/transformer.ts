import { Generator, randint, TensorDataset, TextTransformer, trainTeacher, withGenerator } from "distillery";
import { type Paced, PacedRun } from "./steps/paced_run.js";

const [ROWS, LENGTH, BUCKETS, CLASSES, STEPS_PER_EPOCH] = [32, 64, 1000, 10, 2];

/** A run that trains a transformer's encoder by SGD on texts of 64 tokens without padding. */
export function startTransformer(): Promise<Paced> {
  const { network, data } = withGenerator(new Generator(0), () => ({
    network: new TextTransformer({
      layers: 2,
      dim: 128,
      heads: 4,
      dropout: 0,
      buckets: BUCKETS,
      length: LENGTH,
      classes: CLASSES,
    }),
    data: texts(STEPS_PER_EPOCH * ROWS),
  }));
  const options = {
    lr: 0.01,
    schedule: "constant",
    optimizer: "sgd",
    weightDecay: 0,
    maxGradNorm: 1e9,
    epochs: 100_000,
  };
  return PacedRun.of(STEPS_PER_EPOCH, (controls) =>
    trainTeacher({ ...controls, ...options, model: network, data, batchSize: ROWS, shuffle: false }),
  );
}

function texts(samples: number): TensorDataset {
  return new TensorDataset(randint(1, BUCKETS, [samples, LENGTH]).float(), randint(0, CLASSES, [samples]), {
    classes: CLASSES,
  });
}
