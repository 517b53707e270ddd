import { join } from "node:path";
import { load } from "../checkpoint/index.js";
import { REPORT } from "../checkpoint/run_folder.js";
import type { ExperimentInput } from "../compare/experiment_input.js";
import type { CompareResult, Share, ShareResult, SweepResult, Task, Workers } from "../compare/index.js";
import { labelOf } from "../compare/methods.js";
import { MAX_START_SECONDS } from "../compare/options.js";
import { runsOf } from "../compare/run_experiment.js";
import { fractionOf, teacherOf } from "../compare/task.js";
import type { Trial } from "../compare/trial.js";
import { underName } from "../compare/trial_losses.js";
import { type ResolvedConfig, runMetadata, trainingOptions } from "../config/index.js";
import { DistilleryError } from "../errors.js";
import { Module } from "../nn/module.js";
import { ROOT } from "../package.js";
import { type Report, type ReportExtras, writeReport } from "../report/index.js";
import { showCount } from "../show.js";
import type { Teacher } from "../teachers/index.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { numCores } from "../threads.js";
import type { ResolvedTraining } from "../train/options.js";
import { dryRun, type PlannedRun } from "./dry_run.js";
import { interruptible } from "./error_boundary.js";
import { expectBatches, expectLossBatches } from "./expect_batches.js";
import { expectNoNetworkOptions, shownTeacher, withoutTeacherColumn } from "./external_teacher.js";
import type { LoadFlags, ShowFlags, TrainingFlags } from "./flags.js";
import { expectReadable, Networks, withTeacherNetwork } from "./networks.js";
import { openingLines } from "./opening.js";
import { ExperimentPrinter } from "./printer.js";
import { commandLine } from "./run_summary.js";
import type { Settings } from "./settings.js";
import { type ShareFlags, shareLine, shareOf } from "./share.js";
import { type Source, setUp } from "./source.js";
import { stoppableRun } from "./stoppable_run.js";

/** The flags of a comparison or a sweep. */
export type ExperimentFlags = TrainingFlags & LoadFlags & ShareFlags;

/** Identifies the experiment, here and in a worker process. */
type ExperimentSettings = (Settings<"compare"> | Settings<"sweep">) & { flags: ExperimentFlags };

/** How a comparison and a sweep differ. */
interface ExperimentKind<O extends object, R extends CompareResult | SweepResult> {
  /** Options that the other command does not have. */
  options: O;
  /** The trials that would be trained. */
  trials: (input: Input<O>) => Promise<readonly Trial[]>;
  run: (input: Input<O>) => Promise<R>;
  runShare: (input: Input<O>, share: Share) => Promise<ShareResult>;
  report: (result: R, extras: ReportExtras) => Report;
  /** The weights of the student whose predictions the report shows. */
  studentFile: (result: R) => string;
  /** What is printed at the end: lines, or with `--json` an object. */
  end: (result: R) => [object: object, lines: string[]];
}

type Input<O> = Omit<ExperimentInput, "temperature" | "alpha" | "calibrateTeacher"> & { seeds: number[] } & O;

/**
 * Runs a comparison or a sweep, or a share of its runs: prints a line per run, prints the result at the end and writes
 * its report.
 */
export async function runExperimentCommand<O extends object, R extends CompareResult | SweepResult>(
  settings: Settings<"compare"> | Settings<"sweep">,
  flags: ExperimentFlags,
  kind: ExperimentKind<O, R>,
): Promise<void> {
  const { config, userOptions } = settings;
  const { seed, seeds, out, loss, keepCheckpoints } = config;
  const { resume = false, overwrite = false, collect = false } = flags;
  const share = shareOf(flags);
  const experiment = { ...settings, flags };
  const opened = await openExperiment(experiment);
  const { task, test } = opened;
  for (const fraction of ("fractions" in config ? config.fractions : undefined) ?? []) {
    await expectTaskBatches({ ...task, data: fractionOf(task.data, fraction) }, config);
  }
  const input = {
    ...task,
    test,
    out,
    resume,
    overwrite,
    collect,
    keepCheckpoints,
    loss,
    ...trainingOptions(config),
    seeds: Array.from({ length: seeds }, (_, i) => seed + i),
    workers: workersOf(experiment, opened),
    ...kind.options,
  };
  if (flags.dryRun) return dryRunExperiment(opened, trainingOptions(config), await kind.trials(input), share, flags);
  const metadata = await runMetadata(withTeacherNetwork(config, task.teacher), userOptions);
  const printer = new ExperimentPrinter(flags, opened.opening);
  try {
    const started = (signal: AbortSignal) => ({ ...input, signal, metadata, ...printer.controls });
    if (share !== null) {
      const done = await interruptible(printer.note, (signal) => kind.runShare(started(signal), share));
      return printer.end({ ...done, out }, [shareLine(done, out)]);
    }
    const train = (signal: AbortSignal) => kind.run(started(signal));
    await stoppableRun(printer, out, train, async (result, expectGoing) => {
      const files = [join(out, `${result.kind}.json`)];
      if (config.report) {
        await expectGoing("the report");
        const networks = await networksOf(task, result.teacher.file, kind.studentFile(result));
        files.push(join(out, REPORT));
        await writeReport(files[1], kind.report(result, { networks, test, command: commandLine() }));
      }
      const [object, lines] = kind.end(result);
      printer.end({ ...object, files }, [...lines, `Written to ${files.join(" and ")}`]);
    });
  } finally {
    printer.close();
  }
}

