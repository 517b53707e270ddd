import type { TextEncoding } from "../data/text/encodings.js";
import type { Module } from "../nn/module.js";

const TOKENIZERS = new WeakMap<Module, () => TextEncoding>();

/** Notes what reads the tokenizer that lies beside a network's weights. */
export function setTokenizer(network: Module, read: () => TextEncoding): void {
  TOKENIZERS.set(network, read);
}

/** The tokenizer beside the weights of a network, or of one inside of it; null: none is known. */
export function tokenizerOf(network: Module): TextEncoding | null {
  const read = TOKENIZERS.get(network);
  if (read !== undefined) return read();
  for (const [, child] of network.namedChildren()) {
    const found = tokenizerOf(child);
    if (found !== null) return found;
  }
  return null;
}
