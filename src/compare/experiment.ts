import { argumentError, badArgument, expectFlags, expectInteger, expectNumber, expectPath } from "../checks.js";
import { expectDataset, fingerprintOf } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { countSamplesOf, originOf } from "../data/origin.js";
import { DistilleryError } from "../errors.js";
import { type DistillationLoss, LOSSES, type LossSpec } from "../losses/index.js";
import { isDistillationLoss } from "../losses/loss.js";
import { forClasses } from "../losses/weighted_sum.js";
import { fitNetwork } from "../models/fit_network.js";
import { overlapOf } from "../models/overlap.js";
import { expectModule } from "../nn/expect_module.js";
import { Module } from "../nn/module.js";
import { OPTIMIZERS } from "../optim/index.js";
import { PendingCallbacks } from "../pending_callbacks.js";
import { showCount } from "../show.js";
import { taskOf } from "../tasks/index.js";
import { forRun } from "../teachers/for_run.js";
import type { Teacher } from "../teachers/index.js";
import { bfloat16Unit } from "../tensor/precision.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { expectCalibratable, expectCalibrationSet } from "../train/calibrate_teacher.js";
import {
  type Check,
  checkControls,
  expectCallback,
  expectFlag,
  RUN_CONTROLS,
  splitControls,
} from "../train/controls.js";
import { expectTrainable } from "../train/expect_trainable.js";
import { distillationSchema, expectSoftTargets, type ResolvedDistillation, resolveOptions } from "../train/options.js";
import { isExpression } from "../train/resolve_loss.js";
import { describeSchedule, resolveSchedule, stepsPerEpoch, withoutScheduleOptions } from "../train/run_schedule.js";
import type { ExperimentControls, ExperimentInput, Workers } from "./experiment_input.js";
import { ExternalTeacher } from "./external_teacher.js";
import { KEPT_BY_TRIALS, MAX_SEEDS, MAX_START_SECONDS } from "./options.js";
import type { CompareResult } from "./results.js";
import { expectLike, type SplitTask, splitTask } from "./task.js";
import { hashOf } from "./teacher.js";

/** The checked input: task, options with their defaults, and controls. */
export interface Experiment {
  task: SplitTask;
  test: Dataset;
  options: ResolvedDistillation;
  /** Null: the loss of Hinton, Vinyals and Dean with the options' temperature and alpha. */
  loss: LossSpec | null;
  calibrateTeacher: boolean;
  /** The teacher, if it is no network of Distillery's. */
  external: ExternalTeacher | null;
  /** Parameters of the teacher divided by those of the student. */
  teacherRatio: number;
  controls: Controls;
}

type Controls = Required<Omit<ExperimentControls, "metadata" | "workers">> &
  Pick<ExperimentControls, "metadata" | "workers"> & {
    /** What the callbacks answer. */
    answers: PendingCallbacks;
  };

const CONTROLS: Readonly<Record<keyof ExperimentControls, Check>> = {
  out: RUN_CONTROLS.out,
  resume: expectFlag,
  overwrite: expectFlag,
  collect: expectFlag,
  keepCheckpoints: RUN_CONTROLS.keepCheckpoints,
  metadata: RUN_CONTROLS.metadata,
  workers: expectWorkers,
  signal: RUN_CONTROLS.signal,
  onProgress: expectCallback,
  onTrial: expectCallback,
  onWork: expectCallback,
  onNote: expectCallback,
};
const TASK = [
  "teacher",
  "student",
  "data",
  "validation",
  "test",
  "loss",
  "calibrateTeacher",
] as const satisfies readonly (keyof ExperimentInput)[];

