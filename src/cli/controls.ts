import { join } from "node:path";
import type { RunName, Settled } from "../config/index.js";
import { aboutRun } from "../config/index.js";
import { csvLog, type MetricsLog, tensorBoardLog } from "../log/index.js";
import type { RunControls } from "../train/index.js";
import type { TrainingFlags } from "./flags.js";
import type { Settings } from "./settings.js";

/** How a training command's run is kept, by its configuration. */
export function controlsFrom<C extends RunName>(
  { config, given }: Settings<C>,
  { resume = false }: TrainingFlags,
): RunControls {
  const { out, checkpointEvery, keepCheckpoints } = config;
  return {
    out,
    resume,
    ...(checkpointEvery !== undefined && { checkpointEvery }),
    keepCheckpoints,
    about: aboutRun(config, given),
    logs: logsOf(config),
  };
}

function logsOf({ out, tensorboard, csv }: Settled<RunName>): MetricsLog[] {
  const place = (given: string | boolean, usual: string) => (given === true ? join(out, usual) : given);
  const [folder, file] = [place(tensorboard, "tensorboard"), place(csv, "metrics.csv")];
  return [...(folder === false ? [] : [tensorBoardLog(folder)]), ...(file === false ? [] : [csvLog(file)])];
}
