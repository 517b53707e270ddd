import type { Task } from "../compare/index.js";
import type { Settled } from "../config/index.js";
import { DistilleryError } from "../errors.js";
import { StudentNet } from "../models/student_net.js";
import { TeacherNet } from "../models/teacher_net.js";
import type { LoadFlags } from "./flags.js";
import { expectBatches, expectFits, readNetwork, type Source, setUp } from "./setup.js";

/** What says which problem it is, here and in another process. */
export interface ProblemSettings {
  config: Settled<"compare"> | Settled<"sweep">;
  flags: LoadFlags;
}

/** What a configuration's students are trained on and compared with. */
export interface OpenProblem {
  problem: Task;
  source: Source;
  test: NonNullable<Source["test"]>;
}

/** Opens the data and reads the teacher, where there is one. */
export async function openProblem({ config, flags }: ProblemSettings): Promise<OpenProblem> {
  const { source } = await setUp(config);
  const { sizes, validation, test } = source;
  if (test === null) {
    throw new DistilleryError("BAD_DATA", `${config.data}: has no test part, which the students could be compared on`);
  }
  const { teacher: file } = config;
  const trained = file === undefined ? null : await readNetwork(file, flags);
  if (file !== undefined && trained !== null) expectFits(file, trained, source);
  const problem: Task = {
    teacher: trained ?? (() => new TeacherNet(sizes)),
    student: () => new StudentNet(sizes),
    data: source.train(),
    ...(validation && { validation }),
  };
  // The teacher is trained first, and has BatchNorm.
  if (file === undefined) expectBatches(config, problem.data);
  return { problem, source, test };
}

/** What another process gets it by. */
export default async function problemOf(settings: ProblemSettings): Promise<Task> {
  return (await openProblem(settings)).problem;
}
