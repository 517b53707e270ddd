import { Argument, Command } from "commander";
import { DATASET_NAMES, type DownloadProgress, downloadData, type ListedData, listData } from "../data/index.js";
import { overallBar } from "../log/index.js";
import { showBytes } from "../show.js";
import { errorBoundary, interruptible, UsageError, unknownName } from "./error_boundary.js";
import { addShowing, type ShowFlags } from "./flags.js";
import { formatTable } from "./table.js";
import { print, printError } from "./terminal.js";

type DataFlags = ShowFlags & { name?: string; from?: string };

/** `distillery data [NAME]`. */
export function makeCommand(): Command {
  const command = new Command("data")
    .description("list built-in data sets; with a name, download it")
    .addArgument(new Argument("[name]", `download it, unless it is here: ${DATASET_NAMES.join(", ")}`))
    .option("--from <url>", "mirror: the URL of a folder with its files (default: its public home)")
    .addHelpText("after", SEARCHED);
  return addShowing(command, "print a JSON object").action((name: string | undefined, flags: DataFlags) =>
    errorBoundary(runData)({ ...flags, name }),
  );
}

const SEARCHED = `
Searched in $DISTILLERY_DATA, in the cache folder that downloads go to ($DISTILLERY_CACHE, else the system's place for
caches), and in the folders of system packages. $DISTILLERY_MIRROR/NAME is a mirror for all.`;

/** Lists the built-in data sets, or downloads one. */
async function runData({ name, from, json }: DataFlags): Promise<void> {
  if (name === undefined && from !== undefined)
    throw new UsageError("--from: expected the name of a data set beside it");
  if (name === undefined) {
    const data = await listData();
    print(json ? JSON.stringify({ data }) : listing(data));
    return;
  }
  if (!DATASET_NAMES.includes(name)) throw new UsageError(unknownName("data set", name, DATASET_NAMES));
  const found = await download(name, from);
  print(json ? JSON.stringify(found) : `${name}: ${found.folder}, ${showBytes(found.bytes, 1)}`);
}

async function download(name: string, from: string | undefined) {
  const bar = overallBar();
  let hasCome: number | undefined;
  const note = (text: string) => {
    bar.clear();
    printError(text);
  };
  const onProgress = ({ file, received, bytes, allReceived, allBytes }: DownloadProgress) => {
    // Printed when the first bytes arrive. If none do, only the error is printed.
    if (hasCome !== undefined && hasCome < allReceived) {
      note(`${name}: downloading ${showBytes(allBytes, 1)}`);
      hasCome = Number.POSITIVE_INFINITY;
    }
    hasCome ??= allReceived;
    const text = `${file} ${showBytes(received, 1)} of ${showBytes(bytes, 1)}`;
    bar.update({ done: allReceived, total: allBytes, text });
  };
  try {
    const start = (signal: AbortSignal) => downloadData(name, { signal, onProgress, from });
    return await interruptible(note, start, "stopping");
  } finally {
    bar.stop();
  }
}

function listing(data: readonly ListedData[]): string {
  const sizes = formatTable(data.map(({ name, downloadBytes }) => [name, showBytes(downloadBytes, 1)])).split("\n");
  const places = data.map(({ found, problem }) => found?.folder ?? problem ?? "not here");
  const missing = data.find(({ found }) => found === null);
  const advice = missing ? `\n\n\`distillery data ${missing.name}\` downloads it.` : "";
  return `${sizes.map((line, i) => `${line}  ${places[i]}`).join("\n")}${advice}`;
}
