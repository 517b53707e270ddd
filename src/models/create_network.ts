import { argumentError, badArgument, expectOptions, type Optional, show, TooManyElements } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { prefixAdvice, unwrapped } from "../nn/key_prefixes.js";
import type { Module } from "../nn/module.js";
import { expectStateDict, fittingState, misfitOf, type StateDict } from "../nn/state_dict.js";
import {
  type Expression,
  formatExpression,
  isModulePath,
  parseExpression,
  type Term,
  type UserModules,
} from "../registry/index.js";
import { shortageOf } from "../shortage.js";
import { showCount } from "../show.js";
import { withElementLimit } from "../tensor/element_limit.js";
import { numel } from "../tensor/shape.js";
import { MODELS } from "./index.js";
import { expectContext, type NetworkContext, type NetworkEntry, type NetworkSpec } from "./network.js";
import { recordMetadata, recordOf } from "./training_record.js";

/** Keys of the texts that a `.safetensors` file keeps of its network. */
export const NETWORK_KEY = "distillery.network";
const SHAPE_KEY = "distillery.shape";
const CLASSES_KEY = "distillery.classes";

/**
 * What a network may allocate while it is made, by the values in its file: initial values are made by way of others.
 */
const ELEMENTS_PER_STORED = 4;
const MORE_ELEMENTS = 65_536;
/** The same if the user named the network: a wider one is made, to say which shapes differ. */
const MORE_ELEMENTS_NAMED = 2 ** 28;

const SPECS = new WeakMap<Module, NetworkSpec>();

/**
 * Makes a network by its text: a registered one, or a class or function of a module of the user's own, which gets
 * `{ shape, classes, ...arguments }`. Its initial values come from the current random stream.
 *
 * @param context the shape of one sample, and the number of classes.
 * @param options `modules`: modules of the user's own, from `importModules`.
 * @throws DistilleryError `BAD_ARGUMENT` that names what came, what was expected and the nearest name.
 * @example
 * ```ts
 * const student = createNetwork("mlp(hidden=[64])", { shape: [784], classes: 10 });
 * ```
 */
export function createNetwork(
  network: Expression,
  context: NetworkContext,
  options: { modules?: UserModules; argument?: string } = {},
): Module {
  expectOptions("createNetwork", options, ["modules", "argument"]);
  const made = expectContext(context);
  const text = canonical(network, (entry) => entry.decide?.(made) ?? {}, options);
  const module = inMemory(made.shape, () => MODELS.resolve(text, made, options));
  SPECS.set(module, { network: text, shape: made.shape, classes: made.classes });
  return module;
}

/** The canonical text of a network, with what is decided of the options that the user left out. */
function canonical(
  network: Expression,
  decided: (entry: NetworkEntry) => Term["args"],
  options: { argument?: string } = {},
): string {
  const text = MODELS.canonical(network, options);
  const [term, ...more] = parseExpression(text);
  // A sum is refused where it is resolved.
  if (more.length > 0 || isModulePath(term.name)) return text;
  const args = { ...decided(MODELS.get(term.name)), ...term.args };
  return MODELS.canonical(formatExpression([{ ...term, args }]));
}

/** Says which inputs make a network's weights too large for memory. */
function inMemory(shape: readonly number[], make: () => Module): Module {
  try {
    return make();
  } catch (error) {
    const isShortage = error instanceof RangeError && shortageOf(error) !== null;
    if (!isShortage && !(error instanceof TooManyElements)) throw error;
    const values = showCount(numel(shape));
    const advice = "smaller images (--image-size), fewer columns (--drop-columns) or a smaller network";
    const text = `its weights for samples of ${values} values do not fit into memory: use ${advice}`;
    throw argumentError("network", text, { cause: error });
  }
}

/**
 * The text of a network, and what it is made for; null if it was not made by {@link createNetwork} and is of no
 * registered class.
 */
export function networkSpecOf(module: Module): NetworkSpec | null {
  const spec = SPECS.get(module);
  if (spec !== undefined) return spec;
  const entry = MODELS.entries.find(
    ({ type }) => type !== undefined && Object.getPrototypeOf(module) === type.prototype,
  );
  return entry?.recognize?.(module.stateDict()) ?? null;
}

/**
 * How long the vectors of a network are that gives them for any data, such as BERT; null: its outputs are those that
 * data want.
 */
export function vectorsOf(module: Module): number | null {
  const spec = networkSpecOf(module);
  if (spec === null) return null;
  const [{ name }] = parseExpression(spec.network);
  return !isModulePath(name) && MODELS.get(name).tasks?.includes("vectors") ? spec.classes : null;
}

/**
 * What a `.safetensors` file keeps of its network, as far as {@link networkSpecOf} knows it, and of what it was trained
 * with.
 */
