import { cpSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nameMethods } from "../../src/compare/methods.js";
import { holm } from "../../src/compare/statistics.js";
import {
  type CompareInput,
  type CompareResult,
  compare,
  Generator,
  type LossBatch,
  type LossSpec,
  methodsSummary,
  pairedDifference,
  randn,
  SGD,
  sweep,
  type Tensor,
  TensorDataset,
  withGenerator,
} from "../../src/index.js";
import { splitExpressions } from "../../src/registry/index.js";
import { cpuTime } from "../helpers/cpu_time.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { compareInput, SIZES, sweepInput } from "./support.js";

const temporary = temporaryFolder();
const newRun = newFolders(temporary, "methods");
const PLAIN = { calibrateTeacher: false, readsLogits: () => true };
const accuracies = ({ methods }: CompareResult) => methods.map(({ best }) => best.accuracy.values);

test.each([["compare"], ["sweep"]])(
  "%s: an optimizer that leaves a loss's module is refused before the teacher is trained",
  async (name) => {
    const out = newRun();
    const optimizer = (params: readonly Tensor[]) => new SGD(params.slice(0, 2), { lr: 0.01 });
    const more = { loss: "kd + hint", optimizer, seeds: 1 };
    const run =
      name === "compare" ? compare(compareInput(out, more)) : sweep(sweepInput(out, { ...more, alphas: undefined }));
    expect((await failure(run, "BAD_ARGUMENT")).message).toMatch(
      /^optimizer: does not move the parameters of .*, a module of the loss/,
    );
    expect(existsSync(out)).toBe(false);
  },
);

