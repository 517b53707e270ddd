import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, test, vi } from "vitest";
import { LINUX, testWith } from "../helpers/needs.js";

const DIST = new URL("../../dist/index.js", import.meta.url).href;
const SIZES = "{ inFeatures: 64, classes: 5 }";

/** A distillation in a worker thread: large enough that its kernels use a pool. */
const PROGRAM = `
const { parentPort, workerData } = require("node:worker_threads");
import(${JSON.stringify(DIST)}).then(async (d) => {
  d.manualSeed(3);
  const teacher = new d.TeacherNet({ ...${SIZES}, hidden: [256, 128, 64] }).freeze();
  const student = new d.StudentNet({ ...${SIZES}, hidden: [128, 64] });
  const data = d.synthetic({ samples: 256, features: 64, classes: 5 });
  parentPort.postMessage("ready");
  const { history } = await d.distill({ teacher, student, data, teacherMode: "train", ...workerData });
  parentPort.postMessage({ losses: history.map(({ metrics }) => metrics.loss), bits: Buffer.from(student.fc1.weight.data.buffer).toString("base64") });
});`;

function begin(epochs = 3): { worker: Worker; ready: Promise<void>; result: Promise<unknown> } {
  const worker = new Worker(PROGRAM, { eval: true, workerData: { epochs } });
  const message = (wanted: (value: unknown) => boolean) =>
    new Promise<unknown>((resolve, reject) => {
      worker.on("message", (value) => wanted(value) && resolve(value));
      worker.on("error", reject);
    });
  return {
    worker,
    ready: message((value) => value === "ready").then(() => {}),
    result: message((value) => value !== "ready"),
  };
}

test("runs in worker threads side by side are the run alone, to the bit", async () => {
  const alone = await begin().result;
  const three = await Promise.all(Array.from({ length: 3 }, () => begin().result));
  expect(three).toEqual([alone, alone, alone]);
  expect((alone as { losses: number[] }).losses).toHaveLength(3);
});

test("a worker that is ended in mid-run takes nothing down", async () => {
  for (let i = 0; i < 8; i++) {
    const { worker, ready, result } = begin();
    result.catch(() => {});
    await ready;
    await new Promise((resolve) => setTimeout(resolve, i));
    await worker.terminate();
  }
  expect(await begin().result).toMatchObject({ losses: [expect.any(Number), expect.any(Number), expect.any(Number)] });
});

testWith(LINUX, "a worker that ended, by itself or not, leaves no threads behind", async () => {
  const threads = () => readdirSync("/proc/self/task").length;
  const first = begin(30);
  await first.result;
  await first.worker.terminate();
  const before = threads();
  for (let i = 0; i < 8; i++) {
    const { worker, ready, result } = begin(30);
    await (i % 4 === 0 ? result : ready);
    await new Promise((resolve) => setTimeout(resolve, 5 + 2 * i));
    await worker.terminate();
  }
  await vi.waitFor(() => expect(threads()).toBeLessThanOrEqual(before), 60_000);
});

// The path above must be that of a build.
test("the build is there", () => expect(fileURLToPath(DIST)).toMatch(/dist.index\.js$/));