export function weightsMetadata(module: Module, record = recordOf(module)): Record<string, string> {
  const ofRecord = record === null ? {} : recordMetadata(record);
  const spec = networkSpecOf(module);
  if (spec === null) return ofRecord;
  const { network, shape, classes } = spec;
  return { ...ofRecord, [NETWORK_KEY]: network, [SHAPE_KEY]: JSON.stringify(shape), [CLASSES_KEY]: String(classes) };
}

/** What says which network a state dict belongs to. */
export interface NetworkOfState extends Optional<NetworkContext> {
  /** As the user names it; default: what `metadata` says, or else what the keys say. */
  network?: Expression;
  /**
   * The shape of a sample if the first weight is a convolution's, which does not tell it: that of the data at hand, or
   * [height, width], with the channels that the convolution takes.
   */
  imageShape?: readonly number[];
  /** The texts of the `.safetensors` file that the state dict is from. */
  metadata?: Readonly<Record<string, string>>;
  /** Modules of the user's own, from `importModules`. */
  modules?: UserModules;
  /** What names the network, for errors, as a flag; default: `{ network }`, the option. */
  argument?: string;
  /** Called with a line on what was taken off all keys. */
  onNote?: (text: string) => void;
}

/** The names of {@link NetworkOfState}. */
export const NETWORK_OPTIONS = [
  "network",
  "shape",
  "classes",
  "imageShape",
  "metadata",
  "modules",
  "argument",
  "onNote",
] as const;

/**
 * The network that a state dict belongs to, with its values: the one that is named, or that the file's metadata name,
 * or a {@link TeacherNet} or {@link StudentNet} of any sizes, which the keys tell. What wrappers of PyTorch put before
 * all keys (`module.`, `_orig_mod.`, `model.`, ...) is taken off if the rest fits. Its initial values are drawn from
 * the current stream before they are replaced, as when a program makes one and loads into it. A module of the user's
 * own runs only if `network` names it: metadata alone never run code.
 *
 * @throws DistilleryError `BAD_CHECKPOINT` if nothing says which network it is, or the metadata are damaged or say
 * otherwise than `network`; `STATE_DICT_MISMATCH` if the weights do not fit the network.
 * @example
 * ```ts
 * const student = networkFrom(await load("student.pth"));
 * const tiny = networkFrom(await load("tiny.pth"), { network: "mlp(hidden=[8])" });
 * ```
 */
export function networkFrom(state: StateDict, options: NetworkOfState = {}): Module {
  expectOptions("networkFrom", options, NETWORK_OPTIONS);
  expectStateDict("state", state);
  const { network, argument } = options;
  const stored = storedSpec(options.metadata ?? {});
  if (network === undefined && stored === null) return loaded(recognized(state, argument), state, options);
  if (network === undefined) {
    const spec = expectRegistered(stored as NetworkSpec, argument);
    return ofMetadata(() => loaded(spec, state, options, NETWORK_KEY));
  }
  const named = parseExpression(network, "network");
  const text = isModulePath(named[0].name)
    ? formatExpression(named)
    : canonical(network, (entry) => decidedOf(stored, entry));
  if (stored !== null && !isModulePath(named[0].name) && text !== stored.network) {
    throw new DistilleryError("BAD_CHECKPOINT", `was made as ${shortened(stored.network)}, not as ${shortened(text)}`);
  }
  const shape = options.shape ?? stored?.shape ?? inputShape(state, options.imageShape);
  const classes = options.classes ?? stored?.classes;
  if (classes !== undefined) return loaded({ network: text, shape, classes }, state, options, "network");
  const guess = outputClasses(state);
  const own = (keys: StateDict) => outputClasses(keys, guess);
  return loaded({ network: text, shape, classes: guess }, state, options, "network", own);
}

/** What a file says of the options that what a network is made for decides. */
function decidedOf(stored: NetworkSpec | null, { decide, name }: NetworkEntry): Term["args"] {
  if (stored === null || decide === undefined) return {};
  const [term] = parseExpression(stored.network);
  const names = term.name === name ? Object.keys(decide(stored)) : [];
  return Object.fromEntries(names.map((option) => [option, term.args[option]]));
}

/** What the texts of a file say of its network; null if they say nothing. */
function storedSpec(metadata: Readonly<Record<string, string>>): NetworkSpec | null {
  if (!Object.hasOwn(metadata, NETWORK_KEY)) return null;
  const network = metadata[NETWORK_KEY];
  const shape = parseJson(metadata[SHAPE_KEY]);
  const classes = parseJson(metadata[CLASSES_KEY]);
  return ofMetadata(() => {
    const [{ name }, ...more] = parseExpression(network, NETWORK_KEY);
    if (more.length > 0) throw badArgument(NETWORK_KEY, "one network", network);
    const context = expectContext({ shape: shape as number[], classes: classes as number });
    return { network: isModulePath(name) ? network : MODELS.canonical(network, { argument: NETWORK_KEY }), ...context };
  });
}

