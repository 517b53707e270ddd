import { randperm } from "../tensor/random.js";

/**
 * A random order of 0 to n - 1 that reads chunk after chunk: the chunks in the order of `randperm(chunks)`, and inside
 * of each its rows in that of `randperm(rows)`, drawn from the current stream when its turn comes.
 */
export function chunkedOrder(n: number, chunk: number): Int32Array {
  const order = new Int32Array(n);
  let at = 0;
  for (const index of randperm(Math.ceil(n / chunk)).data) {
    const start = index * chunk;
    const rows = randperm(Math.min(chunk, n - start)).data;
    for (let i = 0; i < rows.length; i++) order[at++] = start + (rows[i] as number);
  }
  return order;
}
