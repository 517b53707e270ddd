import { DistilleryError } from "../../errors.js";
import { allocate } from "../../tensor/buffer_pool.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Batch } from "../dataset.js";
import { idsOf, type TextEncoding } from "./encodings.js";

/** The texts of a batch by another encoding than the data's, which a network reads: [n, length]. */
export function encodedTexts(encoding: TextEncoding, { texts }: Pick<Batch, "texts">): Tensor {
  if (texts === undefined) {
    const text =
      "batch: the network reads texts by an encoding of its own: expected a batch of a data set that has them";
    throw new DistilleryError("BAD_ARGUMENT", text);
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
