import { setImmediate } from "node:timers/promises";
import { distillationOptions } from "../config/index.js";
import type { Dataset } from "../data/index.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { readsTeacher } from "../losses/loss.js";
import type { NetworkContext } from "../models/network.js";
import { overlapOf } from "../models/overlap.js";
import { isSilentRank } from "../mpi.js";
import { Module } from "../nn/module.js";
import { taskOf } from "../tasks/index.js";
import type { Teacher } from "../teachers/index.js";
import { Generator } from "../tensor/random.js";
import { distill } from "../train/index.js";
import { type LossUse, makeLoss, resolveLoss } from "../train/resolve_loss.js";
import { dryRun } from "./dry_run.js";
import { interruptible, UsageError } from "./error_boundary.js";
import { expectDistillationBatches } from "./expect_batches.js";
import {
  columnTeacher,
  expectNoNetworkOptions,
  expectNoTeacherOptions,
  shownTeacher,
  withoutTeacherColumn,
} from "./external_teacher.js";
import type { LoadFlags, TrainingFlags } from "./flags.js";
import { expectReadable, Networks, withTeacherNetwork } from "./networks.js";
import { openingLines } from "./opening.js";
import { RunPrinter } from "./printer.js";
import { controlsOf } from "./run_controls.js";
import { type RunSummary, summarizeRun } from "./run_summary.js";
import type { Settings } from "./settings.js";
import { type Source, setUp } from "./source.js";
import { stoppableRun } from "./stoppable_run.js";
import { printError } from "./terminal.js";

type DistillFlags = TrainingFlags & LoadFlags;

/** Explains what looks like a mistake in the reference script. */
const ON_NOISE =
  "The reference script: an untrained teacher is distilled on random data, on purpose, to compare numbers with PyTorch's. --data and --teacher take real ones.";

/** Distils, prints a line per epoch, and reports where the student is and how accurate it is; null for a dry run. */
export async function runDistill(settings: Settings<"distill">, flags: DistillFlags): Promise<RunSummary | null> {
  const { config, userOptions } = settings;
  const { out, report, teacherCache, calibrateTeacher } = config;
  const networks = await Networks.open(userOptions);
  const column = await columnTeacher(config);
  const source = await setUp(withoutTeacherColumn(config), undefined, flags);
  const teacher = column ?? (await teacherOf(config, networks, flags, source));
  const network = teacher instanceof Module ? teacher.freeze() : null;
  if (teacher === null) expectNoTeacherOptions(userOptions);
  else if (network === null) expectNoNetworkOptions(userOptions);
  const student = await networks.makeFrom("student", studentContext(config, source), config.from, flags);
  const data = source.train();
  const input = {
    ...distillationOptions(config),
    teacherMode: await teacherModeOf(config, userOptions, { student, teacher, data }),
    teacher: teacher ?? undefined,
    student,
    data,
    validation: source.validation ?? undefined,
    teacherCache,
    calibrateTeacher,
  };
  expectReadable("student", student, input.data);
  if (teacher === null) await expectNoTeacherNeeded(config, student, input.data);
  if (config.teacher === undefined && network !== null) expectReadable("teacherNetwork", network, input.data);
  await expectDistillationBatches(input);
  if (flags.dryRun) {
    await dryRun({ teacher: network, student }, [{ name: "the distillation", input, times: 1 }], source, flags);
    return null;
  }
  const controls = await controlsOf({ config: withTeacherNetwork(config, teacher), userOptions }, flags);
  const isDefault = config.loss === undefined && !hasTargets(input.data);
  const lossName = isDefault ? "KD Loss" : "Loss";
  const opening = (width: number) =>
    openingLines(
      { source, training: input.data, validation: source.validation },
      { ...(teacher && { teacher: shownTeacher(teacher, config) }), student },
      width,
    );
  const printer = new RunPrinter(flags, { lossName, epochs: config.epochs, details: !isDefault, opening });
  const overlap = source.test && network && overlapOf(network, source.test, "teacher");
  // For `npm start` only: scripts compare the command's output with PyTorch's.
  const isStart = process.env.npm_lifecycle_event === "start";
  if (isStart && config.data === "synthetic" && config.teacher === undefined) printer.note(ON_NOISE);
  try {
    const train = (signal: AbortSignal) => distill({ ...input, ...controls, signal, ...printer.controls });
    return await stoppableRun(printer, out, train, async (result, expectGoing) => {
      if (isSilentRank()) return null;
      const run = { role: "student", network: student, ...(teacher && { teacher: network }), overlap } as const;
      return summarizeRun(printer, { ...run, result, source, out, report, expectGoing });
    });
  } finally {
    printer.close();
  }
}

/** What the student is made for: vectors may have other dimensions than the targets. */
export function studentContext(
  { dimensions }: Pick<Settings<"distill">["config"], "dimensions">,
  { context, train }: Source,
): NetworkContext {
  if (dimensions === undefined) return context;
  const { name, width } = taskOf(train());
  if (width(context.classes) < 0) return { ...context, classes: dimensions };
  throw new UsageError(`--dimensions: needs vectors (--task vectors), and the data are for ${name}`);
}

/** How the teacher is used: the default for the synthetic data is of no use to a loss that reads no teacher. */
export async function teacherModeOf(
  { loss, labelSmoothing, teacherMode }: Settings<"distill">["config"],
  userOptions: object,
  use: Pick<LossUse, "student" | "teacher" | "data">,
): Promise<"train" | "eval"> {
  if (teacherMode === "eval" || loss === undefined || Object.hasOwn(userOptions, "teacherMode")) return teacherMode;
  // The loss may be a module of the user's, which may take long.
  return interruptible(
    printError,
    async (signal) => {
      const made = await makeLoss(loss, { ...use, labelSmoothing, generator: new Generator() });
      // A signal that came meanwhile is known after a turn of the event loop.
      await setImmediate();
      if (signal.aborted) throw new DistilleryError("ABORTED", "stopped before the training");
      return readsTeacher(made.loss) ? teacherMode : "eval";
    },
    "stopping before the training",
  );
}

/** The teacher in a file. Without one: for synthetic data a network with random weights, otherwise none. */
async function teacherOf(
  config: Settings<"distill">["config"],
  networks: Networks,
  flags: LoadFlags,
  source: Source,
): Promise<Module | Teacher | null> {
  const { teacher } = config;
  if (teacher === undefined) return source.isSynthetic ? networks.make("teacherNetwork", source.context) : null;
  return networks.readTeacher({ ...config, teacher }, flags, source);
}

/** Refuses a loss that needs a teacher if there is none. */
async function expectNoTeacherNeeded(
  { loss, labelSmoothing }: Settings<"distill">["config"],
  student: Module,
  data: Dataset,
): Promise<void> {
  if (loss === undefined) return;
  const use = { student, teacher: null, data, labelSmoothing, generator: new Generator() };
  const made = await resolveLoss(loss, use);
  if (readsTeacher(made))
    throw new UsageError(`--teacher: the loss ${made.name} needs one; \`distillery train-teacher\` makes it`);
}
