import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import {
  type Dataset,
  type DistillationLoss,
  type DistillInput,
  distill,
  Generator,
  type TeacherBatch,
  type TeacherFunction,
  withGenerator,
} from "../../src/index.js";
import { guarded, type Mpi } from "../../src/mpi.js";
import { native } from "../../src/native.js";
import { Ranks } from "../../src/train/ranks.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, type Ending, type Options, SAMPLES, setting, start, timeless } from "./support.js";

const folder = temporaryFolder();

/** Ranks in this process, whose messages wait until all have sent theirs. */
function ranksHere(size: number): Ranks[] {
  const calls: { messages: (readonly Uint8Array[])[]; done: Promise<void>; arrive: () => void }[] = [];
  const callOf = (i: number) => {
    let arrive = () => {};
    const done = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    calls[i] ??= { messages: [], done, arrive };
    return calls[i];
  };
  const never = (): never => {
    throw new Error("not of this test");
  };
  return Array.from({ length: size }, (_, rank) => {
    let next = 0;
    const mpi: Mpi = {
      start: never,
      stop: never,
      abort: never,
      async exchange(messages) {
        const call = callOf(next++);
        call.messages[rank] = messages;
        if (Object.keys(call.messages).length === size) call.arrive();
        await call.done;
        return call.messages.map((sent) => sent[rank].slice());
      },
    };
    return new Ranks(mpi, rank, size, `host-${rank}`);
  });
}

test("ranks that were stopped are refused, and what MPI says is a DistilleryError", async () => {
  const stopped = new Ranks({ stop() {}, exchange: () => Promise.resolve([]) } as unknown as Mpi, 0, 2, "host");
  stopped.stop();
  const text = "ranks: MPI was stopped, which starts once a process: call stop() after the last run";
  expect((await failure(start({ shards: 8, ranks: stopped }).done, "BAD_ARGUMENT")).message).toBe(text);
  expect(() => stopped.expectJoined()).toThrow(text);

  const fail = (): never => {
    throw new Error("MPI was started before");
  };
  const mpi = guarded({ start: fail, stop: fail, abort: fail, exchange: async () => fail() });
  const calls = [async () => mpi.start(), async () => mpi.stop(), () => mpi.exchange([])];
  for (const call of calls) expect((await failure(call(), "NATIVE")).message).toBe("MPI: MPI was started before");
});

test("ranks have one run at a time", async () => {
  const [ranks] = ranksHere(1);
  const first = start({ shards: 8, ranks });
  const text = "ranks: another run has them: start this one after its end";
  expect((await failure(start({ shards: 8, ranks }).done, "BAD_ARGUMENT")).message).toBe(text);
  await first.done;
  await start({ shards: 8, ranks }).done;
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])("a metric of %s on one rank ends the run on all", async (value) => {
  const loss: DistillationLoss = {
    name: "own",
    needsTeacher: false,
    config: () => ({}),
    compute: ({ student, indices }) => ({
      loss: student.logits.mean(),
      metrics: { x: indices.includes(3) ? value : 1 },
    }),
  };
  const runs = ranksHere(2).map((ranks) => start({ shards: 8, loss, ranks }).done);
  const failures = await Promise.all(runs.map((run) => failure(run, "NON_FINITE")));
  for (const { message } of failures) expect(message).toMatch(/metric x: is not finite/);
});

/** A run whose teacher is a function. */
function startAsking(ask: TeacherFunction, options: Partial<DistillInput>) {
  return withGenerator(new Generator(0), () =>
    distill({ ...setting(), shards: 8, epochs: 2, batchSize: BATCH, ...options, teacher: ask }),
  );
}

test("a function as the teacher is asked by the first rank alone, to the same bits", async () => {
  const asked = [0, 0];
  const logits = ({ indices }: TeacherBatch) => Array.from(indices, (i) => [Math.sin(i), Math.cos(i), 0]);
  const { history } = await startAsking(logits, {});
  const runs = ranksHere(2).map((ranks, rank) => {
    const ask = (batch: TeacherBatch) => {
      asked[rank] += batch.indices.length;
      return logits(batch);
    };
    return startAsking(ask, { out: join(folder, "asked"), ranks });
  });
  for (const run of runs) expect((await run).history.map(timeless)).toEqual(history.map(timeless));
  expect(asked).toEqual([SAMPLES, 0]);
});

