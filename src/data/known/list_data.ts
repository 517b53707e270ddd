import { DistilleryError } from "../../errors.js";
import { type FoundData, findData } from "./find_data.js";
import { KNOWN } from "./known.js";

/** What is known of a data set, and where it lies. */
export interface ListedData {
  readonly name: string;
  readonly title: string;
  /** The size of its download. */
  readonly downloadBytes: number;
  /** Null where it is not on this machine, or not whole. */
  readonly found: FoundData | null;
  /** What is wrong with what there is of it; null otherwise. */
  readonly problem: string | null;
}

/**
 * All data sets that are known by name, and where each of them is.
 *
 * @example
 * ```ts
 * for (const { name, found } of await listData()) console.log(name, found?.folder ?? "not here");
 * ```
 */
export async function listData(): Promise<ListedData[]> {
  return Promise.all(
    Object.entries(KNOWN).map(async ([name, { title, downloads }]) => {
      const downloadBytes = downloads.reduce((sum, { bytes }) => sum + bytes, 0);
      return { name, title, downloadBytes, ...(await placeOf(name)) };
    }),
  );
}

async function placeOf(name: string): Promise<Pick<ListedData, "found" | "problem">> {
  try {
    return { found: await findData(name), problem: null };
  } catch (error) {
    if (error instanceof DistilleryError) return { found: null, problem: error.message };
    throw error;
  }
}
