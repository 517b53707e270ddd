import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  AdamW,
  averaged,
  clipGradNorm,
  crossEntropy,
  DataLoader,
  evaluate,
  Generator,
  kdLoss,
  loadNetwork,
  Mlp,
  type Module,
  type MutualInput,
  mutual,
  OneCycleLR,
  SGD,
  StudentNet,
  type Tensor,
  withGenerator,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, mean, SIZES, STEPS, setting, timeless } from "./support.js";

const folder = temporaryFolder();

/** Students of different sizes, and one that draws random numbers. */
function own(count = 2) {
  const { data } = setting();
  // No BatchNorm: the gradient of a bias before one is rounding alone, which AdamW makes whole steps of.
  const hidden: [number, number][] = [
    [8, 5],
    [12, 6],
    [7, 7],
  ];
  const students: Module[] = hidden.slice(0, count).map((widths) => new StudentNet({ ...SIZES, hidden: widths }));
  students[1] = new Mlp({ ...SIZES, hidden: [9], dropout: 0.2, norm: "layer" });
  return { data, students };
}

function run(more: Partial<MutualInput> = {}, count = 2) {
  return withGenerator(new Generator(0), () => {
    const input = own(count);
    const validation = withGenerator(new Generator(9), setting).data;
    const done = mutual({ ...input, validation, epochs: 3, batchSize: BATCH, lr: 0.01, maxGradNorm: 0.5, ...more });
    return { ...input, validation, done };
  });
}

/** As a user would write it: an optimizer, a schedule and a norm for each student. */
function byHand(count: number): { losses: number[][]; students: Module[] } {
  return withGenerator(new Generator(0), () => {
    const { data, students } = own(count);
    const loader = new DataLoader(data, { batchSize: BATCH, shuffle: true, order: "randperm" });
    const optimizers = students.map((student) => new AdamW(student.parameters(), { lr: 0.01, weightDecay: 1e-5 }));
    const schedulers = optimizers.map(
      (optimizer) =>
        new OneCycleLR(optimizer, {
          maxLr: 0.01,
          epochs: 3,
          stepsPerEpoch: loader.length,
          divFactor: 20,
          finalDivFactor: 100,
        }),
    );
    const losses = Array.from({ length: 3 }, () => {
      const ofStudents = Array.from(loader, ({ inputs, labels }) => {
        const logits = students.map((student) => student.forward(inputs));
        const targets = logits.map((one) => one.detach());
        return students.map((student, i) => {
          const others = targets.filter((_, j) => j !== i);
          const divergence = others
            .map((target) => kdLoss(logits[i], target, labels, { temperature: 1, alpha: 1 }))
            .reduce((sum: Tensor, one) => sum.add(one))
            .mul(1 / others.length);
          const loss = crossEntropy(logits[i], labels).add(divergence);
          optimizers[i].zeroGrad();
          loss.backward();
          clipGradNorm(student.parameters(), 0.5);
          optimizers[i].step();
          schedulers[i].step();
          return loss.item();
        });
      });
      return students.map((_, i) => mean(ofStudents.map((losses) => losses[i])));
    });
    return { losses, students };
  });
}

