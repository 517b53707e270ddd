import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DistilleryError, distill, type EpochRecord, type Tensor, trainTeacher } from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { STEPS, setting, start } from "./support.js";

const temporary = temporaryFolder();
const later = () => new Promise((resolve) => setTimeout(resolve, 2));

describe("leaving the loop over the epochs", () => {
  test("stops the run after its step, saved, and it can be resumed", async () => {
    const out = join(temporary, "left");
    const whole = await start({ epochs: 40 }).end;
    let steps = 0;
    const { done: run } = start({ epochs: 40, out, onStep: () => void steps++ });
    const seen: EpochRecord[] = [];
    for await (const epoch of run) {
      seen.push(epoch);
      if (epoch.epoch === 2) break;
    }
    // It has stopped when the loop is left.
    const made = steps;
    expect(readdirSync(out)).toContain("checkpoint.safetensors");
    await later();
    expect([steps, seen.map(({ epoch }) => epoch)]).toEqual([made, [1, 2]]);
    expect(made).toBeLessThan(5 * STEPS);
    expect(await failure(run, "ABORTED")).toMatchObject({
      message: expect.stringContaining(`its state is saved in ${out}`),
    });
    expect(await start({ epochs: 40, out, resume: true }).end).toEqual(whole);
  });

  test("by an error too, which is the one that is thrown", async () => {
    const { done: run } = start({ epochs: 1000 });
    const loop = async () => {
      for await (const { epoch } of run) if (epoch === 1) throw new RangeError("enough");
    };
    await expect(loop()).rejects.toThrow(new RangeError("enough"));
    await failure(run, "ABORTED");
  });

  test("another loop over the run, and a run that is awaited, go on", async () => {
    const { done: run } = start({ epochs: 6 });
    const all: number[] = [];
    const whole = (async () => {
      for await (const { epoch } of run) all.push(epoch);
    })();
    for await (const _ of run) break;
    await whole;
    expect(all).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await run).history).toHaveLength(6);
  });
});

describe("a callback that is async", () => {
  test("the run waits for onStep, and its bits stay the same", async () => {
    const events: string[] = [];
    const onStep = async ({ step }: { step: number }) => {
      events.push(`step ${step}`);
      await later();
      events.push(`after ${step}`);
    };
    const end = await start({ epochs: 1, onStep }).end;
    expect(events).toEqual([1, 2, 3, 4].flatMap((step) => [`step ${step}`, `after ${step}`]));
    expect(end).toEqual(await start({ epochs: 1 }).end);
  });

  test("the run ends with the reason of its rejection", async () => {
    const reason = new Error("no more");
    await expect(start({ onStep: () => Promise.reject(reason) }).done).rejects.toBe(reason);
    // biome-ignore lint/suspicious/noThenProperty: what counts as a promise without being one
    const thenable = { then: (_: unknown, reject: (reason: unknown) => void) => reject(reason) };
    await expect(start({ onStep: () => thenable as Promise<void> }).done).rejects.toBe(reason);
    const out = join(temporary, "noted");
    const onNote = () => Promise.reject(reason);
    await start({ out, epochs: 1 }).done;
    await expect(start({ out, epochs: 1, resume: true, onNote }).done).rejects.toBe(reason);
    const { teacher, student, data } = setting();
    const onWork = () => Promise.reject(reason);
    await expect(distill({ teacher, student, data, epochs: 1, onWork: onWork as never })).rejects.toBe(reason);
  });
});

describe("a network whose layers a callback changes", () => {
  type Layers = Record<string, unknown>;
  const layerOf = (student: object) =>
    Object.keys(student).find((name) => typeof (student as Layers)[name] === "object") as string;
  const changes: [string, (student: Layers, layer: string, other: Layers) => void, string][] = [
    ["deletes", (student, layer) => delete student[layer], "was taken out"],
    ["sets to undefined", (student, layer) => (student[layer] = undefined), "was taken out"],
    ["replaces by its like", (student, layer, other) => (student[layer] = other[layer]), "was replaced"],
  ];

  test.each(changes)("onEpoch %s", async (_, change, what) => {
    for (const last of [1, 3]) {
      const run = start({
        epochs: 3,
        onEpoch: ({ epoch }) => {
          const student = run.setting.student as unknown as Layers;
          if (epoch === last) change(student, layerOf(student), setting().student as unknown as Layers);
        },
      });
      const { message } = await failure(run.done, "BAD_ARGUMENT");
      expect(message).toMatch(
        new RegExp(`^student: its \\w+(\\.\\w+)* ${what} while it was trained: change a network `),
      );
    }
  });

  test.each(changes)("onStep %s", async (_, change, what) => {
    const run = start({
      epochs: 2,
      onStep: ({ step }) => {
        const student = run.setting.student as unknown as Layers;
        if (step === 2) change(student, layerOf(student), setting().student as unknown as Layers);
      },
    });
    const { message } = await failure(run.done, "BAD_ARGUMENT");
    expect(message).toMatch(
      new RegExp(`^(epoch 1, step 3 of 4: )?student: its \\w+(\\.\\w+)* ${what} while it was trained`),
    );
  });
});

describe("a run inside of another", () => {
  const inner = () => {
    const { student, data } = setting();
    return trainTeacher({ model: student, data, epochs: 1, batchSize: 16 });
  };

  test.each(["onStep", "onEpoch", "onEnd"] as const)(
    "in %s: the outer run's bits stay as they were",
    async (callback) => {
      let times = 0;
      const nest = async () => {
        times += 1;
        await inner();
      };
      const end = await start({ epochs: 2, [callback]: nest }).end;
      expect(times).toBeGreaterThan(0);
      expect(end).toEqual(await start({ epochs: 2 }).end);
    },
  );

  test("in a step, whose random numbers it would take: refused", async () => {
    const own = setting();
    const loss = ({ student }: { student: { logits: Tensor } }) => {
      trainTeacher({ model: own.student, data: own.data }).catch((error: unknown) => refusals.push(error));
      return student.logits.mean();
    };
    const refusals: unknown[] = [];
    const end = await start({ epochs: 1, loss }).end;
    expect(refusals).toHaveLength(STEPS);
    expect(refusals[0]).toBeInstanceOf(DistilleryError);
    expect(refusals[0]).toMatchObject({
      code: "BAD_ARGUMENT",
      message:
        "a run was started inside of a step of another run, from whose random numbers it would draw: start it in onEpoch, or before the run",
    });
    const plain = ({ student }: { student: { logits: Tensor } }) => student.logits.mean();
    expect({ ...end, history: [] }).toEqual({ ...(await start({ epochs: 1, loss: plain }).end), history: [] });
  });

  test("of the same student: refused, and its folder stays as it was", async () => {
    const out = join(temporary, "earlier");
    const options = { epochs: 1, batchSize: 16, out, report: false };
    const { student: model, data: ofEarlier } = setting();
    await trainTeacher({ ...options, model, data: ofEarlier });
    const contents = () => readdirSync(out).map((name) => readFileSync(join(out, name), "hex"));
    const before = contents();
    const run = start({
      epochs: 2,
      onEpoch: async () => {
        const { student, data } = run.setting;
        await trainTeacher({ ...options, model: student, data, overwrite: true });
      },
    });
    const { message } = await failure(run.done, "BAD_ARGUMENT");
    expect(contents()).toEqual(before);
    expect(message).toBe(
      "the network is being trained by another run: wait for its end, or train a network of its own",
    );
  });
});
