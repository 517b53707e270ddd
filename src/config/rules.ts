import type { Issue } from "../registry/index.js";

/** The options that rules speak of; a command that lacks one has it undefined. */
interface Ruled {
  data: string;
  teacher?: string | undefined;
  teacherMode?: string;
  teacherCache?: boolean | undefined;
  validation: number;
  augment?: { shift?: number | undefined; crop?: number | undefined; flip?: number | undefined } | undefined;
  patience: number | null;
  schedule: unknown;
  warmupSteps: number;
  seeds?: number;
  temperatures?: readonly number[];
}

/** What options that are right by themselves say against each other. */
export function rulesBroken(config: Ruled): Issue[] {
  const { data, teacher, teacherMode, teacherCache, validation, augment, patience, schedule, warmupSteps } = config;
  const isSynthetic = data === "synthetic";
  const isOfSeveral = config.seeds !== undefined || config.temperatures !== undefined;
  const isOfImages = (augment?.shift ?? augment?.crop ?? augment?.flip) !== undefined;
  const rules: [broken: boolean, option: string, text: string][] = [
    [
      teacherMode !== undefined && teacher === undefined && !isSynthetic,
      "teacher",
      `needed with data ${data}; \`distillery train-teacher\` makes one`,
    ],
    [
      isSynthetic && isOfSeveral,
      "data",
      "expected a data set's name, folder or file: the synthetic data are noise, on which nothing can be compared",
    ],
    [isOfSeveral && !isSynthetic && validation === 0, "validation", "needed: it tells which epoch is best"],
    [isSynthetic && validation > 0, "validation", "the synthetic data are noise, which nothing can be validated on"],
    [isSynthetic && isOfImages, "augment", "the synthetic data are no images: only noise suits them"],
    [
      augment?.shift !== undefined && augment.crop !== undefined,
      "augment",
      "expected shift or crop, which are the same",
    ],
    [augment !== undefined && Object.keys(augment).length === 0, "augment", "expected shift, crop, flip or noise"],
    [patience !== null && validation === 0, "patience", "needs a validation set, which tells what epoch is better"],
    [
      schedule === "one-cycle" && warmupSteps > 0,
      "warmupSteps",
      "the one-cycle schedule has a rise of its own, pctStart: leave one of the two out",
    ],
    [
      teacherCache === true && teacherMode === "train",
      "teacherCache",
      "a teacher in train mode answers differently at each step: use eval mode",
    ],
    [teacherCache === true && augment !== undefined, "teacherCache", "the data are augmented at random"],
  ];
  return rules.filter(([broken]) => broken).map(([, option, text]) => ({ path: [option], text }));
}
