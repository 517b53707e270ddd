import * as v from "valibot";
import { badArgument, expectInteger, expectLength, expectOptions } from "../checks.js";
import { MAX_IDS } from "../data/text/encoding.js";
import { DEFAULT_BUCKETS } from "../data/text/hash.js";
import type { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import {
  described,
  type Entry,
  expected,
  formatExpression,
  integer,
  length,
  list,
  type OptionSchemas,
  type OptionsOf,
} from "../registry/index.js";
import { showCount } from "../show.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";

/** What a network is made for. */
export interface NetworkContext {
  /** The shape of one sample, such as `[784]` or `[1, 28, 28]`. */
  readonly shape: readonly number[];
  /** The number of classes, which is the number of logits. */
  readonly classes: number;
  /**
   * If samples are the ids of texts, how many ids there are: the rows of a network's table, unless its text says other.
   */
  readonly vocabulary?: number;
}

/** A network by its text, with what it is made for: all that is needed to make another one. */
export interface NetworkSpec extends NetworkContext {
  /** As `mlp(hidden=[64])`. */
  readonly network: string;
}

/** What a network costs for samples of a shape: by default images of [3, 32, 32] in 100 classes. */
export interface NetworkCost {
  readonly parameters: number;
  /** Of the products of a forward pass of one sample. */
  readonly multiplyAdds: number;
  readonly shape?: readonly number[];
  readonly classes?: number;
}

/** A network that can be made by its name. */
export interface NetworkEntry<E extends v.ObjectEntries = OptionSchemas> extends Entry<Module, NetworkContext, E> {
  create(options: OptionsOf<E>, context: NetworkContext): Module;
  /** The options that a network's text may leave out because what it is made for tells them; its file has them. */
  decide?(context: NetworkContext): Record<string, number>;
  /** What it costs with its defaults; part of its help. */
  readonly size?: NetworkCost;
  /** The class whose instances `recognize` is for, with the computation that this entry makes. */
  readonly type?: abstract new (
    ...args: never[]
  ) => Module;
  /**
   * Recognises a state dict that has no text beside it, by its keys and shapes; null if it belongs to another network.
   */
  recognize?(state: StateDict): NetworkSpec | null;
  /** For an encoder of texts whose weights lie on Hugging Face; `type` is needed then. */
  readonly pretrained?: Pretrained;
}

/** How Hugging Face keeps an encoder of texts. */
interface Pretrained {
  /** The `model_type` of its `config.json`. */
  readonly modelType: string;
  /**
   * Refuses a `config.json` of what the network does not compute, and makes it the options of its text, but
   * `normalize`.
   */
  readonly config: v.GenericSchema<unknown, Record<"dim" | "positions", number> & Record<string, number>>;
  /** The encoder's part of a file, by the keys of the network. */
  state(file: StateDict): StateDict;
  /** The most ids of a text that a network of this class reads. */
  positions(network: Module): number;
}

/** A network's entry whose `create` gets the types of its own options; what it costs becomes part of its help. */
export function defineNetwork<E extends v.ObjectEntries>(entry: NetworkEntry<E>): NetworkEntry<E> {
  const { size, help } = entry;
  return size === undefined ? entry : { ...entry, help: `${help}; ${sizeText(size)}` };
}

function sizeText({ parameters, multiplyAdds, shape = [3, 32, 32], classes = 100 }: NetworkCost): string {
  const [values, products] = [parameters, multiplyAdds].map(showCount);
  return `${values} parameters and ${products} multiply-adds for ${shape.join("x")} in ${classes} classes`;
}

/** Checks what a network is made for; `BAD_ARGUMENT` otherwise. */
export function expectContext(context: NetworkContext): NetworkContext {
  if (typeof context !== "object" || context === null) {
    throw badArgument("context", "{ shape, classes }, as { shape: [784], classes: 10 }", context);
  }
  expectOptions("context", context, ["shape", "classes", "vocabulary"]);
  const { shape, classes, vocabulary } = context;
  if (!Array.isArray(shape) || shape.length === 0) {
    throw badArgument("shape", "the shape of one sample, as [784]", shape);
  }
  for (const [i, length] of shape.entries()) expectLength(`shape[${i}]`, length);
  expectLength("classes", classes);
  if (vocabulary === undefined) return { shape: [...shape], classes };
  return { shape: [...shape], classes, vocabulary: expectInteger("vocabulary", vocabulary, 2, MAX_IDS) };
}

/** Each sample as a row of values: [rows, features]. */
export function asRows(x: Tensor): Tensor {
  expectTensor("x", x);
  return x.shape.length === 2 ? x : x.flatten(1);
}

/** The number of values of a sample. */
export function features({ shape }: Pick<NetworkContext, "shape">): number {
  return numel(shape);
}

/**
 * The option of a network for texts: the rows of its table. What {@link NetworkEntry.decide} says for it is
 * {@link bucketsFor}.
 */
export const BUCKETS = described(
  v.optional(integer(2, MAX_IDS)),
  "rows of the table (default: the ids of the texts' encoding)",
);

/** As many rows as the texts' encoding has ids. */
export function bucketsFor({ vocabulary = DEFAULT_BUCKETS }: NetworkContext) {
  return { buckets: vocabulary };
}

/** The option of a network with `count` hidden layers: their widths. */
export const widths = (count: number) => exactly(count, length(), `a list of ${count} widths`);

/** Layers, or blocks of a stage: more than any network has would only fill the memory. */
export const depth = () => integer(1, 1024);

/** A list of `count` values. */
export function exactly<S extends v.GenericSchema>(count: number, one: S, what: string) {
  return v.pipe(list(one, what), v.length(count, expected(what)));
}

/** What the constructor of the script's networks is told beside its options, with the sizes of MNIST. */
export const rows = () => ({ inFeatures: v.optional(length(), 784), classes: v.optional(length(), 10) });

/**
 * A chain of linear layers by its state dict: its text, with the widths of the hidden ones; null if a layer is missing.
 */
export function layerSizes(state: StateDict, layers: readonly string[], name: string): NetworkSpec | null {
  const shapes = layers.map((layer) => state[`${layer}.weight`]?.shape ?? []);
  if (!shapes.every((shape) => shape.length === 2 && shape.every((length) => length > 0))) return null;
  const outputs = shapes.map(([rows]) => rows);
  const [hidden, [classes]] = [outputs.slice(0, -1), outputs.slice(-1)];
  return { network: formatExpression({ name, hidden }), shape: [shapes[0][1]], classes };
}
