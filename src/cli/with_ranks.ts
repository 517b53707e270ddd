import { joinRanks } from "../train/index.js";
import { exitCodeOf, isAbort, oneLine } from "./error_boundary.js";
import type { ShowFlags } from "./flags.js";

/** Whether another process prints and writes for this one. */
export function isSilentRank(): boolean {
  return (joinRanks()?.rank ?? 0) > 0;
}

/**
 * Runs a command as one of the ranks that `mpirun` started, or alone. All but the first are silent; a failure of one ends all. A stopped run
 * has stopped on all.
 */
export function withRanks<S, F extends ShowFlags, T>(
  body: (settings: S, flags: F) => Promise<T>,
): (settings: S, flags: F) => Promise<T> {
  return async (settings, flags) => {
    const ranks = joinRanks();
    if (ranks === null) return body(settings, flags);
    try {
      const result = await body(settings, ranks.rank === 0 ? flags : { ...flags, quiet: true });
      ranks.stop();
      return result;
    } catch (error) {
      if (!isAbort(error)) return ranks.fail(oneLine(error), exitCodeOf(error));
      ranks.stop();
      throw error;
    }
  };
}
