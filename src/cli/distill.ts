import { Command } from "commander";
import { distillationOptions, SCHEMAS } from "../config/index.js";
import { overlapOf } from "../models/trained_on.js";
import { Module } from "../nn/module.js";
import { distill } from "../train/index.js";
import { dryRun } from "./dry_run.js";
import { interruptible, UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";
import { addLoading, addOptions, addRunning, givenFlags, type LoadFlags, type TrainingFlags } from "./flags.js";
import { RunPrinter } from "./printer.js";
import { type RunSummary, summarizeRun } from "./run_summary.js";
import type { Settings } from "./settings.js";
import { controlsOf, expectBatches, Networks, setUp, withTeacherNetwork } from "./setup.js";

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
  const { source } = await setUp(config, undefined, flags);
  const teacher =
    config.teacher === undefined
      ? networks.make("teacherNetwork", source.context)
      : await networks.readTeacher({ ...config, teacher: config.teacher }, flags, source);
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
  if (overlap) printer.note(overlap.text);
  try {
    const result = await interruptible(printer.note, (signal) =>
      distill({ ...input, ...controls, signal, ...printer.controls }),
    );
    const run = { role: "student", network: student, ...(network && { teacher: network }) } as const;
    return await summarizeRun(printer, { ...run, result, source, out, report });
  } finally {
    printer.close();
  }
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
