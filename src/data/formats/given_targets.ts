import { basename } from "node:path";
import { badArgument } from "../../checks.js";
import { badData, readWhole } from "../../files/index.js";
import type { TableOptions } from "../load_options.js";
import type { TablePreprocessing } from "../preprocessing/spec.js";
import type { RawPart } from "../raw_data.js";
import { outputsText } from "../targets.js";
import { hasTargets, type TaskName, taskNameOf } from "../task_name.js";
import type { CellRecords } from "./format.js";
import { decodeNpy, type NpyArray } from "./npy.js";
import { toTargets } from "./npy_samples.js";

/**
 * Targets in a `.npy` file of their own: the table of texts then has one more column, the label, of the file's name.
 */
export class GivenTargets {
  private constructor(
    private readonly file: string,
    private readonly array: NpyArray,
    readonly task: TaskName,
  ) {}

  /** The targets that the options name; null: none. */
  static async open({ targets: file, task = "vectors", ...options }: TableOptions): Promise<GivenTargets | null> {
    if (file === undefined) return null;
    if (!hasTargets({ task })) throw badArgument("targets", "another task than classification", task);
    const label = options.labelColumn ?? options.labelColumns;
    if (label !== undefined) throw badArgument("targets", "no label column if targets is given", label);
    return new GivenTargets(file, decodeNpy(await readWhole(file), file), task);
  }

  /** The name of the column. */
  get name(): string {
    return basename(this.file);
  }

  /** The number of targets of a sample. */
  get classes(): number {
    return this.array.shape[1] ?? 1;
  }

  /** The records with the column, whose cells are empty. */
  beside(records: CellRecords): CellRecords {
    return records.map((cells, isFirst) => [...cells, isFirst ? this.name : ""]);
  }

  /** The options to read these records with: the added column is the last one, and the label. */
  within<O extends TableOptions>(options: O): O {
    return { ...options, labelColumn: -1, unlabelled: true };
  }

  /** Refuses targets of another task or width than those that a network was trained for. */
  expectFit(network: Pick<TablePreprocessing, "task" | "classes">): void {
    const { file, task, classes } = this;
    if (task === taskNameOf(network) && classes === network.classes) return;
    const own = `${taskNameOf(network)} with ${outputsText(network)}`;
    throw badData(file, `targets: the network was trained for ${own}, these are ${task} with ${outputsText(this)}`);
  }

  /** The targets of `rows` rows; `BAD_DATA` if the array has another number of them. */
  of(rows: number): Pick<RawPart, "labels" | "targets"> {
    const { labels, targets } = toTargets(this.array, rows, this.file, this.task);
    return { labels, targets };
  }
}
