import { show } from "../checks.js";
import type { Schedule } from "../optim/schedules.js";
import type { Issue } from "../registry/index.js";
import { UNCACHEABLE } from "../teachers/logits_in_order.js";
import { teacherSchema } from "../teachers/options.js";
import { NEEDS_VALIDATION, type ShardOptions, shardIssue, softTargetIssue } from "../train/options.js";
import { type ScheduleOptions, scheduleIssue } from "../train/run_schedule.js";
import { AVERAGE_OPTIONS } from "./schemas.js";

/** The options that the rules read; undefined if the command has no such option. */
interface Ruled extends ScheduleOptions, ShardOptions {
  schedule: string | Schedule;
  data: string;
  teacher?: string | readonly string[] | undefined;
  teacherWeights?: readonly number[] | undefined;
  teacherColumn?: string | undefined;
  teacherCache?: boolean | undefined;
  calibrateTeacher?: boolean | "both" | undefined;
  validation: number;
  testFraction: number;
  stream: boolean;
  augment?: { shift?: number | undefined; crop?: number | undefined; flip?: number | undefined } | undefined;
  patience: number | null;
  from?: string | undefined;
  seeds?: number;
  chain?: readonly string[] | undefined;
  generations?: number | undefined;
  tensorboard?: boolean | string;
  csv?: boolean | string;
  temperature?: number | undefined;
  alpha?: number | undefined;
  temperatures?: readonly number[];
  loss?: string | undefined;
  losses?: readonly string[] | undefined;
}

/** The rules that options break together, though each is valid alone. `userOptions` are those that the user gave. */
export function rulesBroken(config: Ruled, userOptions: object): Issue[] {
  const { data, teacher, teacherMode, teacherCache, validation, augment, patience } = config;
  const teachers = teacher === undefined ? 0 : [teacher].flat().length;
  const isChain = config.chain !== undefined || config.generations !== undefined;
  const isSynthetic = data === "synthetic";
  const isExperiment = config.seeds !== undefined || config.temperatures !== undefined;
  const changesImages = (augment?.shift ?? augment?.crop ?? augment?.flip) !== undefined;
  const heldOut = validation > 0;
  const issues: Issue[] = [];
  const refuse = (option: string, text: string, isBroken: boolean) => {
    if (isBroken) issues.push({ path: [option], text });
  };
  const hasTeacher = teacher !== undefined || config.teacherColumn !== undefined;
  refuse(
    "teacherColumn",
    "teacher is given too: leave one of the two out",
    teacher !== undefined && config.teacherColumn !== undefined,
  );
  refuse(
    "teacher",
    `needed with data ${data}; \`distillery train-teacher\` makes one`,
    teacherMode !== undefined && !hasTeacher && config.loss === undefined && !isSynthetic && !isChain,
  );
  const { chain, generations } = config;
  refuse(
    "generations",
    "chain is given too: leave one of the two out",
    chain !== undefined && generations !== undefined,
  );
  refuse(
    "student",
    "the last network of the chain is the student: leave this option out",
    chain !== undefined && Object.hasOwn(userOptions, "student"),
  );
  refuse(
    "teacherNetwork",
    "names the network of a teacher's file, and no teacher is given: give one, or leave this option out",
    isChain && !hasTeacher && Object.hasOwn(userOptions, "teacherNetwork"),
  );
  for (const name of ["tensorboard", "csv"] as const) {
    const text = `expected true or false, got ${show(config[name])}: each network of the chain has its own in its folder`;
    refuse(name, text, isChain && typeof config[name] === "string");
  }
  for (const name of AVERAGE_OPTIONS) {
    refuse(name, `needs two teachers or more, got ${teachers}`, Object.hasOwn(userOptions, name) && teachers < 2);
  }
  for (const name of Object.keys(teacherSchema.entries)) {
    const isOfColumn = name === "teacherClasses" && config.teacherColumn !== undefined;
    const text = "needs a teacher's file (--teacher)";
    refuse(name, text, Object.hasOwn(userOptions, name) && teachers === 0 && !isOfColumn);
  }
  const weights = config.teacherWeights?.length ?? teachers;
  refuse(
    "teacherWeights",
    `expected ${teachers} numbers, one for each teacher, got ${weights}`,
    teachers >= 2 && weights !== teachers,
  );
  refuse(
    "data",
    "expected a data set's name, folder or file: the synthetic data are noise, on which nothing can be compared",
    isSynthetic && isExperiment,
  );
  refuse(
    "validation",
    "needed: the best epoch is chosen on the validation set",
    isExperiment && !isSynthetic && !heldOut,
  );
  refuse("validation", "expected 0 with the synthetic data, which are noise", isSynthetic && heldOut);
  refuse(
    "augment",
    "shift, crop and flip need images, which the synthetic data are not: leave them out",
    isSynthetic && changesImages,
  );
  const { shift, crop } = augment ?? {};
  refuse(
    "augment",
    "expected one of shift and crop, which are the same, got both",
    shift !== undefined && crop !== undefined,
  );
  refuse(
    "from",
    "is for a single student, and a chain trains several: leave it out",
    config.from !== undefined && isChain,
  );
  refuse("stream", "the synthetic data are not read from files: leave it out", isSynthetic && config.stream);
  refuse(
    "testFraction",
    "expected 0 with the synthetic data, which are noise",
    isSynthetic && Object.hasOwn(userOptions, "testFraction") && config.testFraction > 0,
  );
  const isEmpty = augment !== undefined && Object.keys(augment).length === 0;
  refuse("augment", "expected shift, crop, flip, noise or mixup", isEmpty);
  refuse(
    "splitSeed",
    "nothing is held out, so there is nothing to split: leave it out",
    Object.hasOwn(userOptions, "splitSeed") && !heldOut && (isSynthetic || config.testFraction === 0),
  );
  refuse("patience", NEEDS_VALIDATION.patience, patience !== null && !heldOut);
  refuse(
    "losses",
    "loss is given too: leave one of the two out",
    config.loss !== undefined && config.losses !== undefined,
  );
  refuse(
    "calibrateTeacher",
    NEEDS_VALIDATION.calibrateTeacher,
    (config.calibrateTeacher ?? false) !== false && !heldOut,
  );
  refuse(
    "teacherCache",
    "the logits of a teacher in train mode change at each step: use eval mode",
    teacherCache === true && teacherMode === "train",
  );
  refuse("teacherCache", UNCACHEABLE.augmented, teacherCache === true && augment !== undefined);
  for (const name of ["temperature", "alpha"]) {
    const text = `has no effect beside a loss: write it into the loss, as kd(${name}=${name === "alpha" ? 0.9 : 4})`;
    refuse(name, text, (config.loss ?? config.losses) !== undefined && Object.hasOwn(userOptions, name));
  }
  const ofOthers = [scheduleIssue(config.schedule, config), shardIssue(config), softTargetIssue(config)];
  return [...issues, ...ofOthers.filter((issue) => issue !== null)];
}
