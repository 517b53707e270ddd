import { Command } from "commander";
import { openNetwork } from "../checkpoint/index.js";
import { serveSchema } from "../config/index.js";
import { recordOf } from "../models/training_record.js";
import { SERVE_DEFAULTS, serveNetwork } from "../serve/index.js";
import { setNumThreads } from "../threads.js";
import { errorBoundary, interruptible, untilAborted } from "./error_boundary.js";
import { PTH_IMAGE_SIZE } from "./flag_table.js";
import { toNumber } from "./flag_values.js";
import {
  addLoading,
  addNetwork,
  addOptions,
  addShowing,
  givenFlags,
  type LoadFlags,
  loadOptions,
  type ShowFlags,
} from "./flags.js";
import { type NetworkOptions, Networks, sidesFor } from "./networks.js";
import { optionsOf } from "./settings.js";
import { print, printError, widthOf, wrapped } from "./terminal.js";

interface ServeFlags extends ShowFlags, LoadFlags, Pick<NetworkOptions, "network"> {
  file: string;
  port: number;
  host: string;
  maxBody: number;
  maxSamples: number;
  timeout: number;
}

/** `distillery serve FILE`. */
export function makeCommand(): Command {
  const { port, host, maxBody, maxSamples, timeout } = SERVE_DEFAULTS;
  const command = new Command("serve")
    .description("serve predictions over HTTP: POST /predict takes a list of samples as JSON")
    .argument("<file>", "the network's weights; a run's .safetensors file describes their preprocessing")
    .option("--port <number>", "port to listen on, 0 for any free one", toNumber, port)
    .option("--host <address>", "address to listen on; 0.0.0.0 for all of the machine's", host)
    .option("--max-body <bytes>", "maximum size of a request in bytes", toNumber, maxBody)
    .option("--max-samples <number>", "maximum number of samples in a request, and in a batch", toNumber, maxSamples)
    .option(
      "--timeout <ms>",
      "milliseconds within which a request has to arrive, and its response to be read",
      toNumber,
      timeout,
    );
  const sizes = { imageSize: PTH_IMAGE_SIZE };
  return addNetwork(addLoading(addShowing(addOptions(command, serveSchema, sizes), "print a JSON object"))).action(
    (file: string) => errorBoundary(runServe)({ ...(command.opts() as ServeFlags), ...givenFlags(command), file }),
  );
}

/** Serves until Ctrl-C or SIGTERM; then answers the requests that have arrived, and ends. */
async function runServe(flags: ServeFlags): Promise<void> {
  const { file, port, host, maxBody, maxSamples, timeout, json } = flags;
  const { imageSize, threads } = optionsOf(serveSchema, { ...flags });
  if (threads !== undefined) setNumThreads(threads);
  const networks = await Networks.open(flags);
  const opened = await openNetwork(file, loadOptions(flags));
  const network = networks.of(opened, "network", sidesFor(file, opened.record, imageSize));
  await interruptible(
    printError,
    async (signal) => {
      const { url, close } = await serveNetwork(network, { port, host, maxBody, maxSamples, timeout });
      if (recordOf(network) === null) {
        printError(
          `${file} does not say how inputs are made, as the .safetensors files of runs do: samples are taken as they are`,
        );
      }
      const line = wrapped(`${file}: POST ${url}predict (Ctrl-C ends it)`, widthOf(process.stdout));
      print(json ? JSON.stringify({ event: "serving", file, url }) : line);
      await untilAborted(signal);
      await close();
    },
    "answering what came",
  );
}
