import { Argument, Command } from "commander";
import { FORMATS } from "../data/index.js";
import { TEXT_ENCODINGS } from "../data/text/encodings.js";
import { LOSSES } from "../losses/index.js";
import { MODELS } from "../models/index.js";
import * as F from "../nn/functional.js";
import * as layers from "../nn/index.js";
import * as ops from "../ops/index.js";
import { OPTIMIZERS, SCHEDULES } from "../optim/index.js";
import type { OptionHelp } from "../registry/index.js";
import { TASKS } from "../tasks/index.js";
import { TEACHERS } from "../teachers/open_teacher.js";
import { Tensor } from "../tensor/tensor.js";
import { errorBoundary, UsageError, unknownName } from "./error_boundary.js";
import { addShowing, type ShowFlags } from "./flags.js";
import { explained, hanging, print, widthOf } from "./terminal.js";

/** Something that can be made by name, as help texts and reference pages show it. */
interface ReferenceEntry {
  readonly name: string;
  readonly help: string;
  readonly options: readonly OptionHelp[];
}

/** Everything of one kind. */
interface Reference {
  /** Where the names are used. */
  readonly usage: string;
  readonly entries: readonly ReferenceEntry[];
}

/** Taken from the registries, so that a new entry appears without further changes. */
const KINDS: Readonly<Record<string, () => Promise<Reference>>> = {
  networks: async () => ({
    usage: 'distill --student "mlp(hidden=[64])", --teacher-network; evaluate --network; createNetwork() in programs',
    entries: MODELS.describe(),
  }),
  losses: async () => ({
    usage: 'distill --loss "0.1*cross-entropy + 0.9*kd(temperature=4)"; distill({ loss }) in programs',
    entries: LOSSES.describe(),
  }),
  tasks: async () => ({
    usage: "train-teacher --task regression; loadData({ task }) in programs; found from the data",
    entries: Object.values(TASKS).map(({ name, help }) => ({ name, help, options: [] })),
  }),
  teachers: async () => ({
    usage: 'distill --teacher "ema(decay=0.99)"; files of weights or logits have no name',
    entries: TEACHERS.describe(),
  }),
  optimizers: async () => ({
    usage: 'distill --optimizer "sgd(momentum=0.9)" --schedule cosine',
    entries: OPTIMIZERS.describe(),
  }),
  schedules: async () => ({
    usage: 'distill --schedule "multi-step(milestones=[150, 180, 210])"',
    entries: SCHEDULES.describe(),
  }),
  formats: async () => ({
    usage: "distill --data FOLDER_OR_FILE; loadData() in programs",
    entries: FORMATS.map(({ name, help }) => ({ name, help, options: [] })),
  }),
  encodings: async () => ({
    usage: 'distill --text-encoding "hash(buckets=20000)"; loadData({ textEncoding }) in programs',
    entries: TEXT_ENCODINGS.describe(),
  }),
  layers: async () => ({
    usage: "new LayerNorm(64) in programs; arguments, names and state dict keys are those of PyTorch",
    entries: Object.keys(layers).map((name) => ({ name, help: "", options: [] })),
  }),
  operations: async () => ({
    usage:
      "in programs, as in PyTorch: F.NAME and NAME are functions that the package exports, x.NAME a tensor's methods",
    entries: Object.keys(ops)
      .sort()
      .map((name) => ({ name, help: formsOf(name), options: [] })),
  }),
};

/** How programs call an operation. */
function formsOf(name: string): string {
  const forms = [...(name in F ? [`F.${name}(...)`] : []), ...(name in Tensor.prototype ? [`x.${name}(...)`] : [])];
  return forms.join(", ") || `${name}(...)`;
}

type ListFlags = ShowFlags & { kind?: string };

/** `distillery list [KIND]`. */
export function makeCommand(): Command {
  const command = new Command("list")
    .description("list networks, losses and everything else that has a name, with options and defaults")
    .addArgument(new Argument("[kind]", `only this kind: ${Object.keys(KINDS).join(", ")}`));
  return addShowing(command, "print a JSON object").action((kind: string | undefined, flags: ListFlags) =>
    errorBoundary(runList)({ ...flags, kind }),
  );
}

/** Prints the entries of a kind, or of all kinds. */
async function runList({ kind, json }: ListFlags): Promise<void> {
  const all = Object.keys(KINDS);
  if (kind !== undefined && !all.includes(kind)) throw new UsageError(unknownName("kind", kind, all));
  const kinds = kind === undefined ? all : [kind];
  const references = await Promise.all(
    kinds.map(async (kind): Promise<[string, Reference]> => [kind, await KINDS[kind]()]),
  );
  if (json) print(JSON.stringify(Object.fromEntries(references)));
  else {
    const width = widthOf(process.stdout);
    print(references.map(([kind, reference]) => referenceText(kind, reference, width)).join("\n\n"));
  }
}

function referenceText(kind: string, { usage, entries }: Reference, width: number): string {
  return [hanging("", `${kind}: ${usage}`, width, 2), ...entries.map((entry) => entryText(entry, width))].join("\n");
}

function entryText({ name, help, options }: ReferenceEntry, columns: number): string {
  const rows = options.map((option): [string, string] => [
    option.default === null || option.default === "" ? option.name : `${option.name}=${option.default}`,
    option.help,
  ]);
  const width = Math.max(...rows.map(([form]) => form.length));
  return [
    hanging("  ", help === "" ? name : `${name}: ${help}`, columns, 6),
    ...rows.map(([form, help]) => explained(`    ${form}`, help, width + 6, columns)),
  ].join("\n");
}
