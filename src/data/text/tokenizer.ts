import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { argumentError, show, showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, errorCode, readWholeSync } from "../../files/index.js";
import { described, expected, needed, text } from "../../registry/index.js";
import type { JsFunction } from "../../tensor/js_form.js";
import { defineTextEncoding, idsOfText, MAX_IDS } from "./encoding.js";
import { forLibrary } from "./tokenizer_for_library.js";

type Library = typeof import("@huggingface/tokenizers");

/** A peer of those who want it, loaded when the first text is encoded. */
const LIBRARY = "@huggingface/tokenizers";

/** How a text becomes the ids of a tokenizer. */
type TokenizerEncoding = v.InferOutput<typeof STORED>;

const FIELDS = {
  kind: v.literal("tokenizer"),
  length: idsOfText(),
  /** The text of its `tokenizer.json`, without white space. */
  tokenizer: v.string(expected("the JSON of a tokenizer")),
};
const STORED = v.object(FIELDS, needed);

/** What is read of a `tokenizer.json`. */
const TOKENIZER = v.looseObject({
  model: v.looseObject({
    type: v.optional(v.string()),
    vocab: v.union([v.record(v.string(), v.number()), v.array(v.tuple([v.string(), v.number()]))]),
    unk_token: v.nullish(v.string()),
    unk_id: v.nullish(v.number()),
    merges: v.optional(v.unknown()),
    continuing_subword_prefix: v.nullish(v.string()),
  }),
  added_tokens: v.array(v.looseObject({ id: v.number(), content: v.string() })),
});

/** The models of the library, which reads what it does not know as one of them. */
const MODELS = ["BPE", "Unigram", "WordPiece"];

export const tokenizer = defineTextEncoding({
  name: "tokenizer",
  help: `the ids of a Hugging Face tokenizer.json, by the package ${LIBRARY}`,
  options: {
    file: described(text("the path of a tokenizer.json"), "the tokenizer.json"),
    length: described(v.optional(idsOfText(), 128), "most ids of a text, those of its special tokens included"),
  },
  create: ({ file, length }) => readTokenizer(file, length),
  stored: STORED,
  rows: (encoding) => loaded(encoding).rows,
  offset: (encoding) => loaded(encoding).offset,
  advice: "give the network that many buckets",
  encode(encoding, text, out) {
    const ids = idsOf(loaded(encoding), text, Math.min(encoding.length, out.length));
    out.set(ids);
    return ids.length;
  },
  knows(encoding, ids) {
    const { unknown } = loaded(encoding);
    return ids.some((id) => !unknown.has(id));
  },
  js: (encoding) => tokenizerJs(LIBRARY, loaded(encoding)),
});

/** The encoding of a `tokenizer.json`. `NOT_FOUND`, or `BAD_DATA` for a file that is none. */
function readTokenizer(file: string, length: number): TokenizerEncoding {
  const text = new TextDecoder().decode(readWholeSync(file));
  const json = forLibrary(parseJson(text, file), dirname(file));
  const encoding = { kind: "tokenizer" as const, length, tokenizer: stringify(json, file) };
  const { specials } = loaded(encoding, file);
  if (length > specials) return encoding;
  const wanted = `more than the ${specials} ids that the tokenizer adds to each text`;
  throw argumentError("textEncoding", `tokenizer: length: expected ${wanted}, got ${length}`);
}

interface Loaded {
  /** All ids of a text, with or without special tokens. */
  readonly encode: (text: string, special: boolean) => number[];
  readonly rows: number;
  /** What is added to each id. */
  readonly offset: number;
  /** How many ids are added to each text. */
  readonly specials: number;
  /** The ids of no word of the vocabulary: the unknown one, and those that are added to each text. */
  readonly unknown: ReadonlySet<number>;
}

const LOADED = new WeakMap<TokenizerEncoding, Loaded>();
/** The one loaded last, for other objects with the same text. */
let last: { readonly text: string; readonly loaded: Loaded } | undefined;

function loaded(encoding: TokenizerEncoding, file = "the network's tokenizer"): Loaded {
  let known = LOADED.get(encoding);
  if (known !== undefined) return known;
  known = last?.text === encoding.tokenizer ? last.loaded : load(parseJson(encoding.tokenizer, file), file);
  LOADED.set(encoding, known);
  last = { text: encoding.tokenizer, loaded: known };
  return known;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badData(file, `expected a tokenizer.json of Hugging Face, got ${show(text.slice(0, 40))}`);
  }
}

