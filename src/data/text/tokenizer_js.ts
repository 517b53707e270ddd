import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DistilleryError } from "../../errors.js";
import type { JsFunction } from "../../tensor/js_form.js";

/** More than most ids stand for: so much of a text is read first. */
export const CHARACTERS_OF_ID = 16;

/** What a tokenizer's ids are in an exported module: how much higher they are, and how many are added to each text. */
interface Numbers {
  readonly offset: number;
  readonly specials: number;
}

/**
 * The function of exported modules that encodes a text by a tokenizer: with the library's own code, which is one file
 * without imports.
 */
export function tokenizerJs(library: string, { offset, specials }: Numbers): JsFunction {
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
    // Behind the last id that is kept, as many again: the end of what is read may have other ids than the text has
    // there.
    while (end < text.length && tokensOf(text.slice(0, end), false).length < 2 * out.length) end *= 2;
    out.set(firstTokens(text.slice(0, end), out.length));
  } catch (error) {
    // The library can't hold some 100,000 parts of one word, which may be all of a text.
    if (!(error instanceof RangeError) || text === "") throw error;
    encodeTokens({ tokenizer }, text.slice(0, Math.floor(0.75 * text.length)), out);
  }
}

/** What is unknown becomes one id in each word: the library makes one of words side by side. */
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

/** What a longer text has too much is cut off, between the special tokens before and behind it. */
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
