import * as v from "valibot";
import { argumentError, show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { Registry } from "../../registry/index.js";
import { allocate } from "../../tensor/buffer_pool.js";
import { Tensor } from "../../tensor/tensor.js";
import type { TextEncodingEntry } from "./encoding.js";
import { hash } from "./hash.js";
import { tokenizer } from "./tokenizer.js";

/** To add an encoding of texts, write a file with its entry, and add the entry here. */
const ENCODINGS = [hash, tokenizer] as const;

/**
 * How a text becomes ids, whole numbers that name rows of a network's table. Plain JSON, part of the network's file.
 */
export type TextEncoding = v.InferOutput<(typeof ENCODINGS)[number]["stored"]>;

/** The encodings of texts by name: `--text-encoding "hash(buckets=20000)"`. */
export const TEXT_ENCODINGS = new Registry<TextEncoding, void, TextEncodingEntry<TextEncoding>>(
  "text encoding",
  ENCODINGS,
);

/** A {@link TextEncoding} as JSON has it. */
export const ENCODING_SCHEMA = v.variant(
  "kind",
  ENCODINGS.map(({ stored }) => stored),
  ({ input }) => `expected a known encoding of texts, of kind ${TEXT_ENCODINGS.names.join(" or ")}, got ${show(input)}`,
);

/** The entry of an encoding. */
export function entryOf({ kind }: TextEncoding): TextEncodingEntry<TextEncoding> {
  return TEXT_ENCODINGS.get(kind);
}

/** Writes the ids of a text into `out`, which holds zeros, as far as there is room; gives their number. */
export function encodeText(encoding: TextEncoding, text: string, out: Float32Array): number {
  return entryOf(encoding).encode(encoding, text, out);
}

/** The bytes of texts and ids that {@link idsOf} keeps of an encoding, about. */
const KEPT_BYTES = 2 ** 26;
const KEPT = new WeakMap<TextEncoding, { ids: Map<string, Float32Array>; bytes: number }>();

/** The ids of a text, without the zeros behind them. They are kept: a teacher reads the same texts in every epoch. */
function idsOf(encoding: TextEncoding, text: string): Float32Array {
  let kept = KEPT.get(encoding);
  const known = kept?.ids.get(text);
  if (known !== undefined) return known;
  const out = new Float32Array(encoding.length);
  const ids = out.slice(0, encodeText(encoding, text, out));
  const bytes = 2 * text.length + ids.byteLength;
  if (kept === undefined || kept.bytes + bytes > KEPT_BYTES) {
    kept = { ids: new Map(), bytes: 0 };
    KEPT.set(encoding, kept);
  }
  kept.ids.set(text, ids);
  kept.bytes += bytes;
  return ids;
}

/** Whether any of these ids is of something that the encoding knows, such as a word of a tokenizer. */
export function knowsAny(encoding: TextEncoding, ids: Float32Array): boolean {
  return entryOf(encoding).knows?.(encoding, ids) ?? true;
}

/** The encoding that an expression names, as `hash(buckets=20000, words=1)`. */
export function textEncoding(expression = "hash"): TextEncoding {
  return TEXT_ENCODINGS.resolve(expression, undefined, { argument: "textEncoding" });
}

/** The texts of a batch by another encoding than the data's, which a network reads: [n, length]. */
export function encodedTexts(encoding: TextEncoding, { texts }: { readonly texts?: () => readonly string[] }): Tensor {
  if (texts === undefined) {
    const text = "the network reads texts by an encoding of its own: expected a batch of a data set that has them";
    throw argumentError("batch", text);
  }
  const all = texts();
  const { length } = encoding;
  const ids = allocate(all.length * length).fill(0);
  for (const [i, text] of all.entries()) ids.set(idsOf(encoding, text), i * length);
  return new Tensor(ids, [all.length, length]);
}

/** Refuses data that do not keep their texts for a network of another encoding. */
export function expectTexts(data: { readonly name: string; readonly texts?: unknown }, network: string): void {
  if (data.texts !== undefined) return;
  const text = `reads texts by another encoding than ${data.name}, which does not keep its texts`;
  throw new DistilleryError("BAD_ARGUMENT", `${network}: ${text}: loadData does`);
}