/** What a file's metadata say wrong is a fault of the file. */
function ofMetadata<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") throw error;
    throw new DistilleryError("BAD_CHECKPOINT", `in its metadata, ${error.message}`, { cause: error });
  }
}

function shortened(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

function expectRegistered(spec: NetworkSpec, argument?: string): NetworkSpec {
  const [{ name }] = parseExpression(spec.network);
  if (!isModulePath(name)) return spec;
  throw new DistilleryError(
    "BAD_CHECKPOINT",
    `was made as ${spec.network}, a user module, which runs only if you name it: ${naming(spec.network, argument)}`,
  );
}

function recognized(state: StateDict, argument?: string): NetworkSpec {
  for (const { state: each } of unwrapped(state)) {
    const spec = recognize(each);
    if (spec !== null) return spec;
  }
  const keys = Object.keys(state);
  const some =
    keys.length === 0 ? "no keys" : `the keys ${keys.slice(0, 4).join(", ")}${keys.length > 4 ? ", ..." : ""}`;
  const names = MODELS.entries.flatMap((entry) => (entry.recognize ? [entry.name] : []));
  throw new DistilleryError(
    "BAD_CHECKPOINT",
    `${some} are of no network that is recognised (${names.join(", ")}): name it, as ${naming("mlp(hidden=[64])", argument)}${prefixAdvice(state, (part) => recognize(part) !== null)}`,
  );
}

/** How a network is named: by a flag or, without one, by the option of a program. */
function naming(network: string, argument?: string): string {
  return argument === undefined ? `{ network: ${show(network)} }` : `${argument} ${show(network)}`;
}

function recognize(state: StateDict): NetworkSpec | null {
  for (const entry of MODELS.entries) {
    const spec = entry.recognize?.(state) ?? null;
    if (spec !== null) return spec;
  }
  return null;
}

/** The network of a state dict. If its classes are a guess, `classesOf` tells them by the weights that it has. */
function loaded(
  spec: NetworkSpec,
  state: StateDict,
  options: NetworkOfState,
  source?: string,
  classesOf?: (state: StateDict) => number,
): Module {
  const { network, shape, classes } = spec;
  const { modules, onNote } = options;
  const misfit = (text: string) =>
    new DistilleryError(
      "STATE_DICT_MISMATCH",
      `the weights do not fit ${shortened(network)} of [${shape.join(", ")}] to ${classes} classes: ${text}`,
    );
  const elements = Object.values(state).reduce((sum, { size }) => sum + size, 0);
  const module = withElementLimit(
    ELEMENTS_PER_STORED * elements + (source === "network" ? MORE_ELEMENTS_NAMED : MORE_ELEMENTS),
    () => misfit(`it has more than ${elements} values`),
    () => createNetwork(network, { shape, classes }, { argument: source ?? "network", modules }),
  );
  const own = module.stateDict();
  const difference = misfitOf(own, state);
  const { state: fitting, prefix } = fittingState(own, state);
  if (difference !== null) {
    // A matrix that the network lacks says nothing about its outputs: it is the only thing to complain about then.
    const known = Object.fromEntries(Object.entries(fitting).filter(([key]) => Object.hasOwn(own, key)));
    const right = classesOf?.(known) ?? classes;
    if (right !== classes) return loaded({ ...spec, classes: right }, state, options, source);
    throw misfit(difference);
  }
  module.loadStateDict(state);
  if (prefix !== "") onNote?.(`took ${JSON.stringify(prefix)} off all keys`);
  return module;
}

/** The number of values that the first matrix of a state dict takes; of a convolution the shape of images. */
function inputShape(state: StateDict, images: readonly number[] | undefined): readonly number[] {
  const first = Object.values(state).find(({ shape }) => shape.length > 1);
  if (first?.shape.length === 2) return [first.shape[1]];
  if (first?.shape.length === 4 && images !== undefined) {
    return images.length === 2 ? [first.shape[1], ...images] : images;
  }
  if (first?.shape.length !== 4)
    throw argumentError("shape", "needed: the first weight does not tell the shape of a sample");
  const text = "needed: the weights do not tell the size of images, data of images do, or --image-size 32";
  throw argumentError("imageShape", text);
}

/** The number of values that the last matrix of a state dict gives; `otherwise` without one. */
function outputClasses(state: StateDict, otherwise?: number): number {
  const classes = Object.values(state).findLast(({ shape }) => shape.length === 2)?.shape[0] ?? otherwise;
  if (classes !== undefined) return classes;
  throw argumentError("classes", "needed: no weight tells the number of classes");
}
