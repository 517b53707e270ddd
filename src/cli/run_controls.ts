import { join } from "node:path";
import { CSV } from "../checkpoint/run_folder.js";
import { type ResolvedConfig, type RunName, runMetadata } from "../config/index.js";
import { csvLog, type MetricsLog, tensorBoardLog } from "../log/index.js";
import type { RunControls } from "../train/index.js";
import { joinRanks } from "../train/ranks.js";
import type { TrainingFlags } from "./flags.js";
import type { Settings } from "./settings.js";

/** Options that all training commands share. */
type Kept = Pick<ResolvedConfig<RunName>, keyof ResolvedConfig<RunName>>;

/** The controls of a training command's run, from its configuration. */
export async function controlsOf(
  { config, userOptions }: { config: Kept; userOptions: Settings<RunName>["userOptions"] },
  { resume = false, overwrite = false }: TrainingFlags,
): Promise<RunControls> {
  const { out, checkpointEvery, keepCheckpoints } = config;
  return {
    out,
    resume,
    overwrite,
    checkpointEvery,
    keepCheckpoints,
    metadata: await runMetadata(config, userOptions),
    logs: logsOf(config),
    ranks: joinRanks() ?? undefined,
  };
}

function logsOf({ out, tensorboard, csv }: Kept): MetricsLog[] {
  const path = (given: string | boolean, usual: string) => (given === true ? join(out, usual) : given);
  const [folder, file] = [path(tensorboard, "tensorboard"), path(csv, CSV)];
  return [...(folder === false ? [] : [tensorBoardLog(folder)]), ...(file === false ? [] : [csvLog(file)])];
}
