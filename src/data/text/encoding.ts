import type * as v from "valibot";
import { type Entry, integer, type OptionSchemas } from "../../registry/index.js";
import type { JsFunction } from "../../tensor/js_form.js";

/** What every encoding of texts has. */
interface Encoding {
  /** The name of its entry. */
  readonly kind: string;
  /** The most ids of a text: further ones are left out, 0 stands behind the last. */
  readonly length: number;
}

/** An encoding of texts: its options, what a network's file keeps of it, and what it computes. */
export interface TextEncodingEntry<T extends Encoding = Encoding, E extends v.ObjectEntries = OptionSchemas>
  extends Entry<T, void, E> {
  /** What a network's file keeps. */
  readonly stored: v.GenericSchema;
  /** The number of rows that a table needs: it is above all ids, and above their absolute values if they are signed. */
  rows(encoding: T): number;
  /** Whether ids may be negative; default: they are not. */
  isSigned?(encoding: T): boolean;
  /** What is added to a tokenizer's own ids; absent if ids are not a tokenizer's. */
  offset?(encoding: T): number;
  /** What to do about a table with fewer rows. */
  readonly advice: string;
  /**
   * Whether any of these ids is of something that the encoding knows, such as a word of a tokenizer; absent: all are.
   */
  knows?(encoding: T, ids: Float32Array): boolean;
  /** Writes the ids of a text into `out`, which holds zeros, as far as there is room; gives their number. */
  encode(encoding: T, text: string, out: Float32Array): number;
  /** The function `(encoding, text, out)` of exported modules. */
  js(encoding: T): JsFunction;
}

/** An entry whose functions get the types of its own options. */
export function defineTextEncoding<T extends Encoding, E extends v.ObjectEntries, S extends v.GenericSchema>(
  entry: TextEncodingEntry<T, E> & { readonly stored: S },
): TextEncodingEntry<T, E> & { readonly stored: S } {
  return entry;
}

/** Ids are floats in a network's inputs, which are whole numbers up to here. */
export const MAX_IDS = 2 ** 24;

/** The most ids of a text. */
export const idsOfText = () => integer(1, 65_536);
