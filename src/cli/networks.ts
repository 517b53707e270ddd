import { load, modelMetadata, type NetworkFile, openNetwork } from "../checkpoint/index.js";
import { renamed } from "../checks.js";
import { teacherOptions } from "../config/index.js";
import { AVERAGE_OPTIONS } from "../config/schemas.js";
import type { Dataset } from "../data/dataset.js";
import { samplesText } from "../data/preprocessing/adapt.js";
import { DistilleryError } from "../errors.js";
import { createNetwork, networkSpecOf, vectorsOf } from "../models/create_network.js";
import { Ensemble } from "../models/ensemble.js";
import { encodingOf, expectReads, fitNetwork } from "../models/fit_network.js";
import { forOutputs } from "../models/for_outputs.js";
import { MODELS } from "../models/index.js";
import type { NetworkContext } from "../models/network.js";
import { parseRecord, recordOf, setRecord, type TrainingRecord } from "../models/training_record.js";
import { Module } from "../nn/module.js";
import { misfitOf } from "../nn/state_dict.js";
import { type Expression, importModules, type UserModules } from "../registry/index.js";
import { averaged, openTeachers, type Teacher, type TeacherOptions } from "../teachers/index.js";
import { isSameShape, numel } from "../tensor/shape.js";
import { UsageError } from "./error_boundary.js";
import { type ColumnOptions, columnTeacher } from "./external_teacher.js";
import { flagOf } from "./flag_names.js";
import { type LoadFlags, loadOptions } from "./flags.js";
import { type Source, vectorsAdvice } from "./source.js";
import { printError } from "./terminal.js";

/** Makes networks from the options of a configuration, and reads them from files. */
export class Networks {
  private constructor(
    private readonly options: Readonly<NetworkOptions>,
    readonly modules: UserModules,
  ) {}

  /** Imports the modules that the options name. This is the only place where a user's code is loaded. */
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
    return underFlag(option, () =>
      createNetwork(this.options[option] ?? DEFAULTS[option], context, { modules: this.modules, argument }),
    );
  }

  /** The teacher that the options name: a column of the data, or files; null if there is none. */
  async teacherOf<C extends ColumnOptions & Omit<TeacherConfig, "teacher">>(
    config: C & { teacher?: TeacherConfig["teacher"] | undefined },
    flags: LoadFlags,
    source: Source,
  ): Promise<Module | Teacher | null> {
    const { teacher } = config;
    const column = await columnTeacher(config);
    return column ?? (teacher === undefined ? null : this.readTeacher({ ...config, teacher }, flags, source));
  }

  /** The teacher in a file, or the average of several. */
  async readTeacher(config: TeacherConfig, flags: LoadFlags, source: Source): Promise<Module | Teacher> {
    const teachers = await openTeachers([config.teacher].flat(), teacherOptions(config), {
      readNetwork: (file) => this.read(file, "teacherNetwork", flags, source),
    });
    if (teachers.length > 1) {
      const { average, teacherWeights: weights, teacherConfidence: byConfidence } = config;
      return averaged(teachers, { average, weights, byConfidence });
    }
    const name = AVERAGE_OPTIONS.find((option) => config[option] !== undefined);
    if (name !== undefined) throw new UsageError(`${flagOf(name)}: needs two teachers or more, got 1`);
    return teachers[0];
  }

  /** Makes the network that an option names, with the weights of a file if one is given. */
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
   * The network of a file, which has to fit the data: columns and classes are matched by name. The file says which
   * network it is; if it does not, or names a user's class, the option does.
   */
  async read(file: string, option: keyof NetworkOptions, flags: LoadFlags, source: Source): Promise<Module> {
    const module = this.of(await openNetwork(file, loadOptions(flags)), option, source.context.shape);
    const data = () => (source.takesVectors ? forOutputs(source.train(), module) : source.train());
    const fitted = source.isSynthetic ? module : fitNetwork(module, data(), file);
    if (source.isSynthetic || recordOf(module) === null) {
      const { context } = source;
      // A network that encodes texts itself accepts any length.
      const shape = (encodingOf(fitted) === null ? null : networkSpecOf(module))?.shape ?? context.shape;
      expectFits(file, module, { ...source, context: { ...context, shape } });
      const isTable = !source.isSynthetic && source.train().table !== undefined;
      if (isTable && vectorsOf(module) === null && flags.quiet !== true) printError(unknownText(file, source));
    }
    return module;
  }

  /** Makes the network of a file that was read, for images of a shape. */
  of(opened: NetworkFile, option: keyof NetworkOptions, imageShape: readonly number[] | undefined): Module {
    const network = this.options[option];
    return opened.network({
      argument: flagOf(option),
      ...(network !== undefined && { network, modules: this.modules }),
      imageShape,
    });
  }
}

