import { load } from "../checkpoint/index.js";
import type { Task, Workers } from "../compare/index.js";
import type { Module } from "../nn/module.js";
import { ROOT } from "../package.js";
import type { ResolvedTraining } from "../train/options.js";
import { dryRun, type Planned } from "./dry_run.js";
import type { ShowFlags } from "./flags.js";
import type { OpenProblem, ProblemSettings } from "./problem.js";

/** Processes that open the same problem, as many as `parallel` says. */
export function workersOf(settings: ProblemSettings): Workers {
  const { parallel } = settings.config;
  return {
    module: new URL("dist/cli/problem.js", ROOT),
    argument: settings,
    ...(parallel !== undefined && { count: parallel }),
  };
}

/** The networks whose answers a report shows, out of their files. */
export async function networksOf(
  { teacher, student }: Task,
  teacherFile: string,
  studentFile: string,
): Promise<{ teacher: Module; student: Module }> {
  const of = async (network: Module, file: string) => network.loadStateDict(await load(file));
  return {
    teacher: await of(typeof teacher === "function" ? teacher() : teacher, teacherFile),
    student: await of(student(), studentFile),
  };
}

/** Prints what would be trained: the number of baseline and distilled students, and the teacher where it does not come trained. */
export function dryRunOf(
  { problem, source }: OpenProblem,
  options: ResolvedTraining,
  { baseline, distilled }: { baseline: number; distilled: number },
  flags: ShowFlags,
): Promise<void> {
  const { teacher: given, student: make, data } = problem;
  const [teacher, student] = [typeof given === "function" ? given() : given, make()];
  const common = { ...options, data, ...(source.validation && { validation: source.validation }) };
  const ofStudents: [Planned, ...Planned[]] = [
    { name: "a distilled student", times: distilled, input: { ...common, teacher, student } },
    ...(baseline === 0 ? [] : [{ name: "a baseline student", times: baseline, input: { ...common, model: student } }]),
  ];
  const ofTeacher = { name: "the teacher", times: 1, input: { ...common, model: teacher } };
  return dryRun(
    { teacher, student },
    typeof given === "function" ? [ofTeacher, ...ofStudents] : ofStudents,
    source,
    flags,
  );
}
