import { existsSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { readWholeSync } from "../../files/index.js";

const WORDS = v.record(v.string(), v.number());

/** A model of whole words; older files do not name it. */
const WORD_LEVEL = v.looseObject({
  model: v.union([
    v.looseObject({ type: v.literal("WordLevel"), vocab: WORDS }),
    v.looseObject({
      type: v.optional(v.never()),
      vocab: WORDS,
      merges: v.optional(v.never()),
      continuing_subword_prefix: v.optional(v.never()),
    }),
  ]),
});

const BEHAVIOR = v.picklist(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]);
type Behavior = v.InferOutput<typeof BEHAVIOR>;

const PRE_TOKENIZED = v.looseObject({ pre_tokenizer: v.unknown() });
/** Pre-tokenizers that the library implements otherwise for some texts. */
const PRE_TOKENIZER = v.variant("type", [
  v.looseObject({ type: v.literal("Sequence"), pretokenizers: v.array(v.unknown()) }),
  v.looseObject({ type: v.picklist(["Whitespace", "WhitespaceSplit", "BertPreTokenizer"]) }),
  v.looseObject({ type: v.literal("Digits"), individual_digits: v.optional(v.boolean()) }),
  v.looseObject({ type: v.literal("Punctuation"), behavior: v.optional(BEHAVIOR) }),
  v.looseObject({
    type: v.literal("Metaspace"),
    replacement: v.optional(v.string()),
    split: v.optional(v.boolean()),
  }),
  v.looseObject({
    type: v.literal("Split"),
    pattern: v.union([v.object({ String: v.string() }), v.object({ Regex: v.string() })]),
    behavior: BEHAVIOR,
    invert: v.optional(v.boolean()),
  }),
]);
const PUNCTUATION = "\\p{P}\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e";
const SPACE = "\\p{White_Space}";

/** Normalizers that the library implements otherwise for some texts. */
const NORMALIZER = v.variant("type", [
  v.looseObject({ type: v.literal("Sequence"), normalizers: v.array(v.unknown()) }),
  v.looseObject({ type: v.literal("Lowercase") }),
  v.looseObject({ type: v.literal("Replace"), content: v.string() }),
  v.looseObject({
    type: v.literal("BertNormalizer"),
    lowercase: v.optional(v.boolean()),
    handle_chinese_chars: v.optional(v.boolean()),
  }),
]);
/** Lowercases a capital sigma as Rust does: JavaScript makes another letter of it at the end of a word. */
const SIGMA = { type: "Replace", pattern: { String: "\u03a3" }, content: "\u03c3" };
/** Chinese characters that JavaScript stores as two code units, in which the library recognises none. */
const CHINESE = {
  type: "Replace",
  pattern: { Regex: "[\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b81f}\\u{2b920}-\\u{2ceaf}\\u{2f800}-\\u{2fa1f}]" },
  content: " $& ",
};

const CASED = v.looseObject({ do_lower_case: v.boolean() });
const BERT_NORMALIZER = v.looseObject({ type: v.literal("BertNormalizer") });
const NORMALIZED = v.looseObject({ normalizer: v.nullish(v.looseObject({ type: v.string() })) });

/** A tokenizer with which the library gives the ids that Hugging Face's own implementation gives. */
export function forLibrary(tokenizer: unknown, folder: string): unknown {
  return withNormalizer(withCase(withPreTokenizer(withWordPieces(tokenizer)), folder));
}

/**
 * A WordLevel tokenizer as WordPiece. No word is split, because the prefix of later pieces is longer than every word.
 */
function withWordPieces(tokenizer: unknown): unknown {
  if (!v.is(WORD_LEVEL, tokenizer)) return tokenizer;
  const { model } = tokenizer;
  const longest = Object.keys(model.vocab).reduce((most, word) => Math.max(most, word.length), 0);
  const pieces = { continuing_subword_prefix: "#".repeat(longest + 1), max_input_chars_per_word: longest };
  return { ...tokenizer, model: { ...model, ...pieces, type: "WordPiece" } };
}

function withPreTokenizer(tokenizer: unknown): unknown {
  return v.is(PRE_TOKENIZED, tokenizer)
    ? { ...tokenizer, pre_tokenizer: preTokenizer(tokenizer.pre_tokenizer) }
    : tokenizer;
}

