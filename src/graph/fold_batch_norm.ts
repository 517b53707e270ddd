import { type Constant, countReaders, type Graph, rewrite, type Value } from "./graph.js";

/**
 * Folds each BatchNorm in eval mode into the linear node or convolution before it, if nothing else reads that node.
 * With f = gamma / sqrt(running variance + eps), the weight's rows become f * weight and the bias becomes f * (bias -
 * running mean) + beta, computed in double precision.
 */
export function foldBatchNorm(graph: Graph): Graph {
  const readers = countReaders(graph);
  return rewrite(graph, (node, before) => {
    const { training, eps } = node.attributes;
    if (node.op.name !== "batchNorm" || training || readers.get(before.inputs[0]) !== 1) return node;
    const [x, ...statistics] = node.inputs;
    if (x.kind !== "node" || (x.op.name !== "linear" && x.op.name !== "conv2d") || x.attributes.relu) return node;
    const [source, weight, bias] = x.inputs as [Value, Value, Value?];
    const constants = [weight, ...statistics, ...(bias ? [bias] : [])];
    if (!constants.every((value): value is Constant => value.kind === "constant")) return node;
    const folded = fold(weight as Constant, bias as Constant | undefined, statistics as Constant[], eps as number);
    return { ...x, inputs: [source, ...folded] };
  });
}

function fold(weight: Constant, bias: Constant | undefined, statistics: Constant[], eps: number): Constant[] {
  const [gamma, beta, mean, variance] = statistics.map(({ data }) => data);
  const factors = Float64Array.from(gamma, (g, i) => g / Math.sqrt(variance[i] + eps));
  const columns = weight.data.length / factors.length;
  const name = bias?.name ?? `${weight.name.replace(/\.?weight$/, "")}.bias`;
  return [
    { ...weight, data: weight.data.map((w, i) => w * factors[Math.floor(i / columns)]) },
    {
      kind: "constant",
      name,
      shape: [factors.length],
      data: beta.map((b, i) => factors[i] * ((bias?.data[i] ?? 0) - mean[i]) + b),
    },
  ];
}