/** Refuses a network named by an option if it can't read the samples of the data. */
export function expectReadable(option: keyof NetworkOptions, network: Module, data: Dataset): void {
  underFlag(option, () => expectReads(network, data, flagOf(option)));
}

/** Runs `body`; if it refuses the network, reports a usage error of the flag that names it. */
function underFlag<T>(option: keyof NetworkOptions, body: () => T): T {
  try {
    return body();
  } catch (thrown) {
    const error = renamed(thrown, "network", flagOf(option));
    const isRefusal = error instanceof DistilleryError && ["BAD_ARGUMENT", "SHAPE_MISMATCH"].includes(error.code);
    throw isRefusal ? new UsageError(error.message, { cause: thrown }) : thrown;
  }
}

/** Where a teacher is read from, and how several are combined. */
interface TeacherConfig extends TeacherOptions {
  teacher: string | readonly string[];
  average?: "logits" | "probabilities" | undefined;
  teacherWeights?: readonly number[] | undefined;
  teacherConfidence?: boolean | undefined;
}

/**
 * [height, width] from `--image-size`, which is already checked, for a network whose file does not say what it takes; a
 * usage error if the file says otherwise.
 */
export function sidesFor(
  file: string,
  record: TrainingRecord | null,
  size: number | readonly number[] | undefined,
): readonly number[] | undefined {
  const sides = typeof size === "number" ? [size, size] : size;
  if (sides === undefined || record === null) return sides;
  const { preprocessing } = record;
  const isSame = preprocessing.kind === "image" && isSameShape(sides, [preprocessing.height, preprocessing.width]);
  if (isSame) return sides;
  const text = `is for a .pth file that does not say what it takes: ${file} takes ${samplesText(preprocessing)}`;
  throw new UsageError(`${flagOf("imageSize")}: ${text}: leave this out`);
}

/** The networks of a command, as the user named them. */
export interface NetworkOptions {
  network?: Expression | undefined;
  student?: Expression | undefined;
  teacherNetwork?: Expression | undefined;
}

const DEFAULTS = { network: "student", student: "student", teacherNetwork: "teacher" } as const;
const NETWORK_OPTIONS = Object.keys(DEFAULTS) as (keyof NetworkOptions)[];

/** A note that nothing says which columns and classes a file's network was trained with. */
export function unknownText(file: string, source: Source): string {
  const { name } = source;
  const given = `it gets the columns and classes of ${name} in their order, by the statistics of ${name}`;
  const isScaled = source.train().targetScale !== undefined;
  const taken = isScaled ? `, and what it gives counts as standardised by the targets' of ${name}` : "";
  return `${file}: does not say what it was trained with, as the .safetensors files of runs do: ${given}${taken}`;
}

/** Refuses a network that does not fit the data, and names its file. */
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
  const [inputs, features] = [spec.shape, context.shape].map((shape) => numel(shape));
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

/**
 * The configuration with the network that the teacher's file names, or the sum of several networks if the teacher has
 * several files. No network is named if the teacher is not one of Distillery's.
 */
export function withTeacherNetwork<
  C extends { teacher?: string | readonly string[] | undefined; teacherNetwork: string },
>(config: C, teacher: Module | Teacher | (() => Module) | null): Omit<C, "teacherNetwork"> {
  const { teacherNetwork, ...others } = config;
  // A network that was made here has the configuration's name.
  if (typeof teacher === "function" || (config.teacher === undefined && teacher instanceof Module)) return config;
  if (!(teacher instanceof Module)) return others;
  const networks = teacher instanceof Ensemble ? teacher.networks : [teacher];
  const names = networks.map((network) => networkSpecOf(network)?.network ?? teacherNetwork);
  return { ...others, teacherNetwork: names.join(" + ") };
}
