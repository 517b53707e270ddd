import { join } from "node:path";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { distill, type RunControls, type RunResult, type TeacherCache, trainTeacher } from "../train/index.js";
import type { ResolvedDistillation } from "../train/options.js";
import type { Member, Outcome, Trainer } from "./members.js";

/** What all members share. */
export interface Shared {
  /** The folder that theirs lie in. */
  out: string;
  student: () => Module;
  data: Dataset;
  validation: Dataset;
  /** Trained. */
  teacher: Module;
  /** Its answers; null where it has to be asked at each step. */
  cache: TeacherCache | null;
  onNote: (text: string) => void;
}

/** Trains members in this process. */
export class LocalTrainer implements Trainer {
  constructor(private readonly shared: Shared) {}

  async train(member: Member, signal: AbortSignal, onStep: (done: number) => void): Promise<Outcome> {
    const { out, student, data, validation, teacher, cache, onNote } = this.shared;
    const controls: RunControls = {
      ...resuming(join(out, member.name), onNote),
      about: { seed: member.seed },
      signal,
      onStep: ({ step }) => onStep(step),
    };
    // The same seed, so the same student and the same order of batches, alone and distilled.
    const result = await withGenerator(new Generator(member.seed), () => {
      const model = student();
      const common = { data, validation, ...controls };
      return member.kind === "alone"
        ? trainTeacher({ ...common, ...ofTraining(member.options), model, name: "student" })
        : distill({ ...common, ...member.options, teacher, student: model, teacherCache: cache ?? false });
    });
    return outcomeOf(result);
  }

  close(): void {}
}

/** A folder that a run goes on in; it says so where it does, and not where there is nothing to go on with. */
export function resuming(out: string, onNote: (text: string) => void): RunControls {
  return { out, resume: true, onNote: (text) => !/nothing to resume|is finished$/.test(text) && onNote(text) };
}

/** The options without those that a run without a teacher has no use for. */
export function ofTraining({ temperature: _, alpha: __, teacherMode: ___, ...options }: ResolvedDistillation) {
  return options;
}

/** What is kept of a run with a validation set and a folder. */
export function outcomeOf({ history, best, files }: RunResult): Outcome {
  if (best === null) throw new DistilleryError("INTERNAL", "a run with a validation set has no best epoch");
  const { state: _, ...epoch } = best;
  const [last, bestFile] = files.filter((file) => file.endsWith(".safetensors")) as [string, string];
  return { history, best: epoch, files: { best: bestFile, last } };
}
