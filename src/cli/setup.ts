import { join } from "node:path";
import type { InferOutput } from "valibot";
import { load, modelMetadata, type NetworkFile, openNetwork } from "../checkpoint/index.js";
import { type dataSchema, type ResolvedConfig, type RunName, runMetadata, teacherOptions } from "../config/index.js";
import { AVERAGE_OPTIONS } from "../config/schemas.js";
import { type AugmentOptions, augment } from "../data/augment.js";
import { type Dataset, labelsOf, NO_LABEL } from "../data/dataset.js";
import { givenFormatOptions, onlyLoading } from "../data/load_options.js";
import { type Preprocessing, textColumnOf } from "../data/preprocessing/spec.js";
import { splitDataset } from "../data/split.js";
import { synthetic } from "../data/synthetic.js";
import { hasTargets } from "../data/task_name.js";
import { entryOf } from "../data/text/encodings.js";
import { DistilleryError } from "../errors.js";
import { csvLog, type MetricsLog, tensorBoardLog } from "../log/index.js";
import { createNetwork, networkSpecOf, vectorsOf } from "../models/create_network.js";
import { Ensemble } from "../models/ensemble.js";
import { encodingOf, expectReads, fitNetwork } from "../models/fit_network.js";
import { forOutputs } from "../models/for_outputs.js";
import { MODELS } from "../models/index.js";
import type { NetworkContext } from "../models/network.js";
import { parseRecord, recordOf, setRecord } from "../models/training_record.js";
import { Module } from "../nn/module.js";
import { misfitOf } from "../nn/state_dict.js";
import { type Expression, importModules, type UserModules } from "../registry/index.js";
import { shellQuoted } from "../shell_quoted.js";
import { taskOf } from "../tasks/index.js";
import { averaged, openTeachers, type Teacher, type TeacherOptions } from "../teachers/index.js";
import { manualSeed } from "../tensor/random.js";
import { setNumThreads } from "../threads.js";
import type { RunControls } from "../train/index.js";
import { joinRanks } from "../train/ranks.js";
import { UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";
import { type LoadFlags, loadOptions, type ShowFlags, type TrainingFlags } from "./flags.js";
import type { Settings } from "./settings.js";
import { printError } from "./terminal.js";

/** What says where a command's data come from and how they are split. */
type SourceOptions = InferOutput<typeof dataSchema> & {
  /** The fraction of the training data that is held out; default: none. */
  validation?: number;
  augment?: AugmentOptions | undefined;
};

/** Where a command's data come from. `train` draws the synthetic data: call it after the networks were made. */
export interface Source {
  name: string;
  isSynthetic: boolean;
  /** What a network for these data is made for. */
  context: NetworkContext;
  train(): Dataset;
  /** Held out of the training data; null if none is, and for synthetic data. */
  validation: Dataset | null;
  /** Null for synthetic data, and if there is none. */
  test: Dataset | null;
  /** Whether a network may give what it does for any data, whatever the labels are. */
  takesVectors?: boolean;
}

/**
 * Sets threads and seed, and opens the data, with a network's preprocessing if that is given; the random stream has drawn
 * nothing afterwards.
 */
export async function setUp(
  options: SourceOptions,
  preprocessing?: Preprocessing,
  { quiet = false }: ShowFlags = {},
): Promise<{ source: Source; seed: number }> {
  const { threads, seed } = options;
  if (threads !== undefined) setNumThreads(threads);
  const [foreign] = options.data === "synthetic" ? givenFormatOptions(options) : [];
  if (foreign !== undefined) throw new UsageError(`${flagOf(foreign)}: the synthetic data are drawn, not read`);
  const source =
    options.data === "synthetic" ? syntheticSource(options) : await openSource(options, preprocessing, quiet);
  manualSeed(seed);
  return { source, seed };
}

function syntheticSource({ augment: changes }: SourceOptions): Source {
  const train = () => (changes === undefined ? synthetic() : augment(synthetic(), changes));
  const context = { shape: [784], classes: 10 };
  return { name: "synthetic", isSynthetic: true, context, train, validation: null, test: null };
}

async function openSource(
  options: SourceOptions,
  preprocessing: Preprocessing | undefined,
  quiet: boolean,
): Promise<Source> {
  const { data, validation = 0, augment: changes } = options;
  // Loaded late: the reference script starts without the readers of files.
  const { loadData } = await import("../data/load_data.js");
  const {
    name,
    train: all,
    test,
    validation: own,
  } = await loadData(data, {
    ...onlyLoading(options),
    ...(!quiet && { onNote: printError }),
    ...(preprocessing && { preprocessing }),
  });
  const isSplit = validation > 0 && own === null;
  const { train, heldOut } = isSplit ? split(all, options) : { train: all, heldOut: own };
  if (heldOut !== null && !quiet) {
    for (const note of taskOf(heldOut).undefinedMetrics(heldOut)) printError(`validation: ${note}`);
  }
  const changed = changes === undefined ? train : augment(train, changes);
  const column = textColumnOf(all);
  const context = {
    ...{ shape: all.shape ?? [all.features], classes: all.classes },
    ...(column !== null && { vocabulary: entryOf(column.text).rows(column.text) }),
  };
  return {
    name,
    isSynthetic: false,
    context,
    train: () => changed,
    validation: validation === 0 ? null : heldOut,
    test,
  };
}

function split(
  whole: Dataset,
  { data, validation: fraction = 0, splitSeed: seed }: SourceOptions,
): { train: Dataset; heldOut: Dataset } {
  try {
    return splitDataset(whole, { fraction, seed });
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") throw error;
    if (!hasTargets(whole) && labelsOf(whole).every((label) => label === NO_LABEL)) {
      const text = `no sample has a label, which classes need; a text encoder's vectors need none: ${vectorsAdvice("ENCODER", data)}`;
      throw new DistilleryError("BAD_DATA", `${whole.name}: ${text}`, { cause: error });
    }
    const text = hasTargets(whole)
      ? "expected at least two samples for training, to hold one out, got 1"
      : "no class has two samples for training, one of which could be held out";
    throw new DistilleryError("BAD_DATA", `${whole.name}: ${text}: --validation 0 trains without a validation set`, {
      cause: error,
    });
  }
}

/** Makes networks by the options of a configuration, and reads them from files. */
export class Networks {
  private constructor(
    private readonly options: Readonly<NetworkOptions>,
    readonly modules: UserModules,
  ) {}

  /** Imports the modules that the options name: only here does a user's code run. */
  static async open(options: NetworkOptions): Promise<Networks> {
    const named = NETWORK_OPTIONS.flatMap((option) => {
      const network = options[option];
      return network === undefined ? [] : [{ option, network, issue: MODELS.issueOf(network) }];
    });
    const wrong = named.find(({ issue }) => issue !== null);
    if (wrong !== undefined) throw new UsageError(`${flagOf(wrong.option)}: ${wrong.issue}`);
    return new Networks(options, await importModules(named.map(({ network }) => network)));
  }

  /** Makes the network that an option names. */
  make(option: keyof NetworkOptions, context: NetworkContext): Module {
    const argument = flagOf(option);
    return underFlag(option, "network", () =>
      createNetwork(this.options[option] ?? DEFAULTS[option], context, { modules: this.modules, argument }),
    );
  }

  /** The teacher of a file, or the average of several. */
  async readTeacher(
    { average, teacherWeights: weights, teacherConfidence: byConfidence, ...config }: TeacherConfig,
    flags: LoadFlags,
    source: Source,
  ): Promise<Module | Teacher> {
    const teachers = await openTeachers([config.teacher].flat(), teacherOptions(config), {
      readNetwork: (file) => this.read(file, "teacherNetwork", flags, source),
      nameOf: flagOf,
    });
    if (teachers.length === 1) {
      const given = { average, teacherWeights: weights, teacherConfidence: byConfidence };
      const name = AVERAGE_OPTIONS.find((option) => given[option] !== undefined);
      if (name !== undefined) throw new UsageError(`${flagOf(name)}: is for several teachers, got 1`);
      return teachers[0];
    }
    return averaged(teachers, {
      ...(average !== undefined && { average }),
      ...(weights !== undefined && { weights }),
      ...(byConfidence !== undefined && { byConfidence }),
    });
  }

  /** Makes the network that an option names, which starts from the weights of a file if there is one. */
  async makeFrom(
    option: keyof NetworkOptions,
    context: NetworkContext,
    file: string | undefined,
    flags: LoadFlags,
  ): Promise<Module> {
    const module = this.make(option, context);
    if (file === undefined) return module;
    const state = await load(file, loadOptions(flags));
    const misfit = misfitOf(module.stateDict(), state);
    if (misfit !== null) throw new DistilleryError("STATE_DICT_MISMATCH", `--from: ${file}: does not fit: ${misfit}`);
    module.loadStateDict(state);
    setRecord(module, parseRecord(await modelMetadata(file, loadOptions(flags)), file));
    return module;
  }

  /**
   * The network of a file, which has to fit the data: columns and classes by their names. The file says which network it
   * is; if it does not, or is of a class of the user's own, the option does.
   */
  async read(file: string, option: keyof NetworkOptions, flags: LoadFlags, source: Source): Promise<Module> {
    const module = this.of(await openNetwork(file, loadOptions(flags)), option, source.context.shape);
    const data = () => (source.takesVectors ? forOutputs(source.train(), module) : source.train());
    const fitted = source.isSynthetic ? module : fitNetwork(module, data(), file);
    if (source.isSynthetic || recordOf(module) === null) {
      const { context } = source;
      // One that encodes texts itself takes any length.
      const shape = (encodingOf(fitted) === null ? null : networkSpecOf(module))?.shape ?? context.shape;
      expectFits(file, module, { ...source, context: { ...context, shape } });
      const isTable = !source.isSynthetic && source.train().table !== undefined;
      if (isTable && vectorsOf(module) === null && flags.quiet !== true) printError(unknownText(file, source));
    }
    return module;
  }

  /** The network of a file that was read, for images of a shape. */
  of(opened: NetworkFile, option: keyof NetworkOptions, imageShape: readonly number[] | undefined): Module {
    const network = this.options[option];
    return opened.network({
      argument: flagOf(option),
      ...(network !== undefined && { network, modules: this.modules }),
      ...(imageShape !== undefined && { imageShape }),
    });
  }
}

/** Refuses a network that an option names for data whose samples it can't read. */
export function expectReadable(option: keyof NetworkOptions, network: Module, data: Dataset): void {
  underFlag(option, "", () => expectReads(network, data, ""));
}

/** Runs `body`, whose refusals begin with `name`: they are wrong usage of an option's flag. */
function underFlag<T>(option: keyof NetworkOptions, name: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    const isRefusal = error instanceof DistilleryError && ["BAD_ARGUMENT", "SHAPE_MISMATCH"].includes(error.code);
    if (!isRefusal || error instanceof UsageError) throw error;
    const { message } = error;
    const text = message.startsWith(`${name}: `) ? `${flagOf(option)}${message.slice(name.length)}` : message;
    throw new UsageError(text, { cause: error });
  }
}

