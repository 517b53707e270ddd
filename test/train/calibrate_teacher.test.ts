import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  type Batch,
  type DistillationLoss,
  emaTeacher,
  Generator,
  type LossBatch,
  live,
  noGrad,
  randn,
  splitDataset,
  TensorDataset,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { currentPrecision } from "../../src/tensor/precision.js";
import { fitTemperature } from "../../src/train/calibrate_teacher.js";
import { expectClose } from "../parity/close.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, type Options, SIZES, setting, start } from "./support.js";

const folder = temporaryFolder();

/** Logits of three classes, and labels that they have right about half of the time. */
const [rows, classes] = [60, 3];
const labels = Int32Array.from({ length: rows }, (_, i) => (i * 7 + (i % 4)) % classes);
const logits = Float64Array.from({ length: rows * classes }, (_, i) => {
  const isLabel = i % classes === labels[Math.floor(i / classes)];
  return Math.sin(i * 1.7) * 3 + (isLabel ? 1.5 : 0);
});

describe("the temperature", () => {
  const lossAt = (t: number) => {
    let sum = 0;
    for (const [row, label] of labels.entries()) {
      const z = [...logits.subarray(row * classes, (row + 1) * classes)].map((x) => x / t);
      sum += Math.log(z.reduce((total, x) => total + Math.exp(x), 0)) - z[label];
    }
    return sum / rows;
  };

  test("makes the labels most likely", () => {
    const { temperature, before, after } = fitTemperature(logits, labels, classes);
    expect(after).toBeCloseTo(lossAt(temperature), 12);
    expect(before).toBeCloseTo(lossAt(1), 12);
    for (const other of [0.5, 0.9, 0.999, 1.001, 1.1, 2]) expect(lossAt(other * temperature)).toBeGreaterThan(after);
  });

  test("follows the scale of the logits", () => {
    const { temperature } = fitTemperature(logits, labels, classes);
    const scaled = fitTemperature(
      logits.map((x) => 4 * x + 1e4),
      labels,
      classes,
    );
    expect(scaled.temperature / temperature).toBeCloseTo(4, 9);
    for (const factor of [1e-4, 1e-3, 1e3, 1e5]) {
      const { temperature: other } = fitTemperature(
        logits.map((x) => factor * x),
        labels,
        classes,
      );
      expect(other / (factor * temperature)).toBeCloseTo(1, 9);
    }
  });

  test("a class that a row rules out counts as one of very small logit", () => {
    const labels = Int32Array.of(0, 1, 1, 0);
    const of = (ruledOut: number) =>
      fitTemperature(Float64Array.of(4, 1, ruledOut, 2, 5, 0, 3, 0, 1, 1, 2, ruledOut), labels, 3);
    expectClose(Object.values(of(Number.NEGATIVE_INFINITY)), Object.values(of(-1e6)), { rel: 1e-9 });
    const label = () => fitTemperature(Float64Array.of(0, Number.NEGATIVE_INFINITY, 1, 0), Int32Array.of(1, 0), 2);
    expect(label).toThrow(/^the teacher can't be calibrated: it rules out the label of a sample/);
  });

  test("is refused where there is no best one", () => {
    const right = Float64Array.of(2, 0, 0, 3);
    expect(() => fitTemperature(right, Int32Array.of(0, 1), 2)).toThrow(/every label of the validation set right/);
    expect(() => fitTemperature(right, Int32Array.of(1, 0), 2)).toThrow(
      /^calibrateTeacher: the teacher does no better than chance .*; there is no best one: leave it out$/,
    );
    const code = (call: () => unknown) => expect(call).toThrow(expect.objectContaining({ code: "NON_FINITE" }));
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY])
      code(() => fitTemperature(Float64Array.of(2, 0, wrong, 3), Int32Array.of(0, 1), 2));
  });
});

