import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  averaged,
  type Batch,
  distill,
  emaTeacher,
  Generator,
  kdLoss,
  type Module,
  noGrad,
  StudentNet,
  TeacherNet,
  type Tensor,
  withGenerator,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, mean, SIZES, STEPS, setting, start, trainByHand } from "../train/support.js";

const folder = temporaryFolder();
const student = () => new StudentNet({ ...SIZES, hidden: [8, 5] });

/** The average as a loop of one's own has it, in double precision but for the weights that it is read as. */
class AverageByHand {
  #average: number[][] | null = null;
  #steps = 0;
  constructor(
    private readonly network: Module,
    private readonly decay: number,
  ) {}

  update(): void {
    this.#steps++;
    const d = Math.min(this.decay, 1 - 1 / this.#steps);
    const values = floats(this.network).map(({ data }) => [...data]);
    this.#average = this.#average?.map((a, i) => a.map((x, j) => d * x + (1 - d) * values[i][j])) ?? values;
  }

  into(copy: Module): Module {
    copy.loadStateDict(this.network.stateDict());
    for (const [i, tensor] of floats(copy).entries()) if (this.#average) tensor.data.set(this.#average[i]);
    return copy.eval();
  }
}

const floats = (network: Module) =>
  Object.values(network.stateDict()).filter(({ data }) => data instanceof Float32Array) as Tensor[];

describe("a student's average teaches it", () => {
  test("as in a loop by hand", async () => {
    const decay = 0.8;
    const { history } = await start({ teacher: emaTeacher({ decay }) as never }).done;
    const { epochLosses } = withGenerator(new Generator(0), () => {
      const { student: model, data } = setting();
      const copy = withGenerator(new Generator(1), student);
      const average = new AverageByHand(model, decay);
      let steps = 0;
      const lossOf = (inputs: Tensor, labels: Batch["labels"]) => {
        if (steps++ > 0) average.update();
        const teacher = average.into(copy);
        const logits = noGrad(() => teacher.forward(inputs));
        return kdLoss(model.forward(inputs), logits, labels);
      };
      return { epochLosses: trainByHand({ model, data, lossOf }) };
    });
    for (const [i, { metrics }] of history.entries()) expect(metrics.loss).toBeCloseTo(mean(epochLosses[i]), 5);
  });

  test("with decay 0 it is the student itself, which it has nothing to teach; with decay 1 the student as it began", async () => {
    const losses = async (decay: number) => {
      const run = start({ teacher: emaTeacher({ decay }) as never, loss: "cross-entropy + kd(temperature=1)" });
      return (await run.done).history.map(({ metrics }) => metrics.kd);
    };
    for (const loss of await losses(0)) expect(loss).toBeCloseTo(0, 10);
    const [first, , last] = await losses(1);
    expect(last).toBeGreaterThan(first);
  });

  test("a resumed run ends with the same bits, the average's included", async () => {
    const teacher = () => emaTeacher({ decay: 0.9 }) as never;
    const whole = await start({ teacher: teacher(), out: join(folder, "whole"), checkpointEvery: 1 }).end.catch(String);
    const out = join(folder, "stopped");
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }) => step === STEPS + 2 && controller.abort();
    await failure(start({ teacher: teacher(), out, signal: controller.signal, onStep }).done, "ABORTED");
    await start({ teacher: teacher(), out, resume: true }).done;
    const bytes = (run: string, file: string) => readFileSync(join(folder, run, file)).toString("base64");
    expect(whole).toBeDefined();
    const file = "distilled_student_model_lowest.safetensors";
    expect(bytes("stopped", file)).toBe(bytes("whole", file));
    const losses = (run: string) =>
      readFileSync(join(folder, run, "metrics.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).loss);
    expect(losses("stopped")).toEqual(losses("whole"));
    const config = JSON.parse(readFileSync(join(folder, "whole", "config.json"), "utf8"));
    expect(config.teacher).toBe("ema(decay=0.9)");
    const other = start({ teacher: emaTeacher({ decay: 0.5 }) as never, out, resume: true }).done;
    expect((await failure(other, "BAD_CONFIG")).message).toContain('teacher was "ema(decay=0.9)", is "ema(decay=0.5)"');
  });

  test("a loss reads hidden outputs of the average; beside a network it is one of several teachers", async () => {
    const loss = {
      name: "hidden",
      needsTeacher: true,
      taps: { student: ["fc1"], teacher: ["fc1"] },
      config: () => null,
      compute: ({
        student,
        teacher,
      }: {
        student: { taps: Record<string, Tensor> };
        teacher: { taps: Record<string, Tensor> };
      }) => {
        const difference = student.taps.fc1.sub(teacher.taps.fc1);
        return { loss: difference.mul(difference).mean(), metrics: {} };
      },
    };
    const { history } = await start({ teacher: emaTeacher({ decay: 0.9 }) as never, loss }).done;
    expect(history[2].metrics.loss).toBeGreaterThan(0);
    const second = withGenerator(new Generator(3), () => new TeacherNet({ ...SIZES, hidden: [12, 10, 8] }));
    const both = averaged([emaTeacher({ decay: 0.9 }), second]);
    const validation = withGenerator(new Generator(9), setting).data;
    const run = await start({ teacher: both as never, validation, batchSize: BATCH }).done;
    expect(run.history[2].metrics.agreement).toBeGreaterThan(0);
  });
});

test("refused: a decay out of range, and a loop of one's own", async () => {
  expect(() => emaTeacher({ decay: 1.5 })).toThrow("decay: expected a number from 0 to 1, got 1.5");
  const { data } = withGenerator(new Generator(0), setting);
  expect(() => emaTeacher().open?.({ data, taps: [] })).toThrow("teaches in distill() alone");
  const run = distill({ teacher: "ema" as never, student: student(), data });
  await failure(run, "BAD_ARGUMENT");
});
