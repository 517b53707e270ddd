import { Command } from "commander";
import { inspectCheckpoint } from "../checkpoint/index.js";
import { printableInline } from "../log/index.js";
import { addShowing, type ShowFlags } from "./flags.js";
import { formatTable } from "./table.js";
import { print } from "./terminal.js";

type InspectFlags = ShowFlags & { file: string; key?: string };

/** `distillery inspect FILE`. */
export function inspectCommand(run: (flags: InspectFlags) => Promise<void>): Command {
  const command = new Command("inspect")
    .description("what is in a checkpoint")
    .argument("<file>", ".pth or .safetensors")
    .option("--key <name>", "of a checkpoint that holds more: what to look into");
  return addShowing(command, "print a JSON object").action((file: string, flags: Omit<InspectFlags, "file">) =>
    run({ ...flags, file }),
  );
}

/** Prints a checkpoint's tensors, parameters and texts. */
export async function runInspect({ file, json, key }: InspectFlags): Promise<void> {
  const { format, bytes, tensors, parameters, metadata } = await inspectCheckpoint(
    file,
    key === undefined ? {} : { key },
  );
  if (json) {
    print(JSON.stringify({ file, format, bytes, parameters, tensors, metadata }));
    return;
  }
  const rows = tensors.map(({ key, dtype, shape }) => [key, dtype, `[${shape.join(", ")}]`]);
  print(
    `${printableInline(file)}: ${format}, ${(bytes / 1e6).toFixed(2)} MB, ${parameters.toLocaleString("en-US")} parameters\n`,
  );
  print(formatTable([["tensor", "type", "shape"], ...rows]));
  for (const [key, text] of Object.entries(metadata)) print(`\n${printableInline(key)}: ${text}`);
}
