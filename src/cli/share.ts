import { type Command, Option } from "commander";
import type { Share, ShareResult } from "../compare/index.js";
import { counted } from "../report/text.js";
import { UsageError } from "./error_boundary.js";
import { toNumber } from "./flag_values.js";
import { addRunning } from "./flags.js";
import { printError } from "./terminal.js";

/** Which share of an experiment's runs a process trains. */
export interface ShareFlags {
  index?: number;
  of?: number;
  collect?: boolean;
  quiet?: boolean;
}

const GROUP = "On several machines:";

/** Adds the flags of `compare` and `sweep` besides their configuration. */
export function addExperiment(command: Command): Command {
  const flag = (form: string, text: string) => new Option(form, text).helpGroup(GROUP);
  const index =
    "train this share of the runs, from 0, in a shared --out (default: by SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX)";
  const of =
    "the number of shares (default: by SLURM_ARRAY_TASK_COUNT or JOB_COMPLETIONS); with it alone the index is that of the scheduler";
  return addRunning(command, "continue what is in --out: finished runs are kept, missing ones are trained")
    .addOption(flag("--index <number>", index).argParser(toNumber))
    .addOption(flag("--of <number>", of).argParser(toNumber))
    .addOption(flag("--collect", "when all shares are done: write the result and the report, train nothing"));
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The share of this process: from its flags or, without them, from what SLURM tells the tasks of an array and
 * Kubernetes the pods of an Indexed Job. Null if there is none and everything is run.
 */
export function shareOf(
  { index, of, collect = false, quiet }: ShareFlags,
  env: Environment = process.env,
): Share | null {
  if (collect) {
    const more = index === undefined ? (of === undefined ? null : "--of") : "--index";
    if (more !== null) throw new UsageError(`${more}: --collect takes all shares: leave one of the two out`);
    return null;
  }
  if (index !== undefined && of === undefined)
    throw new UsageError("--index: --of is needed with it, the number of shares");
  const share = index === undefined || of === undefined ? scheduled(of, env) : { index, of, by: "--index" };
  if (share === null) {
    if (of !== undefined) throw new UsageError("--of: --index is needed with it: no scheduler tells one");
    return null;
  }
  const isCount = Number.isSafeInteger(share.of) && share.of >= 1;
  if (!isCount) throw new UsageError(`--of: expected a number of shares from 1, got ${share.of}`);
  const isPlace = Number.isSafeInteger(share.index) && share.index >= 0 && share.index < share.of;
  if (isPlace) {
    if (of === undefined && !quiet) {
      printError(
        `share ${share.index} of ${share.of}, by ${share.by}; for all runs here unset that: env -u ${share.by} distillery ...`,
      );
    }
    return { index: share.index, of: share.of };
  }
  throw new UsageError(`${share.by}: expected an index from 0 to ${share.of - 1}, got ${share.index}`);
}

/**
 * The share that the scheduler assigns. If the number of shares is given, the scheduler's index is used unchanged, so
 * that some shares can be run again.
 */
function scheduled(of: number | undefined, env: Environment): (Share & { by: string }) | null {
  const number = (name: string) => {
    const text = env[name];
    if (text === undefined || text === "") return undefined;
    if (/^\d+$/.test(text)) return Number(text);
    throw new UsageError(`${name}: expected a number, got ${JSON.stringify(text)}`);
  };
  const task = number("SLURM_ARRAY_TASK_ID");
  if (task !== undefined) {
    const by = "SLURM_ARRAY_TASK_ID";
    if (of !== undefined) return { index: task, of, by };
    const [count, min, max] = [
      number("SLURM_ARRAY_TASK_COUNT"),
      number("SLURM_ARRAY_TASK_MIN") ?? 0,
      number("SLURM_ARRAY_TASK_MAX"),
    ];
    const step = number("SLURM_ARRAY_TASK_STEP") ?? 1;
    if (step < 1) throw new UsageError(`SLURM_ARRAY_TASK_STEP: expected a number from 1, got ${step}`);
    if (count === undefined) throw new UsageError("SLURM_ARRAY_TASK_COUNT: missing: give --of, the number of shares");
    const isRegular = max === undefined || max === min + (count - 1) * step;
    const index = (task - min) / step;
    if (isRegular && Number.isInteger(index)) return { index, of: count, by };
    const text = `task ${task} is of a list with gaps: give --of, the number of shares of the whole array, of which the list names some`;
    throw new UsageError(`SLURM_ARRAY_TASK_ID: ${text}`);
  }
  const completion = number("JOB_COMPLETION_INDEX");
  if (completion === undefined) return null;
  const completions = of ?? number("JOB_COMPLETIONS");
  if (completions !== undefined) return { index: completion, of: completions, by: "JOB_COMPLETION_INDEX" };
  const text = "Kubernetes does not tell the Job's completions: give --of, or JOB_COMPLETIONS in the manifest's env";
  throw new UsageError(`JOB_COMPLETION_INDEX: ${text}`);
}

/** Reports that a share is done, and what comes next. */
export function shareLine({ share, runs }: ShareResult, out: string): string {
  const { index, of } = share;
  const done = `share ${index} of ${of} (from 0 to ${of - 1}) is done, ${counted(runs.length, "run")} in ${out}`;
  return `${done}; when all are, the same command with --collect gives the result`;
}
