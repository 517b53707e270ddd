import { basename, dirname, join, resolve } from "node:path";
import * as v from "valibot";
import { show, showList } from "../checks.js";
import { type TextEncoding, textEncoding } from "../data/text/encodings.js";
import { badData, kindOf, readWhole } from "../files/index.js";
import { MODELS } from "../models/index.js";
import type { NetworkEntry, NetworkSpec } from "../models/network.js";
import { formatExpression } from "../registry/index.js";

/**
 * Reads the `config.json` beside a file of weights. Returns the text of the network that it describes, for at most so
 * many ids per text, or refuses it if the named network computes something else; null if there is no such file. If no
 * network is named, it also returns null for a file that describes none.
 */
export async function describedBeside(
  file: string,
): Promise<((named: NetworkEntry | undefined) => NetworkSpec | null) | null> {
  const path = join(dirname(file), "config.json");
  const config = await jsonOf(path);
  if (config === null) return null;
  const folder = await folderOfModules(dirname(file));
  const [modules, pooling] = [join(folder, "modules.json"), join(folder, "1_Pooling", "config.json")];
  const [steps, pooled] = [await jsonOf(modules), await jsonOf(pooling)];
  return (named) => {
    const { name, pretrained } = named ?? MODELS.entries.find((entry) => isOf(entry, config)) ?? {};
    if (name === undefined || pretrained === undefined) return null;
    const normalize = steps === null || isNormalized(modules, steps, name);
    if (steps !== null || pooled !== null) expectMean(pooling, pooled);
    const options = optionsOf(path, config, name, pretrained.config);
    const network = formatExpression({ name, ...options, normalize });
    return { network, shape: [options.positions], classes: options.dim };
  };
}

/**
 * Where sentence-transformers keep the files of a transformer: in its own folder, or in the one above if that one's
 * `modules.json` names it.
 */
async function folderOfModules(own: string): Promise<string> {
  const above = dirname(resolve(own));
  if ((await kindOf(join(own, "modules.json"))) !== null) return own;
  const modules = await jsonOf(join(above, "modules.json"));
  const isNamed = v.is(MODULES, modules) && modules.some(({ path }) => path === basename(resolve(own)));
  return isNamed ? above : own;
}

/** Whether a `config.json` belongs to this network. */
function isOf({ pretrained }: NetworkEntry, config: unknown): boolean {
  return pretrained !== undefined && v.is(v.looseObject({ model_type: v.literal(pretrained.modelType) }), config);
}

function optionsOf<T>(path: string, config: unknown, name: string, schema: v.GenericSchema<unknown, T>): T {
  const { success, output, issues } = v.safeParse(schema, config);
  if (success) return output;
  const [{ input, expected }] = issues;
  const key = v.getDotPath(issues[0]);
  if (key === null || Array.isArray(config)) throw badData(path, `expected the JSON object of ${name}`);
  const text = input === undefined ? "needed" : `expected ${expected ?? "another value"}, got ${show(input)}`;
  throw badData(path, `${key}: ${text}`);
}

/** The steps by which sentence-transformers make a vector, whichever of their modules holds them. */
const MODULES = v.array(v.looseObject({ type: v.string(), path: v.optional(v.string()) }));
const STEPS = ["Transformer", "Pooling", "Normalize"];

/** Whether a `modules.json` ends with `Normalize`; refuses steps that the network does not compute. */
function isNormalized(path: string, modules: unknown, name: string): boolean {
  const steps = v.is(MODULES, modules) ? modules.map(({ type }) => type.split(".").at(-1) ?? "") : [];
  const isKnown = steps.length >= 2 && steps.every((step, i) => step === STEPS[i]);
  if (isKnown) return steps.length === STEPS.length;
  const got = steps.length === 0 ? "no such list" : showList(steps);
  throw badData(
    path,
    `expected Transformer, Pooling and then Normalize or nothing, which ${name} computes, got ${got}`,
  );
}

const MEAN = "pooling_mode_mean_tokens";

/** Refuses a sentence-transformers model whose vectors are not the mean over the tokens alone. */
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

/**
 * The file in which sentence-transformers state the maximum number of ids per text, and the number that is used without
 * it.
 */
const CUT = v.object({ max_seq_length: v.pipe(v.number(), v.integer(), v.minValue(1)) });
const USUAL_LENGTH = 128;

/**
 * Reads the `tokenizer.json` beside a file of weights, with at most `positions` ids per text; null if there is none. A
 * note gives the number if no file states it.
 */
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

/** The JSON in a file; null if there is no file, undefined if its content is not JSON. */
async function jsonOf(path: string): Promise<unknown> {
  if ((await kindOf(path)) !== "file") return null;
  try {
    return JSON.parse(new TextDecoder().decode(await readWhole(path))) ?? undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
