import { existsSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { readWholeSync } from "../../files/index.js";

const CASE = v.looseObject({ do_lower_case: v.boolean() });
const BERT = v.looseObject({ type: v.literal("BertNormalizer") });
const TOKENIZER = v.looseObject({ normalizer: v.nullish(v.looseObject({ type: v.string() })) });

/**
 * A tokenizer with the case that the files beside it ask for, as Hugging Face's libraries read them: `do_lower_case` of `tokenizer_config.json` is that of BERT's
 * normaliser, and that of `sentence_bert_config.json`, if it is true, makes the texts small before.
 */
export function withCase(tokenizer: unknown, folder: string): unknown {
  if (!v.is(TOKENIZER, tokenizer)) return tokenizer;
  const bert = lowerCase(join(folder, "tokenizer_config.json"));
  const { normalizer } = tokenizer;
  const own = bert !== undefined && v.is(BERT, normalizer) ? { ...normalizer, lowercase: bert } : normalizer;
  if (lowerCase(join(folder, "sentence_bert_config.json")) !== true) return { ...tokenizer, normalizer: own };
  const normalizers = [{ type: "Lowercase" }, ...(own ? [own] : [])];
  return { ...tokenizer, normalizer: { type: "Sequence", normalizers } };
}

/** What a file says of it; undefined if it says nothing, or is not there. */
function lowerCase(file: string): boolean | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(readWholeSync(file)));
    return v.is(CASE, json) ? json.do_lower_case : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
