import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import {
  augment,
  type Batch,
  BatchNorm1d,
  type Dataset,
  Dropout,
  Generator,
  getNumThreads,
  Linear,
  ReLU,
  Sequential,
  setNumThreads,
  synthetic,
  TeacherNet,
  withGenerator,
} from "../../src/index.js";
import { native } from "../../src/native.js";
import { FrozenCopy } from "../../src/train/frozen_copy.js";
import { EXAMPLES, type Options, SIZES, STEPS, start } from "./support.js";

/** Networks that compute the same, but might compute anything: they are asked by their `forward`. */
class OwnTeacher extends TeacherNet {}
class OwnSequential extends Sequential {}

const threads = getNumThreads();
let begun: MockInstance<typeof native.frozenBegin>;
let answered: MockInstance<typeof native.frozenAnswer>;
beforeEach(() => {
  setNumThreads(2);
  begun = vi.spyOn(native, "frozenBegin");
  answered = vi.spyOn(native, "frozenAnswer");
});
afterEach(() => {
  setNumThreads(threads);
  vi.restoreAllMocks();
});

const guesses = () => answered.mock.results.map(({ value }) => value as boolean);
const EPOCHS = 3;
const data = () => synthetic({ samples: EXAMPLES, features: SIZES.inFeatures, classes: SIZES.classes });

/** Runs with a teacher of a known class and one of a class of one's own: both end the same, to the bit. */
async function expectSame(options: (teacher: TeacherNet) => Options): Promise<void> {
  const ends = [TeacherNet, OwnTeacher].map((Class) => {
    const own = withGenerator(new Generator(11), () => {
      const teacher = new Class({ ...SIZES, hidden: [12, 10, 8] }).freeze();
      return { teacher, ...options(teacher) };
    });
    return start(own, 3).end;
  });
  expect(await ends[0]).toEqual(await ends[1]);
}

describe("a teacher that is asked ahead answers with the bits of its forward", () => {
  test("in train mode", async () => {
    await expectSame(() => ({ teacherMode: "train" }));
    expect(guesses()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("in train mode, in the data's own order", async () => {
    await expectSame(() => ({ teacherMode: "train", shuffle: false }));
    expect(guesses()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("in eval mode", async () => {
    await expectSame(() => ({ teacherCache: false }));
    expect(guesses()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test.each(["train", "eval"] as const)("of data that are augmented, in %s mode", async (teacherMode) => {
    await expectSame(() => ({ teacherMode, data: augment(data(), { noise: 0.3 }) }));
    expect(guesses()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("as a Sequential, with and without dropout", async () => {
    const ends = [Sequential, OwnSequential].map((Class) => {
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
    expect(guesses()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });

  test("where its statistics are moved by hand in train mode, which no answer depends on", async () => {
    await expectSame((teacher) => ({ teacherMode: "train", onStep: () => teacher.bn2.runningMean.data.fill(2) }));
    expect(guesses()).toEqual(Array(EPOCHS * STEPS).fill(true));
  });
});

describe("an answer that was begun with something else is not used", () => {
  test("where the student draws random numbers too; then none is begun any more", async () => {
    await expectSame(() => ({
      teacherMode: "train",
      student: new Sequential(new Linear(6, 8), new Dropout(0.5), new Linear(8, 3)),
    }));
    expect(guesses()).toEqual([...[true, false, true, false], ...[true, false], ...Array(6).fill(false)]);
  });

  test("where the statistics are moved by hand in eval mode", async () => {
    await expectSame((teacher) => ({
      teacherCache: false,
      onStep: ({ step }) => void (step === 2 && teacher.bn2.runningMean.data.fill(2)),
    }));
    expect(guesses()).toEqual([true, true, false, ...Array(EPOCHS * STEPS - 3).fill(true)]);
  });

  test("where the teacher is trained meanwhile: from then on it is asked by its forward", async () => {
    await expectSame((teacher) => ({
      teacherMode: "train",
      onStep: ({ step }) => {
        if (step === 6) for (const { data } of teacher.parameters()) data.set(data.map((x) => 0.9 * x));
      },
    }));
    expect(guesses()).toHaveLength(6);
  });
});

test("the copy of a teacher is let go when its run ends, also by an error", async () => {
  const released = vi.spyOn(native, "frozenRelease");
  await start({ teacherMode: "train" }).end;
  expect(released).toHaveBeenCalledTimes(1);
  const onStep = () => {
    throw new Error("tea time");
  };
  await expect(start({ teacherMode: "train", onStep }).done).rejects.toThrow("tea time");
  expect(released).toHaveBeenCalledTimes(2);
});

describe("no answer is begun", () => {
  test("where teacher and student share a layer", async () => {
    await expectSame((teacher) => ({
      teacherMode: "train",
      student: new Sequential(new Linear(6, 8), new ReLU(), teacher.fc4),
    }));
    expect(answered).not.toHaveBeenCalled();
  });

  test("where a data set of one's own might count on being asked once for each batch", async () => {
    const inner = data();
    let asked = 0;
    const own: Dataset = {
      ...{ name: "own", length: inner.length, features: inner.features, classes: inner.classes },
      batch: (indices): Batch => {
        asked += 1;
        return inner.batch(indices);
      },
      slice: (from, to) => inner.slice(from, to),
      fingerprint: () => inner.fingerprint(),
    };
    await start({ teacherMode: "train", data: own }).end;
    expect(asked).toBe(EPOCHS * STEPS);
    expect(begun).not.toHaveBeenCalled();
  });

  test("of batches so large that their kernels use all threads", async () => {
    const bytes = vi.spyOn(FrozenCopy.prototype, "passBytes").mockReturnValue(129e6);
    const large = await start({ teacherMode: "train" }).end;
    expect(begun).not.toHaveBeenCalled();
    bytes.mockRestore();
    expect(await start({ teacherMode: "train" }).end).toEqual(large);
    expect(begun).toHaveBeenCalledTimes(EPOCHS * STEPS);
    const teacher = new TeacherNet({ inFeatures: 6, hidden: [12, 10, 8], classes: 3 });
    expect(FrozenCopy.of(teacher)?.passBytes(100)).toBe(4 * 100 * (6 + 3 * 12));
  });

  test("on one thread, with the same bits", async () => {
    const two = await start({ teacherMode: "train" }).end;
    begun.mockClear();
    setNumThreads(1);
    expect(await start({ teacherMode: "train" }).end).toEqual(two);
    expect(begun).not.toHaveBeenCalled();
  });
});
