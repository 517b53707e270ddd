import { isAbort } from "../errors.js";
import { isSilentRank, ranksOfJob } from "../mpi.js";
import { joinRanks } from "../train/ranks.js";
import { byFlag, exitCodeOf, oneLine, UsageError } from "./error_boundary.js";
import type { ShowFlags } from "./flags.js";

/**
 * Runs a command as one of the ranks that `mpirun` started, or alone. All ranks but the first are silent, and a failure
 * of one ends all. A run that is stopped has stopped on all ranks.
 */
export function withRanks<S, F extends ShowFlags, T>(
  body: (settings: S, flags: F) => Promise<T>,
): (settings: S, flags: F) => Promise<T | undefined> {
  return async (settings, flags) => {
    const ranks = ranksOfJob() === 1 ? null : joinRanks();
    if (ranks === null) return body(settings, flags);
    try {
      const result = await body(settings, isSilentRank() ? { ...flags, quiet: true } : flags);
      ranks.stop();
      return result;
    } catch (error) {
      if (!isAbort(error)) {
        // An error about `shards` is reported as one about `--shards`, even if that was not given.
        const named = byFlag(error, { shards: 1, ...flags });
        return ranks.fail(oneLine(named), exitCodeOf(named));
      }
      ranks.stop();
      if (!isSilentRank()) throw error;
      process.exitCode = exitCodeOf(error);
      return undefined;
    }
  };
}

/** The commands that {@link withRanks} runs. */
const RANKED: readonly string[] = ["distill", "train-teacher"];

/** Refuses several ranks for a command that would do all of its work on each of them. */
export function refuseRanks(command: string): void {
  const ranks = ranksOfJob();
  if (!(ranks > 1) || RANKED.includes(command)) return;
  const share = ["compare", "sweep"].includes(command) ? "; --index and --of run a share of the trials" : "";
  const text = `mpirun -n ${ranks} would do its whole work ${ranks} times: only ${RANKED.join(" and ")} divide a run`;
  throw new UsageError(`${command}: ${text}${share}`);
}