function preTokenizer(given: unknown): unknown {
  if (!v.is(PRE_TOKENIZER, given)) return given;
  switch (given.type) {
    case "Sequence":
      return { ...given, pretokenizers: given.pretokenizers.map(preTokenizer) };
    case "Whitespace": {
      const letters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d";
      return words(`[${letters}]+|[^${letters}${SPACE}]+`);
    }
    case "WhitespaceSplit":
      return words(`[^${SPACE}]+`);
    case "BertPreTokenizer":
      return words(`[^${SPACE}${PUNCTUATION}]+|[${PUNCTUATION}]`);
    case "Digits":
      return split("\\p{N}", given.individual_digits ? "Isolated" : "Contiguous");
    case "Punctuation":
      return split(`[${PUNCTUATION}]`, given.behavior ?? "Isolated");
    case "Metaspace": {
      const each = split(literal(given.replacement ?? "\u2581"), "MergedWithNext");
      return given.split === false ? given : { type: "Sequence", pretokenizers: [given, each] };
    }
    case "Split": {
      const { pattern, behavior, invert } = given;
      return split("String" in pattern ? literal(pattern.String) : pattern.Regex, behavior, invert);
    }
  }
}

/** Splits texts at the matches of a pattern or, with `invert`, at what is between them. */
function split(pattern: string, behavior: Behavior, invert = false): object {
  const [at, between] = [`(?:${pattern})`, `(?:(?!${pattern})[\\s\\S])`];
  const before = words(`${between}*${at}|${between}+`);
  const behind = words(`${at}${between}*|${between}+`);
  switch (behavior) {
    case "Removed":
      return words(invert ? pattern : `${between}+`);
    case "Isolated":
      return { type: "Split", pattern: { Regex: pattern }, behavior, invert: false };
    case "MergedWithPrevious":
      return invert ? behind : before;
    case "MergedWithNext":
      return invert ? before : behind;
    case "Contiguous":
      return words(`${at}+|${between}+`);
  }
}

/** The pre-tokenizer whose words are the matches of a pattern: besides `Isolated` the library implements only this. */
function words(pattern: string): object {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Removed", invert: true };
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function withNormalizer(tokenizer: unknown): unknown {
  return v.is(NORMALIZED, tokenizer) ? { ...tokenizer, normalizer: normalizer(tokenizer.normalizer) } : tokenizer;
}

function normalizer(given: unknown): unknown {
  if (!v.is(NORMALIZER, given)) return given;
  if (given.type === "Sequence") return { ...given, normalizers: given.normalizers.map(normalizer) };
  // The library passes it to JavaScript's replace(), where $ has a meaning.
  if (given.type === "Replace") return { ...given, content: given.content.replaceAll("$", "$$$$") };
  const isBert = given.type === "BertNormalizer";
  const before = [
    ...(!isBert || given.lowercase ? [SIGMA] : []),
    ...(isBert && given.handle_chinese_chars ? [CHINESE] : []),
  ];
  return before.length === 0 ? given : { type: "Sequence", normalizers: [...before, given] };
}

/**
 * A tokenizer with the case that the files beside it ask for, as Hugging Face's libraries read them: `do_lower_case` of
 * `tokenizer_config.json` is that of BERT's normaliser; that of `sentence_bert_config.json`, if true, lowercases the
 * texts first.
 */
function withCase(tokenizer: unknown, folder: string): unknown {
  if (!v.is(NORMALIZED, tokenizer)) return tokenizer;
  const bert = lowerCase(join(folder, "tokenizer_config.json"));
  const { normalizer } = tokenizer;
  const own = bert !== undefined && v.is(BERT_NORMALIZER, normalizer) ? { ...normalizer, lowercase: bert } : normalizer;
  if (lowerCase(join(folder, "sentence_bert_config.json")) !== true) return { ...tokenizer, normalizer: own };
  const normalizers = [{ type: "Lowercase" }, ...(own ? [own] : [])];
  return { ...tokenizer, normalizer: { type: "Sequence", normalizers } };
}

/** The `do_lower_case` of a file; undefined if it has none, or there is no such file. */
function lowerCase(file: string): boolean | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(readWholeSync(file)));
    return v.is(CASED, json) ? json.do_lower_case : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