/** Where a teacher is read from, and how several become one. */
interface TeacherConfig extends TeacherOptions {
  teacher: string | readonly string[];
  average?: "logits" | "probabilities" | undefined;
  teacherWeights?: readonly number[] | undefined;
  teacherConfidence?: boolean | undefined;
}

/** [height, width] of `--image-size`, which was checked. */
export function sidesOf(size: number | readonly number[] | undefined): readonly number[] | undefined {
  return typeof size === "number" ? [size, size] : size;
}

/** Which networks a command is about, as the user named them. */
export interface NetworkOptions {
  network?: Expression | undefined;
  student?: Expression | undefined;
  teacherNetwork?: Expression | undefined;
}

const DEFAULTS = { network: "student", student: "student", teacherNetwork: "teacher" } as const;
const NETWORK_OPTIONS = Object.keys(DEFAULTS) as (keyof NetworkOptions)[];

/** That nothing says which columns and classes a network of a file was trained with. */
export function unknownText(file: string, source: Source): string {
  const { name } = source;
  const given = `it gets the columns and classes of ${name} in their order, by the statistics of ${name}`;
  const isScaled = source.train().targetScale !== undefined;
  const taken = isScaled ? `, and what it gives counts as standardised by the targets' of ${name}` : "";
  return `${file}: does not say what it was trained with, as the .safetensors files of runs do: ${given}${taken}`;
}

