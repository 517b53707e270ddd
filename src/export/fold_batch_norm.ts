import { type BatchNormAttributes, batchNormOp, linearOp } from "../ops/index.js";
import { finite } from "./constants.js";
import { type Constant, type Graph, rewrite, type Step, type Value } from "./graph.js";

/**
 * The graph with each BatchNorm in eval mode folded into the linear step whose only reader it is: with
 * f = gamma / sqrt(running variance + eps), the weight's rows become f weight and the bias f (bias - running mean) + beta,
 * computed in double precision.
 */
export function foldBatchNorm(graph: Graph): Graph {
  const readers = new Map<Value, number>([[graph.output, 1]]);
  for (const value of graph.steps.flatMap(({ inputs }) => inputs)) readers.set(value, (readers.get(value) ?? 0) + 1);
  return rewrite(graph, (step, before) => {
    if (step.op !== batchNormOp.op || readers.get(before.inputs[0] as Value) !== 1) return step;
    const [x, ...statistics] = step.inputs as [Value, ...Value[]];
    if (x.kind !== "step" || x.op !== linearOp.op || (x.attributes as { relu: boolean }).relu) return step;
    const [source, weight, bias] = x.inputs as [Value, Value, Value?];
    const constants = [weight, ...statistics, ...(bias ? [bias] : [])];
    if (!constants.every((value): value is Constant => value.kind === "constant")) return step;
    const folded = fold(
      weight as Constant,
      bias as Constant | undefined,
      statistics as Constant[],
      (step.attributes as BatchNormAttributes).eps,
    );
    return { ...x, inputs: [source, ...folded] } satisfies Step;
  });
}

function fold(weight: Constant, bias: Constant | undefined, statistics: Constant[], eps: number): Constant[] {
  const [gamma, beta, mean, variance] = statistics.map(({ data }) => data) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const factors = Float64Array.from(gamma, (g, i) => g / Math.sqrt((variance[i] as number) + eps));
  const columns = weight.shape[1] as number;
  const row = (i: number) => factors[Math.floor(i / columns)] as number;
  const shift = (i: number) => (bias?.data[i] ?? 0) - (mean[i] as number);
  const name = bias?.name ?? `${weight.name.replace(/\.?weight$/, "")}.bias`;
  return [
    finite({ ...weight, data: weight.data.map((w, i) => w * row(i)) }),
    finite({
      kind: "constant",
      name,
      shape: [factors.length],
      data: beta.map((b, i) => (factors[i] as number) * shift(i) + b),
    }),
  ];
}
