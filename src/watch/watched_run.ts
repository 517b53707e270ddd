import type { EpochRecord } from "../log/index.js";

/** A run or an experiment in a watched folder. */
export interface WatchedRun {
  /** The path below the watched folder, with slashes; empty for that folder itself. */
  readonly path: string;
  /**
   * The command or function that began it, such as `distill` or `compare`; `baseline`: a comparison's students without
   * a teacher.
   */
  readonly command: string;
  /** The name of its data; null if it does not say. */
  readonly data: string | null;
  /** `stopped`: it is not done, and no process has given a sign of life. */
  readonly state: "running" | "done" | "stopped";
  /** The epochs that it is to have; null for an experiment. */
  readonly epochs: number | null;
  readonly hasReport: boolean;
  /** When its files last changed, in milliseconds since 1970. */
  readonly changed: number;
}

/** A run that changed, with records that replace its old ones from a given index on. */
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