describe("students that teach each other", () => {
  test.each([2, 3])("%i of them learn as in a loop by hand with an optimizer and a norm for each", async (count) => {
    const { done, students } = run({}, count);
    const { history } = await done;
    const expected = byHand(count);
    for (const [epoch, { metrics }] of history.entries()) {
      for (const [i, loss] of expected.losses[epoch].entries()) {
        expect(metrics[`student-${i + 1}.loss`]).toBeCloseTo(loss, 5);
      }
      const sum = expected.losses[epoch].reduce((a, b) => a + b);
      expect(metrics.loss).toBeCloseTo(sum, 5);
    }
    for (const [i, student] of students.entries()) {
      const weights = expected.students[i].parameters();
      for (const [j, { data }] of student.parameters().entries()) {
        for (const [at, x] of data.entries()) expect(x).toBeCloseTo(weights[j].data[at], 4);
      }
    }
  });

  test("each has its files and its accuracy; the best epoch is that of the mean of their probabilities", async () => {
    const out = join(folder, "files");
    const { done, students, validation } = run({ out });
    const { history, files, best } = await done;
    const names = ["student-1", "student-2", "student-1_best", "student-2_best"];
    expect(files).toEqual(names.flatMap((name) => [join(out, `${name}.pth`), join(out, `${name}.safetensors`)]));
    const last = history[2].metrics;
    for (const [i, student] of students.entries()) {
      expect(last[`student-${i + 1}.validationAccuracy`]).toBe(evaluate(student, validation).accuracy);
    }
    const together = averaged(students, { average: "probabilities" });
    expect(last.validationAccuracy).toBe(evaluate(together, validation).accuracy);
    const read = await Promise.all(
      ["student-1_best", "student-2_best"].map((name, i) =>
        loadNetwork(join(out, `${name}.safetensors`), {
          network: ["student(hidden=[8, 5])", "mlp(hidden=[9], dropout=0.2, norm=layer)"][i],
          shape: [6],
          classes: 3,
        }),
      ),
    );
    const accuracy = evaluate(averaged(read, { average: "probabilities" }), validation).accuracy;
    expect(accuracy).toBe(best?.validationAccuracy);
  });

  test("a stopped run ends with the same bits", async () => {
    const [whole, out] = [join(folder, "whole"), join(folder, "stopped")];
    await run({ out: whole }).done;
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => {
      if (step === STEPS + 2) controller.abort();
    };
    await failure(run({ out, signal: controller.signal, onStep }).done, "ABORTED");
    await run({ out, resume: true }).done;
    const weights = readdirSync(whole).filter((file) => /^student.*(pth|safetensors)$/.test(file));
    expect(weights).toHaveLength(8);
    for (const file of weights)
      expect(readFileSync(join(out, file)).equals(readFileSync(join(whole, file)))).toBe(true);
    const records = (path: string) => readFileSync(join(path, "metrics.jsonl"), "utf8").trim().split("\n");
    expect(records(out).map((line) => timeless(JSON.parse(line)))).toEqual(
      records(whole).map((line) => timeless(JSON.parse(line))),
    );
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config).toMatchObject({ command: "mutual", loss: { mutual: expect.anything() } });
  });

  test("another loss: what each learns with from each other", async () => {
    const { history } = await run({ loss: "0.5*cross-entropy + 2*logit-mse" }).done;
    expect(Object.keys(history[0].metrics)).toEqual(
      expect.arrayContaining(["student-1.cross-entropy", "student-2.logit-mse"]),
    );
  });
});

test.each<[string, Partial<MutualInput>, string]>([
  [
    "one student",
    { students: [new StudentNet({ ...SIZES })] },
    "students: expected two networks or more, got [a value of type StudentNet]",
  ],
  ["a loss without the others", { loss: "cross-entropy" }, "loss: expected one that compares logits, as"],
  [
    "a loss of hidden outputs",
    { loss: "cross-entropy + hint" },
    'loss: expected one that compares logits, as "cross-entropy + kd(temperature=1)", got cross-entropy+hint',
  ],
  ["an unknown option", { temprature: 2 } as object, "temprature: unknown"],
])("refused: %s", async (_, more, message) => {
  expect((await failure(run(more).done, "BAD_ARGUMENT")).message).toContain(message);
});

test("what the optimizer does not move does not count for the norm", async () => {
  const norms: number[] = [];
  const { students, done } = run({
    optimizer: (params) => new SGD(params.slice(2), { lr: 0 }),
    schedule: "constant",
    shuffle: false,
    onStep: ({ gradNorm }) => void norms.push(gradNorm),
  });
  await done;
  expect(students).toHaveLength(2);
  // With a rate of 0 an epoch's steps are those of the one before, but for the dropout.
  for (let i = 0; i < STEPS; i++) expect(norms[i + 2 * STEPS] / norms[i]).toBeLessThan(2);
});

test("refused: students of other classes", async () => {
  const students = [new StudentNet({ ...SIZES }), new StudentNet({ ...SIZES, classes: SIZES.classes + 1 })];
  const { message } = await failure(run({ students }).done, "SHAPE_MISMATCH");
  const [own, other] = [SIZES.classes, SIZES.classes + 1];
  expect(message).toBe(`students[1]: expected logits of [${own}] a sample, as students[0] gives, got [${other}]`);
});

test("refused: a student twice", async () => {
  const student = new StudentNet({ ...SIZES });
  const { message } = await failure(run({ students: [student, student] }).done, "BAD_ARGUMENT");
  expect(message).toBe("students[1]: shares parameters with one before: make each anew");
});
