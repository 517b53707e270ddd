import { basename, dirname, join, resolve } from "node:path";
import * as v from "valibot";
import { show, showList } from "../checks.js";
import { type TextEncoding, textEncoding } from "../data/text/encodings.js";
import { badData, kindOf, readWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { formatExpression } from "../registry/index.js";

/** What a `config.json` of Hugging Face says of a BERT. */
const BERT = v.object({
  model_type: v.literal("bert"),
  hidden_act: v.literal("gelu"),
  position_embedding_type: v.optional(v.literal("absolute")),
  pad_token_id: v.optional(v.literal(0)),
  num_hidden_layers: v.number(),
  hidden_size: v.number(),
  num_attention_heads: v.number(),
  intermediate_size: v.number(),
  vocab_size: v.number(),
  max_position_embeddings: v.number(),
  type_vocab_size: v.number(),
  layer_norm_eps: v.number(),
  is_decoder: v.optional(v.literal(false)),
});

/** A network that a `config.json` beside its weights describes. */
export interface Described {
  /** As `bert(layers=6, ...)`. */
  readonly network: string;
  /** The values of its vectors. */
  readonly classes: number;
  /** The most ids of a text. */
  readonly length: number;
}

/**
 * Reads the `config.json` beside a file of weights: what gives the network that it describes, or refuses a BERT that is another; null if
 * there is none. Of another kind it gives null, too, if `bert` is not named.
 */
export async function describedBeside(file: string): Promise<((isNamed: boolean) => Described | null) | null> {
  const path = join(dirname(file), "config.json");
  const config = await jsonOf(path);
  if (config === null) return null;
  const folder = await folderOfModules(dirname(file));
  const [modules, pooling] = [join(folder, "modules.json"), join(folder, "1_Pooling", "config.json")];
  const [steps, pooled] = [await jsonOf(modules), await jsonOf(pooling)];
  return (isNamed) => {
    if (!isNamed && !v.is(v.looseObject({ model_type: BERT.entries.model_type }), config)) return null;
    const normalize = steps === null || isNormalized(modules, steps);
    if (steps !== null || pooled !== null) expectMean(pooling, pooled);
    return described(path, config, normalize);
  };
}

/** Where sentence-transformers keep what belongs to a transformer: its own folder, or the one above, whose `modules.json` names it. */
async function folderOfModules(own: string): Promise<string> {
  const above = dirname(resolve(own));
  if ((await kindOf(join(own, "modules.json"))) !== null) return own;
  const modules = await jsonOf(join(above, "modules.json"));
  const isNamed = v.is(MODULES, modules) && modules.some(({ path }) => path === basename(resolve(own)));
  return isNamed ? above : own;
}

function described(path: string, config: unknown, normalize: boolean): Described {
  const { success, output, issues } = v.safeParse(BERT, config);
  if (!success) {
    const [{ input, expected }] = issues;
    const key = v.getDotPath(issues[0]);
    if (key === null || Array.isArray(config)) throw badData(path, "expected the JSON object of a BERT");
    const text = input === undefined ? "needed" : `expected ${expected ?? "another value"}, got ${show(input)}`;
    throw badData(path, `${key}: ${text}`);
  }
  const { hidden_size: dim, max_position_embeddings: positions } = output;
  const network = formatExpression({
    ...{ name: "bert", layers: output.num_hidden_layers, dim, heads: output.num_attention_heads },
    ...{ hidden: output.intermediate_size, buckets: output.vocab_size, positions },
    ...{ types: output.type_vocab_size, eps: output.layer_norm_eps, normalize },
  });
  return { network, classes: dim, length: positions };
}

/** What sentence-transformers make a vector by, one after the other, whatever module of theirs holds it. */
const MODULES = v.array(v.looseObject({ type: v.string(), path: v.optional(v.string()) }));
const STEPS = ["Transformer", "Pooling", "Normalize"];

/** Whether a `modules.json` ends with `Normalize`; refuses steps that `bert` does not compute. */
function isNormalized(path: string, modules: unknown): boolean {
  const steps = v.is(MODULES, modules) ? modules.map(({ type }) => type.split(".").at(-1) ?? "") : [];
  const isKnown = steps.length >= 2 && steps.every((step, i) => step === STEPS[i]);
  if (isKnown) return steps.length === STEPS.length;
  const got = steps.length === 0 ? "no such list" : showList(steps);
  throw badData(path, `expected Transformer, Pooling and then Normalize or nothing, which bert computes, got ${got}`);
}

const MEAN = "pooling_mode_mean_tokens";

/** Refuses what sentence-transformers keep of a model that makes its vectors otherwise than by the mean over the tokens alone. */
function expectMean(path: string, pooling: unknown): void {
  if (pooling !== null && !v.is(v.record(v.string(), v.unknown()), pooling)) {
    throw badData(path, "expected a JSON object that names the pooling");
  }
  const modes = pooling ?? {};
  const isMean = modes[MEAN] === true || modes.pooling_mode === "mean";
  const more = Object.keys(modes).find(
    (key) => key.startsWith("pooling_mode_") && key !== MEAN && modes[key] !== false,
  );
  if (isMean && more === undefined) return;
  const got = more === undefined ? (pooling === null ? "no such file" : "another") : more;
  throw badData(path, `expected the mean over the tokens alone, ${MEAN}, got ${got}`);
}

/** What sentence-transformers say of the most ids of a text; and what is taken if they say nothing. */
const CUT = v.object({ max_seq_length: v.pipe(v.number(), v.integer(), v.minValue(1)) });
const USUAL_LENGTH = 128;

/** Reads the `tokenizer.json` beside a file of weights, with at most `positions` ids a text; null if there is none. A note says it if nothing else does how many. */
export async function tokenizerBeside(
  file: string,
  positions: number,
  onNote: (text: string) => void,
): Promise<(() => TextEncoding) | null> {
  const path = join(dirname(file), "tokenizer.json");
  if ((await kindOf(path)) !== "file") return null;
  const cut = await jsonOf(join(dirname(file), "sentence_bert_config.json"));
  const isSaid = v.is(CUT, cut);
  const length = Math.min(isSaid ? cut.max_seq_length : USUAL_LENGTH, positions);
  let encoding: TextEncoding | undefined;
  return () => {
    if (encoding !== undefined) return encoding;
    encoding = textEncoding(formatExpression({ name: "tokenizer", file: path, length }));
    if (!isSaid)
      onNote(`texts are cut at ${length} ids: no sentence_bert_config.json with max_seq_length is beside it`);
    return encoding;
  };
}

/** The JSON in a file; null if there is no file, undefined if it has none. */
async function jsonOf(path: string): Promise<unknown> {
  if ((await kindOf(path)) !== "file") return null;
  try {
    return JSON.parse(new TextDecoder().decode(await readWhole(path))) ?? undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** The encoder's tensors of a BERT: without the parts for other tasks, and the numbers of its positions. */
export function encoderOf(state: StateDict): StateDict {
  const prefix = Object.keys(state).some((key) => key.startsWith("bert.")) ? "bert." : "";
  const entries = Object.entries(state).flatMap(([key, tensor]): [string, StateDict[string]][] => {
    // The first BERTs' files have TensorFlow's names of these two.
    const own = key
      .slice(prefix.length)
      .replace(/LayerNorm\.gamma$/, "LayerNorm.weight")
      .replace(/LayerNorm\.beta$/, "LayerNorm.bias");
    return key.startsWith(prefix) && /^(embeddings|encoder)\./.test(own) && own !== "embeddings.position_ids"
      ? [[own, tensor]]
      : [];
  });
  return Object.fromEntries(entries);
}
