import {
  createNetwork,
  frozen,
  Generator,
  getNumThreads,
  MODELS,
  randint,
  randn,
  step,
  TensorDataset,
  trainTeacher,
  withGenerator,
} from "distillery";
import { withThreadsAsync } from "./library.js";
import { type Estimate, estimate, takeTurns } from "./measure.js";
import type { ConvolutionRow } from "./results.js";
import { type Paced, PacedRun, pacedCalls, warmUp } from "./steps/paced_run.js";

/** The networks whose training is measured, on images of CIFAR's size in 100 classes. */
export const TRAINED = ["resnet20", "resnet8x4", "wrn_16_2", "vgg8", "MobileNetV2"] as const;
/** The teacher whose forward pass is measured. */
export const TEACHER = "resnet32x4";

const ROWS = 64;
const SHAPE = [3, 32, 32] as const;
const CLASSES = 100;
const STEPS_PER_EPOCH = 2;

/** A run that trains a network by SGD with momentum. */
export function startTraining(name: string): Promise<Paced> {
  const { network, data } = withGenerator(new Generator(0), () => ({
    network: createNetwork(`${name}()`, { shape: SHAPE, classes: CLASSES }),
    data: images(STEPS_PER_EPOCH * ROWS),
  }));
  const options = {
    lr: 0.01,
    schedule: "constant",
    optimizer: "sgd(momentum=0.9)",
    weightDecay: 5e-4,
    maxGradNorm: 1e9,
    epochs: 100_000,
  };
  return PacedRun.of(STEPS_PER_EPOCH, (controls) =>
    trainTeacher({ ...controls, ...options, model: network, data, batchSize: ROWS, shuffle: false }),
  );
}

/** Passes of the frozen teacher over a batch, as a run makes them. */
export async function startPasses(): Promise<Paced> {
  const { network, data } = withGenerator(new Generator(0), () => ({
    network: createNetwork(`${TEACHER}()`, { shape: SHAPE, classes: CLASSES }),
    data: images(ROWS),
  }));
  const teacher = frozen(network.freeze());
  teacher.open?.({ data, taps: [] });
  return pacedCalls(() => step(() => void teacher.outputs(data.slice(0, ROWS))));
}

/** Measures steps and passes with one thread and with all, in turns of an epoch. */
export async function* measureConvolution(
  { trained, passes, rounds }: { trained: readonly string[]; passes: boolean; rounds: number },
  turnMs: number,
  peakGflops: number,
): AsyncGenerator<ConvolutionRow> {
  const counts = [...new Set([1, getNumThreads()])];
  const measure = async (name: string, flops: number, run: Paced): Promise<ConvolutionRow> => {
    await warmUp(run, turnMs);
    const turns = counts.map((threads) => () => withThreadsAsync(threads, () => run.epoch()));
    const [oneThread, allThreads = oneThread] = (await takeTurns(rounds, turns)).map(estimate) as [Estimate, Estimate?];
    await run.stop();
    return { name, flops, oneThread, allThreads, shareOfPeak: flops / allThreads.median / 1e6 / peakGflops };
  };
  // A gradient by the weight and one by the input cost a pass each; that the first layer needs none by its input is
  // left out.
  for (const name of trained) yield await measure(`step of ${name}`, 3 * passFlops(name), await startTraining(name));
  if (passes) yield await measure(`forward of the frozen ${TEACHER}`, passFlops(TEACHER), await startPasses());
}

/** The multiplications and additions of a pass over a batch. */
function passFlops(name: string): number {
  const { size } = MODELS.get(name);
  if (size === undefined) throw new Error(`${name}: expected to know its cost`);
  return 2 * ROWS * size.multiplyAdds;
}

function images(samples: number): TensorDataset {
  return new TensorDataset(randn([samples, ...SHAPE]), randint(0, CLASSES, [samples]), { classes: CLASSES });
}