function stringify(json: unknown, file: string): string {
  try {
    return JSON.stringify(json);
  } catch (error) {
    throw badData(file, "expected a tokenizer.json of Hugging Face, got values that are nested too deep", error);
  }
}

function load(json: unknown, file: string): Loaded {
  if (!v.is(TOKENIZER, json))
    throw badData(file, "expected a tokenizer.json of Hugging Face, with model.vocab and added_tokens");
  const { model, added_tokens: added } = json;
  const known = Array.isArray(model.vocab) ? model.vocab.map((_, i) => i) : Object.values(model.vocab);
  const ids = [...known, ...added.map(({ id }) => id)];
  // 0 stands for nothing: ids move by one if the tokenizer means something else by it.
  const isPadding = added.some(({ id, content }) => id === 0 && /pad/i.test(content));
  const offset = isPadding ? 0 : 1;
  const most = MAX_IDS - 1 - offset;
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id > most);
  if (wrong !== undefined) throw badData(file, `expected whole ids from 0 to ${most}, got ${wrong}`);
  const rows = ids.reduce((largest, id) => Math.max(largest, id), 0) + 1 + offset;
  expectModel(json, file);
  const { Tokenizer } = library(file);
  try {
    const made = new Tokenizer(json, {});
    if (made.model !== null) encodeWordByWord(made.model);
    const encode = (text: string, special: boolean) => {
      // Without an id for unknown words the tokenizer gives undefined for them.
      const ids: (number | undefined)[] = made.encode(text, { add_special_tokens: special }).ids;
      return ids.flatMap((id) => (id === undefined ? [] : [id + offset]));
    };
    const around = encode("", true);
    const { vocab, unk_token: token, unk_id: id } = model;
    const unknown = id ?? (token && !Array.isArray(vocab) ? vocab[token] : undefined);
    const known = unknown === undefined ? around : [...around, unknown + offset];
    return { encode, rows, offset, specials: around.length, unknown: new Set(known) };
  } catch (error) {
    throw badData(file, `${LIBRARY} can't use this tokenizer: ${(error as Error).message}`);
  }
}

/** Gives each unknown word an id: the library gives adjacent ones a single id. */
function encodeWordByWord(model: { _call(words: string[]): string[] }): void {
  const encode = model._call.bind(model);
  model._call = (words) => words.flatMap((word) => encode([word]));
}

/** Refuses a model that the library would take for another, and one whose id of what is unknown is none of its own. */
function expectModel({ model, added_tokens: added }: v.InferOutput<typeof TOKENIZER>, file: string): void {
  const { type, vocab, unk_token: token, unk_id: id, merges, continuing_subword_prefix: prefix } = model;
  if (type !== undefined && !MODELS.includes(type))
    throw badData(file, `model.type: expected ${showList([...MODELS, "WordLevel"])}, got ${show(type)}`);
  if ((merges != null || type === "BPE") && !Array.isArray(merges))
    throw badData(file, `model.merges: expected a list, got ${show(merges)}`);
  // The library leaves the prefix out.
  if (merges !== undefined && prefix)
    throw badData(file, `model.continuing_subword_prefix: expected none of a BPE, got ${show(prefix)}`);
  if (Array.isArray(vocab)) {
    if (id != null && vocab[id] === undefined)
      throw badData(file, `model.unk_id: expected a place in model.vocab, which has ${vocab.length}, got ${id}`);
  } else if (
    type === "WordPiece" &&
    !(token && (Object.hasOwn(vocab, token) || added.some(({ content }) => content === token)))
  ) {
    throw badData(file, `model.unk_token: expected a word of model.vocab, got ${show(token)}`);
  }
}

/** At most `most` ids, of as much of the text as they need. */
function idsOf(loaded: Loaded, text: string, most: number): number[] {
  try {
    let end = CHARACTERS_OF_ID * most;
    // Reads twice the ids that are kept: where the text is cut, its last ids may change.
    while (end < text.length && loaded.encode(text.slice(0, end), false).length < 2 * most) end *= 2;
    return firstIds(loaded, text.slice(0, end), most);
  } catch (error) {
    // The library fails on words of some 100,000 parts, and a text may be one word.
    if (!(error instanceof RangeError) || text === "") throw error;
    return idsOf(loaded, text.slice(0, Math.floor(0.75 * text.length)), most);
  }
}