/** Checks what both have in common; `own` are the names that the one that is called takes beside. */
export function parseExperiment(input: ExperimentInput, own: readonly string[] = []): Experiment {
  const [given, more] = splitControls<ExperimentControls, ExperimentInput>(input, CONTROLS);
  const { teacher, student, data, validation, test, loss = null, calibrateTeacher = false, ...rest } = more;
  checkControls(given, CONTROLS);
  const { collect = false, overwrite = false, workers } = given;
  if (collect && overwrite) {
    throw argumentError("overwrite", "collect replaces nothing: leave one of the two out");
  }
  const options = resolveOptions(distillationSchema, rest, [...own, ...TASK, ...Object.keys(CONTROLS)]);
  expectFlags({ calibrateTeacher });
  expectSoftTargets({ ...options, calibrateTeacher });
  if (options.teacherMode === "train") {
    throw argumentError("teacherMode", 'expected "eval": the students are to get the same logits');
  }
  const task = splitTask({ teacher, student, data, validation });
  expectDataset(test, "test");
  expectLike(task.data, "test", test);
  expectApart(task, test);
  const overlap = task.teacher instanceof Module ? overlapOf(task.teacher, test, "teacher") : null;
  if (overlap !== null) {
    const text = `${overlap.text}: what the students learn from it would come from the test set`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  expectPath("out", given.out, "a folder");
  if (loss !== null) expectLoss("loss", loss, workers);
  if (workers !== undefined && typeof options.schedule === "function") {
    const text = "a function can't be sent to another process: leave workers out, or give a schedule by its name";
    throw argumentError("schedule", text);
  }
  const isExternal = typeof task.teacher !== "function" && !(task.teacher instanceof Module);
  const external = isExternal ? new ExternalTeacher(forRun(task.teacher as Teacher), task, options.precision) : null;
  if (calibrateTeacher) {
    if (external === null) expectCalibrationSet(task.validation, task.teacher);
    else expectCalibratable(task.validation, external.teacher);
  }
  return {
    task,
    test,
    options,
    loss,
    calibrateTeacher,
    external,
    teacherRatio: ratioOf(task, options),
    controls: controlsOf(given),
  };
}

/** The controls with their defaults. */
function controlsOf({ onProgress, onTrial, onWork, onNote, ...given }: ExperimentControls): Controls {
  const answers = new PendingCallbacks();
  return {
    resume: false,
    overwrite: false,
    collect: false,
    keepCheckpoints: KEPT_BY_TRIALS,
    signal: new AbortController().signal,
    ...given,
    answers,
    onProgress: answers.of(onProgress) ?? (() => {}),
    onTrial: answers.of(onTrial) ?? (() => {}),
    onWork: answers.of(onWork) ?? (() => {}),
    onNote: once(answers.of(onNote) ?? (() => {})),
  };
}

/** A note that several runs give is passed on once. */
function once(note: (text: string) => void): (text: string) => void {
  const said = new Set<string>();
  return (text) => said.size < said.add(text).size && note(text);
}

/** Refuses samples that are in two of training, validation and test data. */
function expectApart({ data, validation }: SplitTask, test: Dataset): void {
  const pairs = [
    ["test", test, data, "the training data"],
    ["test", test, validation, "the validation set, on which epochs are chosen,"],
    ["validation", validation, data, "the training data"],
  ] as const;
  for (const [name, samples, others, where] of pairs) {
    const count = countSamplesOf(originOf(others), samples);
    if (count === 0) continue;
    const text = `${showCount(count)} of ${showCount(samples.length)} samples are in ${where} too`;
    throw argumentError(name, text);
  }
}

/** Parameters of the teacher divided by those of the student; refuses networks that can't be trained on the data. */
function ratioOf({ teacher, student, data }: SplitTask, { labelSmoothing, batchSize }: ResolvedDistillation): number {
  const made = (name: string, make: () => Module) => {
    const network: unknown = make();
    expectModule(name, network);
    return network;
  };
  const [large, small, other] = withGenerator(new Generator(), (): [Module | Teacher, Module, Module] => [
    typeof teacher === "function" ? made("teacher()", teacher) : teacher,
    made("student()", student),
    made("student()", student),
  ]);
  const own = new Set(small.parameters());
  if (other.parameters().some((parameter) => own.has(parameter))) {
    const text =
      "expected a new network for each run, got the same parameters twice: make it inside, as () => new Net()";
    throw argumentError("student", text);
  }
  const isTrained = typeof teacher === "function" && large instanceof Module;
  expectTrainable({
    networks: { student: small, ...(isTrained && { teacher: large }) },
    teacher: large instanceof Module ? fitNetwork(large, data, "teacher") : null,
    loss: taskOf(data).hardLoss({ labelSmoothing }),
    data,
    batchSize,
    isEvaluated: true,
  });
  return large instanceof Module ? large.parameterCount() / Math.max(1, small.parameterCount()) : 1;
}

/** Refuses what is no loss, and one that several runs, or another process, can't have. */
export function expectLoss(name: string, loss: LossSpec, workers: Workers | undefined): void {
  if (isExpression(loss)) return;
  if (typeof loss !== "function" && !isDistillationLoss(loss)) {
    throw badArgument(name, "an expression, a loss or a function of the batch", loss);
  }
  const { modules } = loss as Partial<DistillationLoss>;
  if (workers === undefined && modules === undefined) return;
  const reason = modules ? "its modules would be shared by all runs" : "it can't be sent to another process";
  throw argumentError(name, `${reason}: give it as an expression, as ./my_loss.mjs`);
}

/** What `config.json` says of a loss. */
export function describeLoss(loss: LossSpec, classes: number): unknown {
  if (isExpression(loss)) return LOSSES.canonical(loss, { argument: "loss" });
  return forClasses(loss, classes).config();
}

function expectWorkers(name: string, workers: unknown): void {
  const { module, count, startSeconds } = Object(workers) as Partial<Workers>;
  if (typeof module !== "string" && !(module instanceof URL)) {
    throw badArgument(`${name}.module`, "a module's address", module);
  }
  if (count !== undefined) expectInteger(`${name}.count`, count, 1);
  if (startSeconds === undefined) return;
  const expected = `a number above 0, up to ${MAX_START_SECONDS}`;
  expectNumber(`${name}.startSeconds`, startSeconds, (x) => x > 0 && x <= MAX_START_SECONDS, expected);
}

/** The seeds of a comparison: a number of them from 0, or a list, each once. */
export function readSeeds(seeds: number | readonly number[]): number[] {
  if (!Array.isArray(seeds)) return Array.from({ length: expectInteger("seeds", seeds, 1, MAX_SEEDS) }, (_, i) => i);
  return expectDistinct("seeds", seeds, (name, seed) => expectInteger(name, seed, 0));
}

/** A list of at least one value, each once. */
export function expectDistinct(
  name: string,
  values: unknown,
  check: (name: string, value: unknown) => number,
): number[] {
  if (!Array.isArray(values) || values.length === 0) {
    throw badArgument(name, "a list of numbers", values);
  }
  if (values.length > MAX_SEEDS) {
    throw argumentError(name, `expected at most ${MAX_SEEDS} numbers, got ${values.length}`);
  }
  const checked = values.map((value, i) => check(`${name}[${i}]`, value));
  const again = checked.findIndex((value, i) => checked.indexOf(value) < i);
  if (again < 0) return checked;
  throw argumentError(`${name}[${again}]`, `expected each once, got ${checked[again]} again`);
}

/** The description of the data in a result. */
export function describeData({ task, test }: Experiment): CompareResult["data"] {
  const { data, validation } = task;
  const { name, task: kind, features, classes } = data;
  return {
    name,
    ...(kind && { task: kind }),
    training: data.length,
    validation: validation.length,
    test: test.length,
    features,
    classes,
  };
}

/** Everything that determines the figures: the options, the data and `more`. */
export function describeConfig(
  command: string,
  { task, test, options: { temperature, alpha, ...options }, loss, calibrateTeacher, controls }: Experiment,
  more: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { data, validation, teacher } = task;
  const hasOwn = loss !== null || "losses" in more;
  return {
    ...controls.metadata,
    command,
    ...withoutScheduleOptions(options),
    ...(!hasOwn && { temperature, alpha }),
    ...(typeof options.optimizer !== "function" && { optimizer: OPTIMIZERS.canonical(options.optimizer) }),
    ...describeSchedule(resolveSchedule(options.schedule, options), options.epochs * stepsPerEpoch(data, options)),
    ...(loss !== null && { loss: describeLoss(loss, data.classes) }),
    ...(calibrateTeacher && { calibrateTeacher }),
    // Each unit rounds in its own way: the runs that are compared are to have the same.
    ...(options.precision === "bfloat16" && { bfloat16Unit: bfloat16Unit() }),
    ...more,
    dataHash: fingerprintOf(data),
    validationHash: fingerprintOf(validation),
    testHash: fingerprintOf(test),
    ...(typeof teacher !== "function" && { teacherHash: hashOf(teacher, data) }),
  };
}