/** The data and the teacher of an experiment. */
interface OpenExperiment {
  task: Task;
  source: Source;
  test: NonNullable<Source["test"]>;
  /** Lines about data and networks, at most `width` columns wide. */
  opening: (width: number) => string[];
  /** How long opening it took. */
  openSeconds: number;
}

/** Opens the data, and reads the teacher if it is already trained. */
async function openExperiment({ config, userOptions, flags }: ExperimentSettings): Promise<OpenExperiment> {
  const start = performance.now();
  const source = await setUp(withoutTeacherColumn(config), undefined, flags);
  const { context, validation, test } = source;
  if (test === null) {
    throw new DistilleryError("BAD_DATA", `${config.data}: has no test part, which the students could be compared on`);
  }
  const networks = await Networks.open(userOptions);
  const trained = await networks.teacherOf(config, flags, source);
  if (trained !== null && !(trained instanceof Module)) expectNoNetworkOptions(userOptions);
  const task: Task = {
    teacher: trained ?? (() => networks.make("teacherNetwork", context)),
    student: () => networks.make("student", context),
    data: source.train(),
    validation: validation ?? undefined,
  };
  const { student, teacher } = await expectTaskBatches(task, config);
  const opening = (width: number) =>
    openingLines(
      { source, training: task.data, validation },
      { teacher: shownTeacher(teacher, config), student },
      width,
    );
  return { task, source, test, opening, openSeconds: (performance.now() - start) / 1000 };
}

/** Makes the networks of the task; refuses batch sizes that they, or the losses' modules, can't be trained with. */
async function expectTaskBatches(
  { teacher: given, student: make, data }: Pick<Task, "teacher" | "student" | "data">,
  config: ExperimentSettings["config"],
): Promise<{ student: Module; teacher: Module | Teacher }> {
  const { student, teacher } = withGenerator(new Generator(), () => ({
    student: make(),
    teacher: teacherOf({ teacher: given }),
  }));
  expectReadable("student", student, data);
  expectBatches(student, config, data);
  if (typeof given === "function" && teacher instanceof Module) {
    expectReadable("teacherNetwork", teacher, data);
    expectBatches(teacher, config, data);
  }
  const losses = "losses" in config ? config.losses : undefined;
  for (const loss of losses ?? [config.loss]) {
    await underName(losses ? "losses" : "loss", () => expectLossBatches(loss, { student, teacher, data }, config));
  }
  return { student, teacher };
}

/** The task of an experiment in a worker process. */
export default async function taskOf(settings: ExperimentSettings): Promise<Task> {
  // The process that started this one has printed the notes about the teacher's file.
  return (await openExperiment({ ...settings, flags: { ...settings.flags, quiet: true } })).task;
}

/** Worker processes that open the same task, as many as `parallel` says. */
export function workersOf(settings: ExperimentSettings, { openSeconds }: OpenExperiment): Workers {
  const { parallel } = settings.config as ResolvedConfig<"compare">;
  return {
    module: new URL("dist/cli/experiment.js", ROOT),
    argument: settings,
    // Ten times what it took here for each process: they may share a core, or a slow disk.
    startSeconds: Math.min(60 + 10 * openSeconds * (parallel ?? numCores()), MAX_START_SECONDS),
    count: parallel,
  };
}

/** The networks whose predictions a report shows, from their files. */
async function networksOf(
  task: Task,
  teacherFile: string | null,
  studentFile: string,
): Promise<{ teacher?: Module; student: Module }> {
  const loaded = async (network: Module, file: string) => network.loadStateDict(await load(file));
  const network = teacherOf(task);
  return {
    ...(network instanceof Module && teacherFile !== null && { teacher: await loaded(network, teacherFile) }),
    student: await loaded(task.student(), studentFile),
  };
}

/**
 * Prints what would be trained: the students that differ in what they learn (for a share only its own), and the teacher
 * unless it is already trained.
 */
async function dryRunExperiment(
  { task, source }: OpenExperiment,
  training: ResolvedTraining,
  trials: readonly Trial[],
  share: Share | null,
  flags: ShowFlags,
): Promise<void> {
  const own = runsOf(trials, share);
  const { data } = task;
  const [teacher, student] = [teacherOf(task), task.student()];
  const common = { ...training, validation: source.validation ?? undefined };
  const losses = new Set(own.flatMap(({ kind, loss }) => (kind === "distilled" ? [loss] : [])));
  const students = own.map(({ kind, loss, fraction = 1, options: { labelSmoothing } }): PlannedRun => {
    const part = fraction === 1 ? data : fractionOf(data, fraction);
    const of = fraction === 1 ? "" : `, ${showCount(part.length)} samples`;
    if (kind === "baseline") {
      return { name: `a baseline student${of}`, times: 1, input: { ...common, data: part, model: student } };
    }
    const by = losses.size < 2 || loss === null ? "" : ` by ${labelOf(loss)}`;
    const input = { ...common, labelSmoothing, data: part, teacher, student, loss: loss ?? undefined };
    return { name: `a distilled student${by}${of}`, times: 1, input };
  });
  const planned = new Map<string, PlannedRun>();
  const network = teacher instanceof Module ? teacher : null;
  if (typeof task.teacher === "function" && network !== null && (share?.index ?? 0) === 0) {
    const name = "the teacher";
    planned.set(name, { name, times: 1, input: { ...common, data, model: network } });
  }
  for (const run of students) planned.set(run.name, { ...run, times: 1 + (planned.get(run.name)?.times ?? 0) });
  return dryRun({ teacher: network, student }, [...planned.values()], source, flags);
}
