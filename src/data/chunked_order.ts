import { randperm } from "../tensor/random.js";
import type { Dataset } from "./dataset.js";

/** The number of the chunk that an example of a data set in chunks is read with. */
export function chunkOf(dataset: Dataset, index: number): number {
  return dataset.chunkOf?.(index) ?? Math.floor(index / (dataset.chunk ?? dataset.length));
}

/**
 * A random order of a data set's examples that reads chunk after chunk: the chunks in the order of `randperm(chunks)`,
 * and inside of each its examples in that of `randperm(examples)`, drawn from the current stream when its turn comes.
 */
export function chunkedOrder(dataset: Dataset): Int32Array {
  const { starts, members } = byChunk(dataset);
  const order = new Int32Array(dataset.length);
  let at = 0;
  for (const chunk of randperm(starts.length - 1).data) {
    const [start, end] = [starts[chunk] as number, starts[chunk + 1] as number];
    for (const member of randperm(end - start).data) order[at++] = members[start + member] as number;
  }
  return order;
}

/** The examples chunk by chunk, ascending in each, and where each chunk starts and the last one ends. */
function byChunk(dataset: Dataset): { starts: Int32Array; members: Int32Array } {
  const places = new Map<number, number>();
  const sizes: number[] = [];
  const chunks = new Int32Array(dataset.length);
  for (let i = 0; i < chunks.length; i++) {
    const chunk = chunkOf(dataset, i);
    const place = places.get(chunk) ?? sizes.push(0) - 1;
    places.set(chunk, place);
    sizes[place] = (sizes[place] as number) + 1;
    chunks[i] = place;
  }
  const starts = new Int32Array(sizes.length + 1);
  for (const [place, size] of sizes.entries()) starts[place + 1] = (starts[place] as number) + size;
  const members = new Int32Array(chunks.length);
  const next = starts.slice();
  for (let i = 0; i < chunks.length; i++) {
    const place = chunks[i] as number;
    members[next[place] as number] = i;
    next[place] = (next[place] as number) + 1;
  }
  return { starts, members };
}
