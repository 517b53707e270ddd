import { show } from "../checks.js";
import type { Schedule } from "../optim/schedules.js";
import type { Issue } from "../registry/index.js";
import { type ShardOptions, shardIssue } from "../train/options.js";
import { type ScheduleOptions, scheduleIssue } from "../train/schedule.js";
import { AVERAGE_OPTIONS } from "./schemas.js";

/** The options that rules are about; undefined if a command lacks one. */
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
  augment?: { shift?: number | undefined; crop?: number | undefined; flip?: number | undefined } | undefined;
  patience: number | null;
  from?: string | undefined;
  seeds?: number;
  chain?: readonly string[] | undefined;
  generations?: number | undefined;
  tensorboard?: boolean | string;
  csv?: boolean | string;
  temperatures?: readonly number[];
  loss?: string | undefined;
  losses?: readonly string[] | undefined;
}

/** Options that are valid alone and contradict each other; `userOptions` are those that are no defaults. */
export function rulesBroken(config: Ruled, userOptions: object): Issue[] {
  const { data, teacher, teacherMode, teacherCache, validation, augment, patience } = config;
  const teachers = teacher === undefined ? 0 : [teacher].flat().length;
  const isChain = config.chain !== undefined || config.generations !== undefined;
  const isSynthetic = data === "synthetic";
  const isExperiment = config.seeds !== undefined || config.temperatures !== undefined;
  const changesImages = (augment?.shift ?? augment?.crop ?? augment?.flip) !== undefined;
  const besideLoss = ["temperature", "alpha"].filter(
    (name) => (config.loss ?? config.losses) !== undefined && Object.hasOwn(userOptions, name),
  );
  const rules: [broken: boolean, option: string, text: string][] = [
    [
      teacher !== undefined && config.teacherColumn !== undefined,
      "teacherColumn",
      "the column is the teacher: leave out either it or the other",
    ],
    [
      teacherMode !== undefined &&
        teacher === undefined &&
        config.teacherColumn === undefined &&
        config.loss === undefined &&
        !isSynthetic &&
        !isChain,
      "teacher",
      `needed with data ${data}; \`distillery train-teacher\` makes one`,
    ],
    [config.chain !== undefined && config.generations !== undefined, "generations", "the chain says what is trained"],
    [
      config.chain !== undefined && Object.hasOwn(userOptions, "student"),
      "student",
      "the chain says what is trained: its last network is the student",
    ],
    ...(["tensorboard", "csv"] as const).map((name): [boolean, string, string] => [
      isChain && typeof config[name] === "string",
      name,
      `expected no path, got ${show(config[name])}: each link's are in its own folder`,
    ]),
    ...AVERAGE_OPTIONS.map((name): [boolean, string, string] => [
      Object.hasOwn(userOptions, name) && teachers < 2,
      name,
      `is for several teachers, got ${teachers}`,
    ]),
    [
      config.teacherWeights !== undefined && teachers >= 2 && config.teacherWeights.length !== teachers,
      "teacherWeights",
      `expected ${teachers} numbers, one for each teacher, got ${config.teacherWeights?.length}`,
    ],
    [
      isSynthetic && isExperiment,
      "data",
      "expected a data set's name, folder or file: the synthetic data are noise, on which nothing can be compared",
    ],
    [isExperiment && !isSynthetic && validation === 0, "validation", "needed: it tells which epoch is best"],
    [isSynthetic && validation > 0, "validation", "the synthetic data are noise, which nothing can be validated on"],
    [isSynthetic && changesImages, "augment", "the synthetic data are no images: only noise and mixup suit them"],
    [
      augment?.shift !== undefined && augment.crop !== undefined,
      "augment",
      "expected shift or crop, which are the same",
    ],
    [
      config.from !== undefined && (config.chain ?? config.generations) !== undefined,
      "from",
      "starts one student, not those of a chain: leave it out",
    ],
    [
      augment !== undefined && Object.keys(augment).length === 0,
      "augment",
      "expected shift, crop, flip, noise or mixup",
    ],
    [
      Object.hasOwn(userOptions, "splitSeed") && validation === 0 && (isSynthetic || config.testFraction === 0),
      "splitSeed",
      "nothing is held out, which it is the seed of: leave it out",
    ],
    [patience !== null && validation === 0, "patience", "needs a validation set, which tells which epoch is better"],
    [
      config.loss !== undefined && config.losses !== undefined,
      "losses",
      "one loss is given too: leave one of the two out",
    ],
    [
      (config.calibrateTeacher ?? false) !== false && validation === 0,
      "calibrateTeacher",
      "needs a validation set, on which the temperature is chosen",
    ],
    [
      teacherCache === true && teacherMode === "train",
      "teacherCache",
      "the logits of a teacher in train mode change at each step: use eval mode",
    ],
    [teacherCache === true && augment !== undefined, "teacherCache", "the data are augmented at random"],
    ...besideLoss.map((name): [boolean, string, string] => [
      true,
      name,
      `the loss does not use it: write it as an argument there, as kd(${name}=${name === "alpha" ? 0.9 : 4})`,
    ]),
  ];
  const issues = rules.filter(([broken]) => broken).map(([, option, text]): Issue => ({ path: [option], text }));
  const ofOthers = [scheduleIssue(config.schedule, config), shardIssue(config)];
  return [...issues, ...ofOthers.filter((issue) => issue !== null)];
}
