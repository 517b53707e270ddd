import * as v from "valibot";
import { boolean, described, expected, integer, needed } from "../../registry/index.js";
import type { JsFunction } from "../../tensor/js_form.js";
import { defineTextEncoding, idsOfText, MAX_IDS } from "./encoding.js";

/** The rows of a table by default: of the encoding, and of the networks that read it. */
export const DEFAULT_BUCKETS = 32_768;

const CHARACTERS = expected("the least and most characters, as [3, 5], or [] for none");

function isRange(value: unknown): value is readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [least, most] = value as readonly number[];
  return value.every((x) => Number.isInteger(x)) && least >= 1 && least <= most && most <= 32;
}

/** How a text becomes ids of hashed n-grams. */
type HashEncoding = v.InferOutput<typeof STORED>;

const FIELDS = {
  kind: v.literal("hash"),
  /** The rows of the table that ids name: 0 stands for nothing, n-grams have 1 to `buckets - 1`. */
  buckets: integer(2, MAX_IDS),
  /** The most words of an n-gram: 2 has words and pairs of them. */
  words: integer(1, 8),
  /** The least and most characters of the n-grams of a word between `<` and `>`; null: none. */
  characters: v.nullable(v.custom<readonly [number, number]>(isRange, expected("the least and most characters"))),
  /** Whether the highest bit of a hash makes its id negative: its row is then subtracted. */
  signed: boolean(),
  length: idsOfText(),
};
const STORED = v.object(FIELDS, needed);

export const hash = defineTextEncoding({
  name: "hash",
  help: "hashed n-grams of words and of characters, as fastText's",
  options: {
    buckets: described(v.optional(integer(2, MAX_IDS), DEFAULT_BUCKETS), "rows of the network's table"),
    words: described(v.optional(integer(1, 8), 2), "most words of an n-gram"),
    characters: described(
      v.optional(
        v.custom<readonly number[]>((value) => isRange(value) || (Array.isArray(value) && !value.length), CHARACTERS),
        [3, 5],
      ),
      "least and most characters of the n-grams of a word between < and >; []: none",
    ),
    signed: described(v.optional(boolean(), false), "whether half of the n-grams subtract their row, for text_bag"),
    length: described(v.optional(idsOfText(), 256), "most ids of a text"),
  },
  create: ({ characters, ...options }): HashEncoding => ({
    kind: "hash",
    ...options,
    characters: isRange(characters) ? [characters[0], characters[1]] : null,
  }),
  stored: STORED,
  rows: ({ buckets }) => buckets,
  isSigned: ({ signed }) => signed,
  advice: "give both the same buckets",
  encode: hashText,
  js: () => HASH_TEXT,
});

/** A run of letters, marks and digits; or any other character that is no space. */
const TOKEN = /[\p{L}\p{M}\p{N}]+|[^\p{L}\p{M}\p{N}\p{White_Space}]/gu;

/**
 * The ids of a text: n-grams of words, those of one word first, then n-grams of characters, each hashed by FNV-1a of
 * its UTF-8. fastText's features (Bojanowski et al., 2017; Joulin et al., 2017).
 *
 * @returns how many there are; `out` gets the first `out.length` of them.
 */
function hashText(
  { buckets, words, characters, signed, length }: HashEncoding,
  text: string,
  out: Float32Array,
): number {
  const most = Math.min(length, out.length);
  let count = 0;
  const add = (parts: readonly string[], between: string, least: number, longest: number) => {
    for (let n = least; n <= longest; n++) {
      for (let i = 0; i + n <= parts.length && count < most; i++) {
        let hash = fnv1a(parts[i]);
        for (let k = i + 1; k < i + n; k++) hash = fnv1a(parts[k], fnv1a(between, hash));
        hash >>>= 0;
        const id = 1 + (hash % (buckets - 1));
        out[count++] = signed && hash >= 2 ** 31 ? -id : id;
      }
    }
  };
  const tokens = text.toLowerCase().normalize("NFC").match(TOKEN) ?? [];
  add(tokens, " ", 1, words);
  if (characters === null) return count;
  for (const token of tokens) {
    if (count === most) break;
    // More characters make more n-grams than `out` has room for.
    add(["<", ...token.slice(0, 2 * (most + characters[1])), ">"], "", ...characters);
  }
  return count;
}

/**
 * FNV-1a of 32 bits (Fowler, Noll and Vo) of a text's UTF-8, behind what has this hash; a lone surrogate counts as
 * U+FFFD.
 */
function fnv1a(text: string, before = 0x811c9dc5): number {
  let hash = before;
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    const code = point >= 0xd800 && point < 0xe000 ? 0xfffd : point;
    if (code < 0x80) hash = next(hash, code);
    else if (code < 0x800) hash = next(next(hash, 0xc0 | (code >> 6)), 0x80 | (code & 0x3f));
    else {
      if (code < 0x10000) hash = next(hash, 0xe0 | (code >> 12));
      else hash = next(next(hash, 0xf0 | (code >> 18)), 0x80 | ((code >> 12) & 0x3f));
      hash = next(next(hash, 0x80 | ((code >> 6) & 0x3f)), 0x80 | (code & 0x3f));
    }
  }
  return hash;
}

function next(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** {@link hashText} in exported modules. */
const HASH_TEXT: JsFunction = {
  name: "hashText",
  source: `
/** Writes the ids of a text into out: n-grams of words, then of characters, hashed by FNV-1a of their UTF-8. */
function hashText({ buckets, words, characters, signed }, text, out) {
  const utf8 = new TextEncoder();
  let count = 0;
  const add = (gram) => {
    let hash = 0x811c9dc5;
    for (const byte of utf8.encode(gram)) hash = Math.imul(hash ^ byte, 0x01000193);
    hash >>>= 0;
    const id = 1 + (hash % (buckets - 1));
    out[count++] = signed && hash >= 2 ** 31 ? -id : id;
  };
  const token = /[\\p{L}\\p{M}\\p{N}]+|[^\\p{L}\\p{M}\\p{N}\\p{White_Space}]/gu;
  const tokens = text.toLowerCase().normalize("NFC").match(token) ?? [];
  for (let n = 1; n <= words; n++) {
    for (let i = 0; i + n <= tokens.length && count < out.length; i++) add(tokens.slice(i, i + n).join(" "));
  }
  if (characters === null) return;
  for (const token of tokens) {
    if (count === out.length) return;
    const points = ["<", ...token.slice(0, 2 * (out.length + characters[1])), ">"];
    for (let n = characters[0]; n <= characters[1]; n++) {
      for (let i = 0; i + n <= points.length && count < out.length; i++) add(points.slice(i, i + n).join(""));
    }
  }
}`,
};
