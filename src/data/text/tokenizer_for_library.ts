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
      ...{ type: v.optional(v.never()), vocab: WORDS },
      ...{ merges: v.optional(v.never()), continuing_subword_prefix: v.optional(v.never()) },
    }),
  ]),
});

const PRE_TOKENIZED = v.looseObject({ pre_tokenizer: v.unknown() });
const WHITESPACE = v.looseObject({ type: v.literal("Whitespace") });
const SEQUENCE = v.looseObject({ type: v.literal("Sequence"), pretokenizers: v.array(v.unknown()) });

const CASED = v.looseObject({ do_lower_case: v.boolean() });
const BERT_NORMALIZER = v.looseObject({ type: v.literal("BertNormalizer") });
const NORMALIZED = v.looseObject({ normalizer: v.nullish(v.looseObject({ type: v.string() })) });

/** A tokenizer of which the library makes the ids that Hugging Face's own makes. */
export function forLibrary(tokenizer: unknown, folder: string): unknown {
  return withCase(withUnicodeWords(withWordPieces(tokenizer)), folder);
}

/** A tokenizer of whole words as one of their pieces: no word goes on with a prefix that is longer than each. */
function withWordPieces(tokenizer: unknown): unknown {
  if (!v.is(WORD_LEVEL, tokenizer)) return tokenizer;
  const { model } = tokenizer;
  const longest = Object.keys(model.vocab).reduce((most, word) => Math.max(most, word.length), 0);
  const pieces = { continuing_subword_prefix: "#".repeat(longest + 1), max_input_chars_per_word: longest };
  return { ...tokenizer, model: { ...model, ...pieces, type: "WordPiece" } };
}

/** A tokenizer whose words have letters of all alphabets: those of the library's Whitespace are ASCII. */
function withUnicodeWords(tokenizer: unknown): unknown {
  return v.is(PRE_TOKENIZED, tokenizer)
    ? { ...tokenizer, pre_tokenizer: unicodeWords(tokenizer.pre_tokenizer) }
    : tokenizer;
}

function unicodeWords(preTokenizer: unknown): unknown {
  if (v.is(SEQUENCE, preTokenizer))
    return { ...preTokenizer, pretokenizers: preTokenizer.pretokenizers.map(unicodeWords) };
  if (!v.is(WHITESPACE, preTokenizer)) return preTokenizer;
  const letters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d";
  const pattern = { Regex: `[${letters}]+|[^${letters}\\p{White_Space}]+` };
  return { type: "Split", pattern, behavior: "Removed", invert: true };
}

/**
 * A tokenizer with the case that the files beside it ask for, as Hugging Face's libraries read them: `do_lower_case` of `tokenizer_config.json` is that of BERT's
 * normaliser, and that of `sentence_bert_config.json`, if it is true, makes the texts small before.
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

/** What a file says of it; undefined if it says nothing, or is not there. */
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