test("a first rank that is stopped while it asks the teacher stops all", async () => {
  const runs = ranksHere(2).map((ranks, rank) => {
    const controller = new AbortController();
    const ask = async ({ indices }: TeacherBatch) => {
      if (rank === 0) controller.abort();
      return Array.from(indices, () => [0, 1, 2]);
    };
    return startAsking(ask, { ranks, signal: controller.signal });
  });
  await Promise.all(runs.map((run) => failure(run, "ABORTED")));
});

/** How so many ranks end, each with networks and data of its own. */
function endings(size: number, options: (rank: number) => Options): Promise<Ending[]> {
  return Promise.all(ranksHere(size).map((ranks, rank) => start({ shards: 8, ...options(rank), ranks }).end));
}

describe.each<[string, Options]>([
  ["a run", {}],
  ["BatchNorm over the batch", { batchNorm: "batch" }],
  ["accumulated batches", { accumulate: 3 }],
  ["a loss with a memory", { loss: "cross-entropy + crd(student=fc1, teacher=fc1, negatives=4, dimension=6)" }],
])("%s", (name, options) => {
  test("ends with the same bits on 1, 2, 3 and 8 ranks", async () => {
    const alone = await start({ shards: 8, ...options }).end;
    for (const size of [2, 3, 8]) {
      for (const ending of await endings(size, () => options)) expect(ending).toEqual(alone);
    }
  });

  test("goes on with another number of ranks to the same bits", async () => {
    const alone = await start({ shards: 8, ...options }).end;
    const out = join(folder, name);
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 2 && controller.abort();
    const of = (rank: number) => (rank === 0 ? { ...options, out } : options);
    const runs = ranksHere(4).map((ranks, rank) =>
      start({ shards: 8, ...of(rank), ranks, ...(rank === 1 && { signal: controller.signal, onStep }) }),
    );
    await Promise.all(runs.map(({ done }) => failure(done, "ABORTED")));
    for (const ending of await endings(3, (rank) => ({ ...of(rank), resume: rank === 0 })))
      expect(ending).toEqual(alone);
  });
});

test("as many numbers as a large batch has are gathered in the ranks' order", async () => {
  const own = (rank: number) => Array.from({ length: 2048 }, (_, i) => new Float64Array(257).fill(2048 * rank + i));
  const gathered = await Promise.all(ranksHere(2).map((ranks, rank) => ranks.numbers(own(rank))));
  for (const numbers of gathered) expect(numbers).toEqual([...own(0), ...own(1)]);
});

test("each rank reads the samples of its shards alone", async () => {
  const read: number[][] = [[], [], [], []];
  const watched = (rank: number): Dataset => {
    const { data } = withGenerator(new Generator(7), () => setting());
    const batch = data.batch.bind(data);
    data.batch = (indices) => {
      read[rank].push(...indices);
      return batch(indices);
    };
    return data;
  };
  const options = { teacherCache: false, epochs: 1, shuffle: true };
  await endings(4, (rank) => ({ ...options, data: watched(rank) }));
  // Three batches of 16, of which each has 4, and one of 2, which is all of the first rank's.
  expect(read.map(({ length }) => length)).toEqual([14, 12, 12, 12]);
  expect(read.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: SAMPLES }, (_, i) => i));
  expect(SAMPLES % BATCH).toBe(2);
});

test("a rank of other options is named by all", async () => {
  const runs = ranksHere(2).map((ranks, rank) => start({ shards: 8, lr: rank === 1 ? 0.02 : 0.01, ranks }));
  for (const { done } of runs) {
    const { message } = await failure(done, "BAD_ARGUMENT");
    expect(message).toMatch(/^rank 1 on host-1: its lr is 0.02, rank 0 has 0.01: all ranks need the same/);
  }
});

test("a rank that multiplies in bfloat16 by another unit is named by all, in such a run alone", async () => {
  const run = async (precision: "bfloat16" | "float32") => {
    vi.spyOn(native, "bfloat16Unit").mockReturnValueOnce("another");
    const runs = ranksHere(2).map((ranks) => start({ shards: 8, epochs: 1, precision, ranks }));
    return Promise.allSettled(runs.map(({ done }) => done));
  };
  for (const end of await run("bfloat16")) {
    const { code, message } = (end as PromiseRejectedResult).reason;
    expect(code).toBe("BAD_ARGUMENT");
    expect(message).toMatch(/^rank 1 on host-1: its bfloat16Unit is ".*", rank 0 has ".*": all ranks need the same/);
    expect(message).toContain('"another"');
  }
  expect((await run("float32")).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
});