/** Refuses a network that does not fit the data, naming its file. */
export function expectFits(
  file: string,
  network: Module,
  {
    context,
    name,
    isSynthetic = false,
    takesVectors = false,
  }: Pick<Source, "context" | "name"> & Partial<Pick<Source, "isSynthetic" | "takesVectors">>,
): void {
  const spec = networkSpecOf(network);
  if (spec === null) return;
  const [inputs, features] = [spec.shape, context.shape].map((shape) => shape.reduce((product, n) => product * n, 1));
  const isAnyWidth = context.classes < 0 || (takesVectors && vectorsOf(network) !== null);
  if (inputs === features && (spec.classes === context.classes || isAnyWidth)) return;
  if (vectorsOf(network) !== null && spec.classes !== context.classes) {
    const text = `gives vectors of ${spec.classes} numbers, ${name} has ${context.classes} ${context.classes === 1 ? "class" : "classes"}`;
    throw new DistilleryError(
      "SHAPE_MISMATCH",
      `${file}: ${text}: a student learns them by ${vectorsAdvice(file, "DATA")}`,
    );
  }
  const takes = `${file}: a network of ${inputs} inputs and ${spec.classes} classes; ${name} has ${features} and ${context.classes}`;
  throw new DistilleryError("SHAPE_MISMATCH", isSynthetic ? `${takes}: --data is needed, with its own data` : takes);
}

