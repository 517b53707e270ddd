import { Command } from "commander";
import { expectInteger } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { kindOf } from "../files/index.js";
import { watchServer } from "../watch/index.js";
import { errorBoundary, interruptible, untilAborted } from "./error_boundary.js";
import { toNumber } from "./flag_values.js";
import { addShowing, type ShowFlags } from "./flags.js";
import { print, printError, widthOf, wrapped } from "./terminal.js";

type WatchFlags = ShowFlags & { folder: string; port: number };

const PORT = 8765;
const MAX_PORT = 65_535;
const FOLDER = "runs";

/** `distillery watch [FOLDER]`. */
export function makeCommand(): Command {
  const command = new Command("watch")
    .description("serve a page, on this machine, that follows the runs in a folder, including those of other processes")
    .argument("[folder]", "folder with runs, comparisons and sweeps", FOLDER)
    .option("--port <number>", "port of the page, 0 for any free one", toNumber, PORT);
  return addShowing(command, "print a JSON object").action((folder: string, flags: Omit<WatchFlags, "folder">) =>
    errorBoundary(runWatch)({ ...flags, folder }),
  );
}

/** Serves the page until Ctrl-C. */
async function runWatch({ folder, port, json }: WatchFlags): Promise<void> {
  expectInteger("port", port, 0, MAX_PORT);
  const kind = await kindOf(folder);
  // The first run creates the folder that all commands write to by default.
  if (kind !== "folder" && !(kind === null && folder === FOLDER)) {
    throw new DistilleryError("NOT_FOUND", `${folder}: ${kind === null ? "no such folder" : "is no folder"}`);
  }
  await interruptible(
    printError,
    async (signal) => {
      const { url, close } = await watchServer(folder, { port });
      const line = wrapped(`${folder}: ${url} (Ctrl-C ends it)`, widthOf(process.stdout));
      print(json ? JSON.stringify({ event: "watching", folder, url }) : line);
      await untilAborted(signal);
      await close();
    },
    "closing the page",
  );
}
