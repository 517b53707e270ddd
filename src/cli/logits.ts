import { Command } from "commander";
import { expectExtension } from "../checks.js";
import { dataSchema } from "../config/index.js";
import { printableInline } from "../log/index.js";
import { showBytes, showCount } from "../show.js";
import { writeLogits } from "../teachers/index.js";
import { LOGITS_BATCH } from "../teachers/logits_in_order.js";
import { type TeacherOptions, teacherSchema } from "../teachers/options.js";
import { ARRAY_FILES } from "../teachers/stored_arrays.js";
import { LOGITS_DTYPES, type LogitsDtype } from "../teachers/write_logits.js";
import { errorBoundary, interruptible, UsageError } from "./error_boundary.js";
import { toNumber } from "./flag_values.js";
import { addLoading, addNetwork, addOptions, addShowing, givenFlags, type LoadFlags, type ShowFlags } from "./flags.js";
import { type NetworkOptions, Networks } from "./networks.js";
import { optionsOf } from "./settings.js";
import { setUp } from "./source.js";
import { print, printError } from "./terminal.js";

interface LogitsFlags extends ShowFlags, LoadFlags, TeacherOptions, Pick<NetworkOptions, "teacherNetwork"> {
  teacher?: string;
  data?: string;
  out?: string;
  batchSize?: number;
  dtype?: LogitsDtype;
  overwrite?: boolean;
}

const DATA = "the samples: a row is written for each of the training part, those that are held out included";

/** `distillery logits`. */
export function makeCommand(): Command {
  const command = new Command("logits")
    .description(
      "write a teacher's logits, or a text encoder's vectors, for all samples to a file that --teacher takes, and --targets if it holds vectors; continues where it was interrupted",
    )
    .option("--teacher <file>", "weights, an ONNX network, a file of logits, or your own function, ./teacher.mjs")
    .option("--out <file>", "file to write: .npy, .npz or .safetensors")
    .option("--batch-size <number>", `samples per batch (default: ${LOGITS_BATCH})`, toNumber)
    .option("--overwrite", "replace an existing file")
    .option("--dtype <name>", `how numbers are stored: ${LOGITS_DTYPES.join(" or ")} (default: ${LOGITS_DTYPES[0]})`);
  addOptions(command, { entries: { ...teacherSchema.entries, ...dataSchema.entries } }, { data: DATA });
  return addLoading(addShowing(addNetwork(command, "--teacher-network"), "print a JSON object")).action(() =>
    errorBoundary(runLogits)(givenFlags(command)),
  );
}

/** Writes the file, and describes its content. */
async function runLogits(flags: LogitsFlags): Promise<void> {
  const { teacher: file, out, data } = flags;
  if (file === undefined) throw new UsageError("--teacher: needed: whose logits are written");
  if (out === undefined) throw new UsageError("--out: needed: the file to write");
  if (data === undefined) throw new UsageError("--data: needed: the samples");
  expectExtension("out", out, ARRAY_FILES);
  const networks = await Networks.open(flags);
  const source = await setUp(optionsOf(dataSchema, { ...flags }), undefined, flags);
  const teacher = await networks.readTeacher({ ...flags, teacher: file }, flags, { ...source, takesVectors: true });
  const note = (text: string) => {
    printError(text);
  };
  const { batchSize, dtype, overwrite } = flags;
  const written = await interruptible(
    note,
    (signal) => writeLogits(teacher, source.train(), out, { batchSize, dtype, overwrite, signal, onNote: note }),
    "finishing the batch",
  );
  if (flags.json) return print(JSON.stringify({ teacher: file, data: source.name, ...written }));
  const { samples, classes, bytes } = written;
  const size = `${showCount(samples)} x ${classes} logits, ${showBytes(bytes)}`;
  print(`${printableInline(out)}: ${size}, of ${printableInline(file)} for ${printableInline(source.name)}`);
}
