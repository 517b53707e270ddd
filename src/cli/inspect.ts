import { Command } from "commander";
import { inspectCheckpoint } from "../checkpoint/index.js";
import { printableInline } from "../log/index.js";
import { showBytes, showCount } from "../show.js";
import { errorBoundary } from "./error_boundary.js";
import { addPart, addShowing, partOptions, type ShowFlags } from "./flags.js";
import { formatTable } from "./table.js";
import { print } from "./terminal.js";

type InspectFlags = ShowFlags & { file: string; key?: string; stripPrefix?: string };

/** `distillery inspect FILE`. */
export function makeCommand(): Command {
  const command = new Command("inspect")
    .description("list the content of a checkpoint")
    .argument("<file>", ".pth or .safetensors");
  return addShowing(addPart(command), "print a JSON object").action((file: string, flags: Omit<InspectFlags, "file">) =>
    errorBoundary(runInspect)({ ...flags, file }),
  );
}

/** Prints a checkpoint's tensors, parameters and metadata. */
async function runInspect({ file, json, ...part }: InspectFlags): Promise<void> {
  const { format, bytes, tensors, parameters, metadata } = await inspectCheckpoint(file, partOptions(part));
  if (json) {
    print(JSON.stringify({ file, format, bytes, parameters, tensors, metadata }));
    return;
  }
  const rows = tensors.map(({ key, dtype, shape }) => [key, dtype, `[${shape.join(", ")}]`]);
  print(`${printableInline(file)}: ${format}, ${showBytes(bytes)}, ${showCount(parameters)} parameters\n`);
  print(formatTable([["tensor", "type", "shape"], ...rows]));
  for (const [key, text] of Object.entries(metadata)) print(`\n${printableInline(key)}: ${shortened(text)}`);
}

/** The maximum number of characters of a text that are shown: a network's metadata may contain its tokenizer. */
const SHOWN = 4000;

function shortened(text: string): string {
  return text.length > SHOWN
    ? `${text.slice(0, SHOWN)}... (${showCount(text.length)} characters; --json has all)`
    : text;
}
