import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import { FrozenModel } from "../../src/graph/index.js";
import {
  augment,
  type Batch,
  BatchNorm1d,
  type Dataset,
  type DistillationLoss,
  Dropout,
  frozen,
  Generator,
  getNumThreads,
  kdDistillationLoss,
  Linear,
  live,
  ReLU,
  randn,
  Sequential,
  setNumThreads,
  synthetic,
  TeacherNet,
  type Tensor,
  tensor,
  withGenerator,
} from "../../src/index.js";
import { native } from "../../src/native.js";
import { type Options, SAMPLES, SIZES, STEPS, start, timeless } from "../train/support.js";

/** Networks whose forward can't be traced: it runs in each step. */
class LiveTeacher extends TeacherNet {
  override forward(x: Tensor): Tensor {
    return super.forward(tensor(x.data.slice(), { shape: x.shape }));
  }
}
class LiveSequential extends Sequential {
  override forward(x: Tensor): Tensor {
    return super.forward(tensor(x.data.slice(), { shape: x.shape }));
  }
}

const threads = getNumThreads();
let enqueued: MockInstance<typeof native.inferenceEnqueue>;
let taken: MockInstance<typeof native.inferenceTake>;
beforeEach(() => {
  setNumThreads(2);
  enqueued = vi.spyOn(native, "inferenceEnqueue");
  taken = vi.spyOn(native, "inferenceTake");
});
afterEach(() => {
  setNumThreads(threads);
  vi.restoreAllMocks();
});

const hits = () => taken.mock.results.map(({ value }) => value);
/** How many passes were in flight at once. */
function mostInFlight(): number {
  const started = enqueued.mock.invocationCallOrder.map((at) => [at, 1] as const);
  const ended = taken.mock.invocationCallOrder.map((at) => [at, -1] as const);
  let [now, most] = [0, 0];
  for (const [, change] of [...started, ...ended].sort(([a], [b]) => a - b)) {
    now += change;
    most = Math.max(most, now);
  }
  return most;
}
const EPOCHS = 3;
const data = () => synthetic({ samples: SAMPLES, features: SIZES.inFeatures, classes: SIZES.classes });

/** A run with a frozen teacher and one whose forward runs in each step end the same, to the bit. */
async function expectSame(options: (teacher: TeacherNet) => Options): Promise<void> {
  const ends = [TeacherNet, LiveTeacher].map((Class) => {
    const own = withGenerator(new Generator(11), () => {
      const teacher = new Class({ ...SIZES, hidden: [12, 10, 8] }).freeze();
      return { teacher, ...options(teacher) };
    });
    return start(own, 3).end;
  });
  expect(await ends[0]).toEqual(await ends[1]);
}

