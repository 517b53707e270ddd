import { Command } from "commander";
import { distillationOptions, SCHEMAS } from "../config/index.js";
import { overlapOf } from "../models/overlap.js";
import { Module } from "../nn/module.js";
import { logitsColumn, type Teacher } from "../teachers/index.js";
import { distill } from "../train/index.js";
import { dryRun } from "./dry_run.js";
import { interruptible, UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";
import { addLoading, addOptions, addRunning, givenFlags, type LoadFlags, type TrainingFlags } from "./flags.js";
import { RunPrinter } from "./printer.js";
import { type RunSummary, summarizeRun } from "./run_summary.js";
import type { Settings } from "./settings.js";
import { controlsOf, expectBatches, Networks, type Source, setUp, withTeacherNetwork } from "./setup.js";

type DistillFlags = TrainingFlags & LoadFlags;

const TEACHER =
  "teacher weights, .pth or .safetensors, or logits by sample, .npy, .npz or .safetensors, an ONNX network, or a function of your own, ./teacher.mjs; several times for several teachers, which are averaged (default for synthetic data: random weights)";

/** `distillery distill`. */
export function distillCommand(run: (flags: DistillFlags) => Promise<void>): Command {
  const command = new Command("distill").description(
    "distil a teacher into a student; by default the reference script, number for number",
  );
  return addLoading(addRunning(addOptions(command, SCHEMAS.distill, { teacher: TEACHER }))).action(() =>
    run(givenFlags(command)),
  );
}

/** Distils, prints a line an epoch, and says where the student is and how accurate it is; nothing for a dry run. */
export async function runDistill(settings: Settings<"distill">, flags: DistillFlags): Promise<RunSummary | null> {
  const { config, userOptions } = settings;
  const { out, report } = config;
  const networks = await Networks.open(userOptions);
  const column = await columnTeacher(config);
  const { source } = await setUp(withoutTeacherColumn(config), undefined, flags);
  const teacher = column ?? (await teacherOf(config, networks, flags, source));
  const network = teacher instanceof Module ? teacher.freeze() : null;
  if (network === null) expectNoNetworkOptions(userOptions);
  const student = await networks.makeFrom("student", source.context, config.from, flags);
  const input = {
    ...distillationOptions(config),
    teacher,
    student,
    data: source.train(),
    ...(source.validation && { validation: source.validation }),
    ...(config.teacherCache !== undefined && { teacherCache: config.teacherCache }),
    ...(config.calibrateTeacher !== undefined && { calibrateTeacher: config.calibrateTeacher }),
  };
  expectBatches(student, input, input.data);
  if (input.teacherMode === "train" && network !== null) expectBatches(network, input, input.data);
  if (flags.dryRun) {
    await dryRun({ teacher: network, student }, [{ name: "the distillation", input, times: 1 }], source, flags);
    return null;
  }
  const controls = await controlsOf({ config: withTeacherNetwork(config, teacher), userOptions }, flags);
  const lossName = config.loss === undefined ? "KD Loss" : "Loss";
  const printer = new RunPrinter(flags, { lossName, epochs: config.epochs, details: config.loss !== undefined });
  const overlap = source.test && network && overlapOf(network, source.test, "teacher");
  try {
    const result = await interruptible(printer.note, (signal) =>
      distill({ ...input, ...controls, signal, ...printer.controls }),
    );
    const run = { role: "student", network: student, ...(network && { teacher: network }), overlap } as const;
    return await summarizeRun(printer, { ...run, result, source, out, report });
  } finally {
    printer.close();
  }
}

/** The same options with the teacher's column among those that are no part of the samples. */
function withoutTeacherColumn<C extends Settings<"distill">["config"]>(config: C): C {
  const { teacherColumn, dropColumns = [] } = config;
  return teacherColumn === undefined ? config : { ...config, dropColumns: [...dropColumns, teacherColumn] };
}

/** The teacher that a column of the data is; null: none is. */
async function columnTeacher(config: Settings<"distill">["config"]): Promise<Teacher | null> {
  const { data, teacherColumn, teacherClasses: classes, header, encoding, labelColumn } = config;
  if (teacherColumn === undefined) return null;
  const options = Object.entries({ classes, header, encoding, labelColumn }).filter(([, value]) => value !== undefined);
  return logitsColumn(data, teacherColumn, Object.fromEntries(options));
}

/** The teacher of a file, or without one a network as it is drawn. */
async function teacherOf(
  config: Settings<"distill">["config"],
  networks: Networks,
  flags: LoadFlags,
  source: Source,
): Promise<Module | Teacher> {
  const { teacher } = config;
  if (teacher === undefined) return networks.make("teacherNetwork", source.context);
  return networks.readTeacher({ ...config, teacher }, flags, source);
}

/** Refuses options that say how a network is used beside a teacher that is none. */
function expectNoNetworkOptions(userOptions: Settings<"distill">["userOptions"]): void {
  const given = (["teacherMode", "teacherCache", "teacherNetwork"] as const).find(
    (option) => userOptions[option] !== undefined,
  );
  if (given === undefined) return;
  throw new UsageError(
    `${flagOf(given)}: --teacher ${userOptions.teacher} is no network of Distillery's, which takes it`,
  );
}