test("several losses stand side by side, against one baseline and the first", async () => {
  const out = newRun();
  const losses = ["kd", "cross-entropy + dkd(warmup=2)", "kd + rkd", "kd(temperature=2) + rkd"];
  const result = await compare(compareInput(out, { losses }));
  const { methods, baseline, distilled, difference } = result;
  expect(methods.map(({ loss }) => loss)).toEqual(losses);
  // Each loss has its own.
  expect(Object.keys(result.config).filter((name) => ["temperature", "alpha"].includes(name))).toEqual([]);
  for (const folder of ["baseline", "kd", "cross-entropy+dkd-warmup=2", "kd+rkd", "kd-temperature=2+rkd"]) {
    expect(existsSync(join(out, "seed-1", folder, "metrics.jsonl"))).toBe(true);
  }
  const [first] = methods;
  expect([first.best, first.last]).toEqual([distilled.best, distilled.last]);
  expect(first.difference.best).toMatchObject(difference.best);
  expect(first.againstFirst).toBeNull();
  const raw = methods.map((method) => method.difference.best.pValue);
  expect(methods.map((method) => method.difference.best.correctedPValue)).toEqual(holm(raw));
  for (const { best, difference: own, againstFirst } of methods) {
    const less = (of: number[]) => best.accuracy.values.map((x, i) => x - (of[i] ?? 0));
    expect(own.best.values).toEqual(less(baseline.best.accuracy.values));
    if (againstFirst !== null) expect(againstFirst.best.values).toEqual(less(first.best.accuracy.values));
    expect(own.best.significant).toBe(own.best.correctedPValue < 1 - own.best.confidence);
  }
  const lines = methodsSummary(result);
  expect(lines[1]).toMatch(
    /^cross-entropy \+ dkd\(warmup=2\): [+-]?\d+\.\d\d points of test accuracy against the baseline \(/,
  );
  // One at a time they are the same, and more come with resume.
  const alone = await compare(compareInput(newRun(), { loss: "kd + rkd" }));
  expect(alone.methods).toHaveLength(1);
  expect(alone.distilled.best.accuracy.values).toEqual(accuracies(result)[2]);
  const more = await compare(compareInput(out, { losses: [...losses, "dist"], resume: true }));
  expect(accuracies(more).slice(0, 4)).toEqual(accuracies(result));
  expect(existsSync(join(out, "seed-0", "dist", "metrics.jsonl"))).toBe(true);
});

test("the teacher as it is and calibrated, side by side, in one comparison", async () => {
  const out = newRun();
  const both = { calibrateTeacher: "both", fractions: [0.5] } as const;
  const result = await compare(compareInput(out, both));
  const { methods, distilled, difference, fractions, config } = result;
  const loss = "kd(temperature=3.5, alpha=0.6)";
  expect(methods.map(({ name, loss, calibrateTeacher }) => [name, loss, calibrateTeacher])).toEqual([
    [loss, loss, false],
    [`${loss}, calibrated teacher`, loss, true],
  ]);
  expect(config.calibrateTeacher).toBe("both");
  const [plain, calibrated] = methods;
  // The same students as in two comparisons.
  const alone = [false, true].map((calibrateTeacher) => compare(compareInput(newRun(), { calibrateTeacher })));
  const [without, only] = await Promise.all(alone);
  expect([plain.best, calibrated.best]).toEqual([without.distilled.best, only.distilled.best]);
  expect(plain.best.accuracy.values).not.toEqual(calibrated.best.accuracy.values);
  expect([distilled.best, difference]).toEqual([without.distilled.best, without.difference]);
  // The curve is that of the first method.
  expect(fractions?.at(-1)?.distilled).toEqual(plain.best);
  // The difference that it is about, pair by pair.
  const pairs = (name: string) => calibrated.best[name].values.map((x, i) => x - plain.best[name].values[i]);
  expect([calibrated.againstFirst, plain.againstUncalibrated]).toEqual([null, null]);
  const against = calibrated.againstUncalibrated;
  expect(against?.best.values).toEqual(pairs("accuracy"));
  expect(Object.keys(against?.others ?? {})).toEqual(["agreement", "calibrationError"]);
  const error = against?.others.calibrationError;
  expect(error).toEqual(pairedDifference(calibrated.best.calibrationError.values, plain.best.calibrationError.values));
  expect(methodsSummary(result).at(-1)).toMatch(
    /^kd\(temperature=3.5, alpha=0.6\), calibrated teacher: [+-]?\d+\.\d\d points of test accuracy against kd\(temperature=3.5, alpha=0.6\), teacher as it is \(95% interval \S+ to \S+, p \S+\): not distinguishable from chance.*\. Over the seeds: agreement with the teacher \S+ \(\S+ to \S+\), calibration error \S+ \(\S+ to \S+\)\.$/,
  );
  const again = await compare(compareInput(out, { ...both, resume: true }));
  expect(accuracies(again)).toEqual(accuracies(result));
});

test("a module of one's own with the same arguments in another order is the same loss", () => {
  const losses = ["./own.mjs(a=1, b=2)", "./own.mjs(b=2, a=1)"];
  expect(() => nameMethods(losses, PLAIN)).toThrow(/^losses: expected each once, got .* which are the same loss$/);
  expect(nameMethods([losses[0], "./own.mjs(a=2, b=1)"], PLAIN)).toHaveLength(2);
});

test("with several losses, each of the teacher's logits is there with its teacher as it is and calibrated", () => {
  const readsLogits = (spec: LossSpec | null) => spec !== "rkd";
  const all = nameMethods(["kd", "rkd", functionNamed("KD")], { calibrateTeacher: "both", readsLogits });
  expect(all.map(({ name, folder }) => [name, folder])).toEqual([
    ["kd", "kd"],
    ["kd, calibrated teacher", "kd@calibrated"],
    ["rkd", "rkd"],
    ["KD", "KD-2"],
    ["KD, calibrated teacher", "KD-2@calibrated"],
  ]);
});

test("losses of the teacher's logits are paired, each with its difference to its pair", async () => {
  const ofLabels = "cross-entropy(labelSmoothing=0.1)";
  const losses = ["dkd", ofLabels, "cross-entropy + rkd", "kd + rkd"];
  const result = await compare(compareInput(newRun(), { losses, calibrateTeacher: "both", epochs: 1 }));
  const { methods } = result;
  expect(methods.map(({ name }) => name)).toEqual([
    "dkd",
    "dkd, calibrated teacher",
    ofLabels,
    "cross-entropy + rkd",
    "kd + rkd",
    "kd + rkd, calibrated teacher",
  ]);
  const values = accuracies(result);
  const less = (i: number, j: number) => values[i].map((x, seed) => x - values[j][seed]);
  const differences = (name: "againstFirst" | "againstUncalibrated") => methods.map((method) => method[name]);
  expect(differences("againstUncalibrated").map((one) => one?.best.values)).toEqual([
    undefined,
    less(1, 0),
    undefined,
    undefined,
    undefined,
    less(5, 4),
  ]);
  expect(differences("againstFirst").map((one) => one?.best.values)).toEqual([
    undefined,
    undefined,
    less(2, 0),
    less(3, 0),
    less(4, 0),
    undefined,
  ]);
  for (const name of ["againstFirst", "againstUncalibrated"] as const) {
    const family = differences(name).flatMap((one) => (one === null ? [] : [one.best]));
    expect(family.map(({ correctedPValue }) => correctedPValue)).toEqual(holm(family.map(({ pValue }) => pValue)));
  }
  const lines = methodsSummary(result);
  expect(lines.map((line) => line.replace(/: .* against /, " against ").replace(/ \(.*/, ""))).toEqual([
    ...methods.map(({ name }) => `${name} against the baseline`),
    ...[2, 3, 4].map((i) => `${methods[i].name} against dkd`),
    "dkd, calibrated teacher against dkd, teacher as it is",
    "kd + rkd, calibrated teacher against kd + rkd, teacher as it is",
  ]);
  expect(lines.at(-1)).toContain(" corrected for 2 losses)");
});

test("a comparison goes on with both, each student of its own kind", async () => {
  const run = async (out: string, calibrateTeacher: CompareInput["calibrateTeacher"]) => {
    const trained = new Map<string, number>();
    const onProgress: CompareInput["onProgress"] = ({ trial }) =>
      void trained.set(trial, (trained.get(trial) ?? 0) + 1);
    const more = { seeds: 1, epochs: 1, resume: true, calibrateTeacher, fractions: [0.5] } as const;
    const result = await compare(compareInput(out, { ...more, onProgress }));
    return { result, trained: [...trained].flatMap(([trial, steps]) => (steps > 1 ? [trial] : [])) };
  };
  const [fromFalse, fromTrue] = [newRun(), newRun()];
  const [without, only] = [await run(fromFalse, false), await run(fromTrue, true)];
  expect(only.trained).toContain("seed-0/distilled@calibrated");
  const [a, b] = [await run(fromFalse, "both"), await run(fromTrue, "both")];
  expect(a.trained).toEqual(["seed-0/distilled@calibrated"]);
  expect(b.trained).toEqual(["seed-0/distilled", "fraction-0.5/seed-0/distilled"]);
  const histories = ({ result }: typeof a) => accuracies(result);
  expect(histories(a)).toEqual(histories(b));
  expect(histories(a)).toEqual([...histories(without), ...histories(only)]);
  // One that was trained with the other teacher is refused, wherever it comes from.
  for (const [from, to] of [
    ["distilled@calibrated", "distilled"],
    ["distilled", "distilled@calibrated"],
  ]) {
    const [folder, other] = [join(fromTrue, "seed-0", from), join(fromTrue, "seed-0", to)];
    renameSync(other, `${other}-kept`);
    cpSync(folder, other, { recursive: true });
    const { message } = await failure(run(fromTrue, "both"), "BAD_CONFIG");
    expect(message).toMatch(new RegExp(`${to}: can't resume a run with another configuration: teacherTemperature was`));
    rmSync(other, { recursive: true });
    renameSync(`${other}-kept`, other);
  }
});

test("a teacher that can't be calibrated is refused before a student is trained", async () => {
  const ran: string[] = [];
  const apart = (samples: number, seed: number) => {
    const inputs = withGenerator(new Generator(seed), () => randn([samples, SIZES.inFeatures]));
    const labels = Int32Array.from({ length: samples }, (_, i) => i % SIZES.classes);
    for (const [i, label] of labels.entries()) inputs.data[i * SIZES.inFeatures + label] += 40;
    return new TensorDataset(inputs, labels, { classes: SIZES.classes });
  };
  const input = compareInput(newRun(), {
    data: apart(300, 1),
    test: apart(60, 2),
    calibrateTeacher: "both",
    epochs: 4,
    seeds: 1,
    onTrial: ({ name }) => void ran.push(name),
  });
  const { message } = await failure(compare(input), "BAD_ARGUMENT");
  expect(message).toContain("calibrateTeacher: the teacher has every label of the validation set right");
  expect(ran).toEqual(["teacher"]);
  // Its teacher is kept.
  const onProgress: CompareInput["onProgress"] = ({ trial }) => void ran.push(trial);
  await compare({ ...input, calibrateTeacher: false, resume: true, onProgress });
  expect(ran.filter((name) => name === "teacher").length).toBeLessThan(4);
});

test.each<[Partial<CompareInput>, string]>([
  [{ calibrateTeacher: "bth" as never }, 'calibrateTeacher: expected true, false or "both", got "bth"'],
  [{ losses: [] }, "losses: expected a list of losses"],
  [{ losses: "kd" as never }, "losses: expected a list of losses"],
  [{ losses: ["kd", 5 as never] }, "losses[1]: expected an expression, a loss or a function of the batch, got 5"],
  [{ losses: ["kd", "mse"] }, "losses[1]: mse is for regression and vectors"],
  [{ losses: ["kd", "kd"] }, 'losses: expected each once, got "kd" again'],
  [
    { losses: ["kd", "dkd", "kd(temperature=3.5)"] },
    'losses: expected each once, got "kd" and "kd(temperature=3.5)", which are the same loss',
  ],
  [
    { losses: ["kd + 2*rkd(10, 20)", "2*rkd(angleWeight=20, distanceWeight=10) + kd"] },
    'losses: expected each once, got "kd + 2*rkd(10, 20)" and "2*rkd(angleWeight=20, distanceWeight=10) + kd", which are the same loss',
  ],
  [
    { losses: ["kd", "1*cross-entropy()"] },
    "losses: cross-entropy is what the baseline, which is always there, is trained",
  ],
  [
    { loss: "cross-entropy(labelSmoothing=0.1)", labelSmoothing: 0.1 },
    "loss: cross-entropy(labelSmoothing=0.1) is what the baseline, which is always there, is trained with",
  ],
  [
    { losses: [functionNamed("own"), functionNamed("own")] },
    'losses: expected each once, got "own" again, and a function goes by its name: give each one, as const hint = ...',
  ],
  [
    { loss: "rkd", calibrateTeacher: "both" },
    "calibrateTeacher: is for losses of the teacher's logits, and rkd does not read them",
  ],
  [
    { losses: ["rkd", "pkt"], calibrateTeacher: true },
    "calibrateTeacher: is for losses of the teacher's logits, and none of rkd, pkt reads them",
  ],
  [{ losses: ["kd", "dkdd"] }, 'unknown loss "dkdd", did you mean dkd?'],
  [{ losses: ["kd"], loss: "dkd" }, "loss: expected one of loss and losses, got both"],
  [{ losses: ["kd"], temperature: 2 }, "temperature: each of losses has its own"],
])("%j is refused", async (more, message) => {
  const error = await failure(compare(compareInput(newRun(), { seeds: 1, ...more })), "BAD_ARGUMENT");
  expect(error.message).toContain(message);
});

test("a loss named as the baseline has figures of its own", async () => {
  const out = newRun();
  const losses = ["kd", functionNamed("baseline"), functionNamed("..")];
  const alone = await compare(compareInput(newRun(), { seeds: 2, epochs: 1, loss: losses[1] }));
  const { methods, baseline } = await compare(compareInput(out, { seeds: 2, epochs: 1, losses }));
  expect(methods[1].best.accuracy.values).toEqual(alone.distilled.best.accuracy.values);
  expect(baseline.best.accuracy.values).toEqual(alone.baseline.best.accuracy.values);
  for (const folder of ["baseline", "baseline-2", "loss"]) {
    expect(existsSync(join(out, "seed-1", folder, "metrics.jsonl"))).toBe(true);
  }
});

test("a function called as an expression is has a pair of its own", async () => {
  const losses = ["kd", functionNamed("kd")];
  const { methods } = await compare(compareInput(newRun(), { seeds: 2, epochs: 1, losses, calibrateTeacher: "both" }));
  const values = methods.map(({ best }) => best.accuracy.values);
  const less = (i: number, j: number) => values[i].map((x, seed) => x - values[j][seed]);
  expect(methods.map(({ againstUncalibrated }) => againstUncalibrated?.best.values)).toEqual([
    undefined,
    less(1, 0),
    undefined,
    less(3, 2),
  ]);
  expect(methods.map(({ uncalibrated }) => uncalibrated)).toEqual([null, 0, null, 2]);
});

test("the loss of temperature and alpha is called as its expression", async () => {
  const of = async (more: Partial<CompareInput>) => {
    const { methods } = await compare(compareInput(newRun(), { seeds: 1, epochs: 1, ...more }));
    return methods.map(({ name }) => name);
  };
  expect(await of({ temperature: 2, alpha: 0.9 })).toEqual(["kd(temperature=2, alpha=0.9)"]);
  expect(await of({ labelSmoothing: 0.1 })).toEqual(["kd(temperature=3.5, alpha=0.6, labelSmoothing=0.1)"]);
});

test("a label smoothing that the baseline alone reads is no obstacle", async () => {
  const { methods } = await compare(
    compareInput(newRun(), { seeds: 1, epochs: 1, losses: ["kd"], labelSmoothing: 0.1 }),
  );
  expect(methods.map(({ name }) => name)).toEqual(["kd"]);
});

test("losses that come, go and change places keep their runs", async () => {
  const out = newRun();
  const trained = async (losses: string[]) => {
    const stepped = new Map<string, number>();
    const onProgress: CompareInput["onProgress"] = ({ trial }) =>
      void stepped.set(trial, (stepped.get(trial) ?? 0) + 1);
    await compare(compareInput(out, { seeds: 1, epochs: 1, losses, resume: true, onProgress }));
    return [...stepped].flatMap(([trial, steps]) => (steps > 1 ? [trial] : []));
  };
  const [one, two] = ["kd(temperature=2)", "kd(temperature=8)"];
  expect(await trained([one])).toContain("seed-0/kd-temperature=2");
  expect(await trained([one, two])).toEqual(["seed-0/kd-temperature=8"]);
  expect(await trained([two, one])).toEqual([]);
});

test("folders of losses are names on every file system", () => {
  const losses = ["./a/own.mjs", "kd(temperature=[4, 1])", `${"kd + ".repeat(60)}rkd`];
  const folders = nameMethods([...losses, functionNamed("KD"), functionNamed("kd")], PLAIN).map(({ folder }) => folder);
  expect(folders).toEqual([
    "a-own.mjs",
    "kd-temperature=4,1",
    expect.stringMatching(/^.{100}-[\da-f]{8}$/),
    "KD",
    "kd-2",
  ]);
});

function functionNamed(name: string) {
  const loss = ({ student }: LossBatch) => student.logits.mul(student.logits).mean();
  return Object.defineProperty(loss, "name", { value: name });
}

test("a list in text is split at commas outside of brackets and quotes", () => {
  expect(splitExpressions('kd, dkd(alpha=1, beta=8),kd(temperature=[4, 1]) + "./a, b.mjs"')).toEqual([
    "kd",
    "dkd(alpha=1, beta=8)",
    'kd(temperature=[4, 1]) + "./a, b.mjs"',
  ]);
  expect(splitExpressions("kd,")).toEqual(["kd", ""]);
});

test("a quote without an end is not looked for from each quote anew", () => {
  const open = `"${'\\"'.repeat(100_000)}`;
  const start = cpuTime();
  expect(splitExpressions(`kd, ${open}`)).toEqual(["kd", open]);
  expect(cpuTime() - start).toBeLessThan(5000);
});
