import type { TextEncoding } from "../data/text/encodings.js";
import type { Module } from "../nn/module.js";

const TOKENIZERS = new WeakMap<Module, () => TextEncoding>();

/** Notes what reads the tokenizer that lies beside a network's weights. */
export function setTokenizer(network: Module, read: () => TextEncoding): void {
  TOKENIZERS.set(network, read);
}

/** The tokenizer beside the weights of a network, or of one inside of it; null: none is known. */
export function tokenizerOf(network: Module): TextEncoding | null {
  for (const module of network.modules()) {
    const read = TOKENIZERS.get(module);
    if (read !== undefined) return read();
  }
  return null;
}