describe("a calibrated teacher", () => {
  /** The teacher that `start` draws. */
  const network = withGenerator(new Generator(0), () => setting().teacher).eval();
  const data = withGenerator(new Generator(1), () => {
    const inputs = randn([80, SIZES.inFeatures]);
    // What the teacher says of two samples of three.
    const said = noGrad(() => network.forward(inputs)).argmax(1).data;
    return new TensorDataset(
      inputs,
      said.map((label, i) => (i % 3 === 0 ? (i % 4) % 3 : label)),
      { classes: SIZES.classes },
    );
  });
  const { train, heldOut } = splitDataset(data, { fraction: 0.4, seed: 0 });
  const options: Options = { data: train, validation: heldOut, batchSize: BATCH, epochs: 2 };

  test("is the teacher whose logits are divided, to the bit; the temperature is reported and kept", async () => {
    const notes: string[] = [];
    const out = join(folder, "run");
    const run = start({ ...options, calibrateTeacher: true, out, onNote: (text) => void notes.push(text) });
    const { student } = await run.end;
    const { teacherTemperature } = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(notes.join()).toMatch(/teacher calibrated: logits divided by \d+\.\d{4}, negative log-likelihood on the/);
    const twin = live(network);
    const teacher = {
      ...twin,
      outputs: (batch: Parameters<typeof twin.outputs>[0]) => {
        const { logits, taps } = twin.outputs(batch);
        return { logits: logits.div(teacherTemperature), taps };
      },
    };
    const by = start({ ...options, teacher: teacher as never });
    await by.done;
    expect(fingerprint(by.setting.student.stateDict())).toBe(student);
    expect((await start(options).end).student).not.toBe(student);
  });

  test("is asked in the run's precision, and the signal ends it", async () => {
    const seen: string[] = [];
    const controller = new AbortController();
    const twin = live(network);
    const teacher = {
      ...twin,
      prepare: async () => {
        if (seen.length > 0) controller.abort();
      },
      evaluate: (batch: Batch) => {
        seen.push(currentPrecision());
        return twin.evaluate?.(batch);
      },
    };
    const run = { ...options, calibrateTeacher: true, teacher: teacher as never, precision: "bfloat16" as const };
    await start(run).done;
    expect(seen.length).toBeGreaterThan(1);
    expect(new Set(seen)).toEqual(new Set(["bfloat16"]));
    const { message } = await failure(start({ ...run, signal: controller.signal }).done, "ABORTED");
    expect(message).toBe("stopped while the teacher was calibrated");
  });

  test("takes a loss that is an object of a class", async () => {
    class Squares implements DistillationLoss {
      readonly name = "squares";
      readonly needsTeacher = true;
      compute({ student, teacher }: LossBatch) {
        const difference = student.logits.add(teacher.logits.mul(-1));
        return { loss: difference.mul(difference).mean(), metrics: {} };
      }
      config() {
        return { name: this.name };
      }
    }
    const out = join(folder, "class");
    await start({ ...options, calibrateTeacher: true, loss: new Squares(), out }).done;
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8")).loss).toEqual({ name: "squares" });
  });

  test("changes not with the run, and was not trained on the validation set", async () => {
    const run = { ...options, calibrateTeacher: true };
    const moving = await failure(start({ ...run, teacher: emaTeacher({ decay: 0.9 }) as never }).done, "BAD_ARGUMENT");
    const changes = "calibrateTeacher: ema(decay=0.9) changes with the run, and its temperature is chosen before";
    expect(moving.message).toBe(changes);
    const { message } = await failure(start({ ...run, teacherMode: "train" }).done, "BAD_ARGUMENT");
    const training =
      "calibrateTeacher: a teacher in train mode changes with the run, and its temperature is chosen before";
    expect(message).toBe(training);
    const model = withGenerator(new Generator(0), () => setting().teacher);
    for (const parameter of model.parameters()) parameter.requiresGrad = true;
    await trainTeacher({ model, data, epochs: 1 });
    const known = await failure(start({ ...run, teacher: model }).done, "BAD_ARGUMENT");
    expect(known.message).toBe(
      "calibrateTeacher: teacher: was trained on 32 of the 32 validation samples: its confidence there says nothing of other samples",
    );
  });

  test("needs a validation set, and a teacher with logits for it", async () => {
    const { validation: _, ...without } = options;
    const none = await failure(start({ ...without, calibrateTeacher: true }).done, "BAD_ARGUMENT");
    expect(none.message).toBe("calibrateTeacher: needs a validation set, on which the temperature is chosen");
    let asked = 0;
    const teacher = ({ inputs }: { inputs: { shape: readonly number[] } }) => {
      asked += 1;
      return randn([inputs.shape[0], SIZES.classes]);
    };
    const blind = await failure(
      start({ ...options, teacher: teacher as never, calibrateTeacher: true }).done,
      "BAD_ARGUMENT",
    );
    expect(blind.message).toMatch(/^calibrateTeacher: the teacher gives no logits for the validation set/);
    // What it is asked may cost.
    expect(asked).toBe(0);
    const unread = await failure(start({ ...options, loss: "rkd", calibrateTeacher: true }).done, "BAD_ARGUMENT");
    expect(unread.message).toBe("calibrateTeacher: is for losses of the teacher's logits, and rkd does not read them");
    const wrong = await failure(start({ ...options, calibrateTeacher: 1 as never }).done, "BAD_ARGUMENT");
    expect(wrong.message).toMatch(/calibrateTeacher: expected true or false, got 1/);
  });
});