/** Cuts off the ids that are too many, but keeps the special tokens before and after the text. */
function firstIds({ encode, specials }: Loaded, text: string, most: number): number[] {
  const all = encode(text, true);
  if (all.length <= most) return all;
  const plain = encode(text, false);
  let before = 0;
  while (before + plain.length < all.length && !plain.every((id, i) => all[before + i] === id)) before++;
  return [
    ...all.slice(0, before),
    ...plain.slice(0, Math.max(0, most - specials)),
    ...all.slice(before + plain.length),
  ];
}

function library(file: string): Library {
  try {
    return createRequire(import.meta.url)(LIBRARY) as Library;
  } catch (error) {
    if (errorCode(error) !== "MODULE_NOT_FOUND") throw error;
    throw new DistilleryError("BAD_ARGUMENT", `${file}: needs the package ${LIBRARY}: npm install ${LIBRARY}`);
  }
}

/** How many characters per id are read first: more than most ids stand for. */
const CHARACTERS_OF_ID = 16;

/** What a tokenizer's ids are in an exported module: how much higher they are, and how many are added to each text. */
interface Numbers {
  readonly offset: number;
  readonly specials: number;
}

/**
 * The function of exported modules that encodes a text by a tokenizer: with the library's own code, which is one file
 * without imports.
 */
function tokenizerJs(library: string, { offset, specials }: Numbers): JsFunction {
  const { code, version, license } = codeOf(library);
  return {
    name: "encodeTokens",
    source: `
// ${library} ${version} as its authors publish it, under the licence ${license}.
const { Tokenizer } = (() => {
  const module = { exports: {} };
${code.trim()}
  return module.exports;
})();
let made;

/** Writes the ids of a text into out, of as much of the text as they need. */
function encodeTokens({ tokenizer }, text, out) {
  made ??= wordByWord(new Tokenizer(JSON.parse(tokenizer), {}));
  try {
    let end = ${CHARACTERS_OF_ID} * out.length;
    // Reads twice the ids that are kept: where the text is cut, its last ids may change.
    while (end < text.length && tokensOf(text.slice(0, end), false).length < 2 * out.length) end *= 2;
    out.set(firstTokens(text.slice(0, end), out.length));
  } catch (error) {
    // The library fails on words of some 100,000 parts, and a text may be one word.
    if (!(error instanceof RangeError) || text === "") throw error;
    encodeTokens({ tokenizer }, text.slice(0, Math.floor(0.75 * text.length)), out);
  }
}

/** Gives each unknown word an id: the library gives adjacent ones a single id. */
function wordByWord(tokenizer) {
  const { model } = tokenizer;
  const encode = model._call.bind(model);
  model._call = (words) => words.flatMap((word) => encode([word]));
  return tokenizer;
}

function tokensOf(text, special) {
  const { ids } = made.encode(text, { add_special_tokens: special });
  return ids.filter((id) => id !== undefined)${offset === 0 ? "" : `.map((id) => id + ${offset})`};
}

/** Cuts off the ids that are too many, but keeps the special tokens before and after the text. */
function firstTokens(text, most) {
  const all = tokensOf(text, true);
  if (all.length <= most) return all;
  const plain = tokensOf(text, false);
  let before = 0;
  while (before + plain.length < all.length && !plain.every((id, i) => all[before + i] === id)) before++;
  return [...all.slice(0, before), ...plain.slice(0, most - ${specials}), ...all.slice(before + plain.length)];
}`,
  };
}

function codeOf(library: string): { code: string; version: string; license: string } {
  const folder = dirname(createRequire(import.meta.url).resolve(library));
  try {
    const { version, license } = JSON.parse(readFileSync(join(folder, "..", "package.json"), "utf8"));
    return { code: readFileSync(join(folder, "tokenizers.min.cjs"), "utf8"), version, license };
  } catch (error) {
    const text = `${library}: expected its code in one file, which modules carry, as version 0.2 has it`;
    throw new DistilleryError("BAD_ARGUMENT", text, { cause: error });
  }
}
