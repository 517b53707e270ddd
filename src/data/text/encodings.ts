import * as v from "valibot";
import { boolean, defineEntry, described, expected, integer, Registry } from "../../registry/index.js";
import type { JsFunction } from "../../tensor/js_form.js";
import { HASH_TEXT, type HashEncoding, hashText } from "./hash.js";

/** How a text becomes ids, whole numbers that name rows of a network's table; 0 stands for nothing. Plain JSON. */
export type TextEncoding = HashEncoding;

/** Ids are floats in a network's inputs, which are whole numbers up to here. */
const MAX_IDS = 2 ** 24;
/** The most ids of a text. */
const MAX_LENGTH = 65_536;

const range = () => {
  const message = expected("the least and most characters, as [3, 5], or [] for none");
  return v.custom<readonly number[]>(
    (value) => Array.isArray(value) && (value.length === 0 || isRange(value)),
    message,
  );
};

function isRange(value: readonly unknown[]): value is readonly [number, number] {
  const [least, most] = value as readonly number[];
  return value.length === 2 && value.every((x) => Number.isInteger(x)) && least >= 1 && least <= most && most <= 32;
}

const hash = defineEntry({
  name: "hash",
  help: "hashed n-grams of words and of characters, as fastText's",
  options: {
    buckets: described(v.optional(integer(2, MAX_IDS), 32_768), "rows of the network's table"),
    words: described(v.optional(integer(1, 8), 2), "most words of an n-gram"),
    characters: described(
      v.optional(range(), [3, 5]),
      "least and most characters of the n-grams of a word between < and >; []: none",
    ),
    signed: described(v.optional(boolean(), false), "whether half of the n-grams subtract their row"),
    length: described(v.optional(integer(1, MAX_LENGTH), 256), "most ids of a text"),
  },
  create: ({ characters, ...options }): TextEncoding => ({
    kind: "hash",
    ...options,
    characters: isRange(characters) ? [characters[0], characters[1]] : null,
  }),
});

/** The encodings of texts by name: `--text-encoding "hash(buckets=20000)"`. */
export const TEXT_ENCODINGS = new Registry<TextEncoding>("text encoding", [hash]);

/** A {@link TextEncoding} as JSON has it. */
export const ENCODING_SCHEMA = v.variant("kind", [
  v.object({
    kind: v.literal("hash"),
    buckets: integer(2, MAX_IDS),
    words: integer(1, 8),
    characters: v.nullable(
      v.custom<readonly [number, number]>(
        (value) => Array.isArray(value) && isRange(value),
        expected("the least and most characters"),
      ),
    ),
    signed: boolean(),
    length: integer(1, MAX_LENGTH),
  }),
]);

/** What {@link encodeText} is in exported modules. */
export function encodeTextJs(_: TextEncoding): JsFunction {
  return HASH_TEXT;
}

/** Writes the ids of a text into `out`, which holds zeros, as far as there is room; gives their number. */
export function encodeText(encoding: TextEncoding, text: string, out: Float32Array): number {
  return hashText(encoding, text, out);
}

/** The encoding that an expression names, as `hash(buckets=20000, words=1)`. */
export function textEncoding(expression = "hash"): TextEncoding {
  return TEXT_ENCODINGS.resolve(expression, undefined, { argument: "textEncoding" });
}
