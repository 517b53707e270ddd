import type { EpochRecord } from "../log/index.js";

/** A run or an experiment in a watched folder. */
export interface WatchedRun {
  /** Below the watched folder, with slashes; empty for that folder itself. */
  readonly path: string;
  /**
   * The command or function that began it, such as `distill` or `compare`; `baseline`: a comparison's students without
   * a teacher.
   */
  readonly command: string;
  /** The name of its data; null if it does not say. */
  readonly data: string | null;
  /** `stopped`: it is not done, and no process shows a sign of life in its folder. */
  readonly state: "running" | "done" | "stopped";
  /** The epochs that it is to have; null for an experiment. */
  readonly epochs: number | null;
  readonly hasReport: boolean;
  /** When its files last changed, in milliseconds since 1970. */
  readonly changed: number;
}

/** A run that changed, with the records that replace all it had from a place on. */
interface ChangedRun extends WatchedRun {
  readonly from: number;
  readonly records: readonly EpochRecord[];
}

/** What is new in a watched folder. */
export interface Changes {
  readonly changed: readonly ChangedRun[];
  /** The paths of runs that are gone. */
  readonly removed: readonly string[];
}