describe("a prefetched teacher gives the bits of its forward", () => {
  test("in train mode", async () => {
    await expectSame(() => ({ teacherMode: "train" }));
    expect(hits()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("in train mode, in the data's own order", async () => {
    await expectSame(() => ({ teacherMode: "train", shuffle: false }));
    expect(hits()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("in eval mode", async () => {
    await expectSame(() => ({ teacherCache: false }));
    expect(hits()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test.each(["train", "eval"] as const)("data that are augmented, in %s mode", async (teacherMode) => {
    await expectSame(() => ({ teacherMode, data: augment(data(), { noise: 0.3 }) }));
    expect(hits()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("as a Sequential, with and without dropout", async () => {
    const ends = [Sequential, LiveSequential].map((Class) => {
      const teacher = withGenerator(new Generator(11), () => {
        const first = [new Linear(6, 9), new BatchNorm1d(9), new ReLU(), new Dropout(0.4)];
        const second = [
          new Linear(9, 9),
          new BatchNorm1d(9),
          new ReLU(),
          new Linear(9, 5, { bias: false }),
          new ReLU(),
        ];
        return new Class(...first, ...second, new Linear(5, 3)).freeze();
      });
      return start({ teacher, teacherMode: "train" }, 3).end;
    });
    expect(await ends[0]).toEqual(await ends[1]);
    expect(hits()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("its statistics are moved by hand in train mode, which no logits depend on", async () => {
    await expectSame((teacher) => ({ teacherMode: "train", onStep: () => teacher.bn2.runningMean.data.fill(2) }));
    expect(hits()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });
});

test("a student that draws random numbers too: nothing is prefetched", async () => {
  await expectSame(() => ({
    teacherMode: "train",
    student: new Sequential(new Linear(6, 8), new Dropout(0.5), new Linear(8, 3)),
  }));
  expect(mostInFlight()).toBe(1);
});

test("a loss that says that it draws random numbers: nothing is prefetched", async () => {
  const loss: DistillationLoss = {
    ...kdDistillationLoss({ alpha: 0.6 }),
    drawsRandomNumbers: true,
    compute(batch) {
      randn([3]);
      return kdDistillationLoss({ alpha: 0.6 }).compute(batch);
    },
  };
  await expectSame(() => ({ teacherMode: "train", loss }));
  expect(mostInFlight()).toBe(1);
});

test("a frozen teacher is a snapshot: weights and statistics that change during the run do not matter", async () => {
  const { student } = await start({ teacherCache: false }, 3).end;
  const changed = start(
    {
      teacherCache: false,
      onStep: ({ step }) => {
        const teacher = changed.setting.teacher;
        if (step !== 2) return;
        for (const { data } of teacher.parameters()) data.set(data.map((x) => 0.9 * x));
        for (const [, { data }] of teacher.namedBuffers()) if (data instanceof Float32Array) data.fill(2);
      },
    },
    3,
  );
  expect((await changed.end).student).toBe(student);
  expect(hits()).toEqual(Array(2 * EPOCHS * STEPS).fill(true));
});

test.each([
  ["that runs natively", "eval"],
  ["that runs natively", "train"],
  ["that can't be traced", "eval"],
  ["that can't be traced", "train"],
] as const)("frozen(network) %s is a snapshot in %s mode, for the agreement too", async (kind, mode) => {
  const run = async (change: boolean) => {
    const Net = kind === "that runs natively" ? TeacherNet : LiveTeacher;
    const network = withGenerator(new Generator(4), () => new Net({ ...SIZES, hidden: [12, 10, 8] }));
    const validation = withGenerator(new Generator(5), () => synthetic({ samples: 30, features: 6, classes: 3 }));
    const moved: Float32Array[] = [];
    const onStep = ({ step }: { step: number }) => {
      if (step !== 2 || !change) return;
      for (const { data } of network.parameters()) {
        data.set(data.map((x) => x + 1));
        moved.push(data.slice());
      }
      if (mode === "train") return;
      for (const [, { data }] of network.namedBuffers()) if (data instanceof Float32Array) data.fill(2);
    };
    const { history } = await start({ teacher: frozen(network, { mode }) as never, validation, onStep }, 3).done;
    expect(history[0].metrics.agreement).toBeDefined();
    if (change) expect(network.parameters().map(({ data }) => data)).toEqual(moved);
    return history.map(timeless);
  };
  expect(await run(true)).toEqual(await run(false));
});

test("a frozen teacher serves a second run, as its network then is", async () => {
  const network = withGenerator(new Generator(4), () => new TeacherNet({ ...SIZES, hidden: [12, 10, 8] }));
  const teacher = frozen(network) as never;
  const run = async (teacher: never) => (await start({ teacher }, 3).done).history.map(timeless);
  const first = await run(teacher);
  for (const { data } of network.parameters()) data.set(data.map((x) => x + 1));
  const second = await run(teacher);
  expect(hits()).toEqual(Array(2 * EPOCHS * STEPS).fill(true));
  expect(second).not.toEqual(first);
  expect(second).toEqual(await run(live(network) as never));
});

test("a frozen teacher's memory is released when its run ends, also by an error", async () => {
  const released = vi.spyOn(native, "inferenceRelease");
  await start({ teacherMode: "train" }).end;
  expect(released).toHaveBeenCalledTimes(1);
  const onStep = () => {
    throw new Error("tea time");
  };
  await expect(start({ teacherMode: "train", onStep }).done).rejects.toThrow("tea time");
  expect(released).toHaveBeenCalledTimes(2);
});

describe("nothing is prefetched", () => {
  test("if teacher and student share a layer", async () => {
    await expectSame((teacher) => ({
      teacherMode: "train",
      student: new Sequential(new Linear(6, 8), new ReLU(), teacher.fc4),
    }));
    expect(taken).not.toHaveBeenCalled();
  });

  test("if a user's data set might rely on each batch being taken once", async () => {
    const inner = data();
    let batches = 0;
    const own: Dataset = {
      name: "own",
      length: inner.length,
      features: inner.features,
      classes: inner.classes,
      batch: (indices): Batch => {
        batches += 1;
        return inner.batch(indices);
      },
      slice: (from, to) => inner.slice(from, to),
      fingerprint: () => inner.fingerprint(),
    };
    await start({ teacherMode: "train", data: own }).end;
    expect(batches).toBe(EPOCHS * STEPS);
    expect(mostInFlight()).toBe(1);
  });

  test("if batches are so large that their kernels use all threads", async () => {
    const bytes = vi.spyOn(FrozenModel.prototype, "activationBytes").mockReturnValue(129e6);
    const large = await start({ teacherMode: "train" }).end;
    expect(mostInFlight()).toBe(1);
    bytes.mockRestore();
    expect(await start({ teacherMode: "train" }).end).toEqual(large);
    expect(mostInFlight()).toBe(3);
  });

  test("on one thread, with the same bits", async () => {
    const two = await start({ teacherMode: "train" }).end;
    enqueued.mockClear();
    taken.mockClear();
    setNumThreads(1);
    expect(await start({ teacherMode: "train" }).end).toEqual(two);
    expect(mostInFlight()).toBe(1);
  });
});