/** How a student learns the vectors of a network, in two commands. */
function vectorsAdvice(file: string, data: string): string {
  const [teacher, samples] = [file, data].map(shellQuoted);
  const first = `\`distillery logits --teacher ${teacher} --data ${samples} --out vectors.npy\``;
  return `${first}, then \`distillery distill --data ${samples} --teacher vectors.npy --targets vectors.npy\``;
}

/** The configuration with the network that the teacher's file names, or the sum of several, if the teacher is read from one. */
export function withTeacherNetwork<
  C extends { teacher?: string | readonly string[] | undefined; teacherNetwork: string },
>(config: C, teacher: unknown): C {
  if (config.teacher === undefined || !(teacher instanceof Module)) return config;
  const networks = teacher instanceof Ensemble ? teacher.networks : [teacher];
  const names = networks.map((network) => networkSpecOf(network)?.network ?? config.teacherNetwork);
  return { ...config, teacherNetwork: names.join(" + ") };
}

/** How a training command's run is kept, by its configuration. */
export async function controlsOf<C extends RunName>(
  { config, userOptions }: Settings<C>,
  { resume = false, overwrite = false }: TrainingFlags,
): Promise<RunControls> {
  const { out, checkpointEvery, keepCheckpoints } = config;
  const ranks = joinRanks();
  return {
    out,
    ...{ resume, overwrite },
    ...(checkpointEvery !== undefined && { checkpointEvery }),
    keepCheckpoints,
    metadata: await runMetadata(config, userOptions),
    logs: logsOf(config),
    ...(ranks && { ranks }),
  };
}

function logsOf({ out, tensorboard, csv }: ResolvedConfig<RunName>): MetricsLog[] {
  const path = (given: string | boolean, usual: string) => (given === true ? join(out, usual) : given);
  const [folder, file] = [path(tensorboard, "tensorboard"), path(csv, "metrics.csv")];
  return [...(folder === false ? [] : [tensorBoardLog(folder)]), ...(file === false ? [] : [csvLog(file)])];
}
