/** A network's values under PyTorch's keys, such as `fc1.weight` and `bn1.running_mean`. */
export type Weights = Readonly<Record<string, Float32Array>>;

/** The values under a key; an error that names the key where there are none. */
export function weight(weights: Weights, key: string): Float32Array {
  const values = weights[key];
  if (values === undefined) throw new Error(`weights: expected the key ${key}, got ${Object.keys(weights).join(", ")}`);
  return values;
}
