import { argumentError, show } from "../checks.js";
import { columnWidth, type Preprocessing } from "../data/preprocessing/spec.js";
import { firstRounded } from "../data/statistics.js";
import type { OnnxNode } from "../tensor/onnx_node.js";
import { finite } from "./constants.js";
import type { OnnxGraph } from "./onnx_graph.js";

/** What standardises each input of a network: (x - mean) / std, and `fill` instead of what is missing. */
export interface Standardisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** NaN: a missing value stays one. Null: none may be missing. */
  readonly fill: readonly number[] | null;
}

/**
 * What standardises the inputs of a network of tables or matrices; null for others, and if they are taken as they are.
 */
export function standardisationOf(spec: Preprocessing | null): Standardisation | null {
  if (spec === null || spec.kind === "image") return null;
  if (spec.kind === "values") {
    const { mean, std } = spec;
    return mean === undefined || std === undefined ? null : { mean, std, fill: null };
  }
  // A number has its own statistics; a category's 0 or 1 stays what it is.
  const parts = spec.columns.flatMap((column) => {
    const rest = { mean: 0, std: 1, fill: Number.NaN };
    const own = "mean" in column ? { ...rest, mean: column.mean, std: column.std } : rest;
    const first = "mean" in column && column.missing !== undefined ? { ...own, fill: 0 } : own;
    return Array.from({ length: columnWidth(column) }, (_, i) => (i === 0 ? first : rest));
  });
  const [mean, std, fill] = [parts.map((one) => one.mean), parts.map((one) => one.std), parts.map((one) => one.fill)];
  const isSame = mean.every((x) => x === 0) && std.every((x) => x === 1);
  if (isSame && fill.every(Number.isNaN)) return null;
  return { mean, std, fill: fill.every(Number.isNaN) ? null : fill };
}

/** What the values of a row are, in their order: columns, and for texts `column=text`; null if they have no names. */
export function inputNames(spec: Preprocessing): readonly string[] | null {
  // Ids of texts are many, and alike.
  if (spec.kind !== "table" || spec.columns.some((column) => "text" in column)) return null;
  return spec.columns.flatMap((column) => {
    if ("categories" in column) return column.categories.map((text) => `${column.name}=${text}`);
    return [column.name, `${column.name} is missing`].slice(0, columnWidth(column));
  });
}

/**
 * Refuses inputs that float32 can't tell apart: of a mean far from 0 and a small deviation, such as those of times in
 * seconds, the graph would subtract one rounded number from another.
 */
export function expectPrecise(spec: Preprocessing, { mean, std }: Standardisation): void {
  const at = firstRounded({ mean, std });
  if (at < 0) return;
  const of = inputNames(spec)?.[at] ?? `input ${at}`;
  throw argumentError(
    "embedNormalisation",
    `${show(of)} has a mean of ${mean[at]} and a deviation of ${std[at]}, which float32 inputs of ONNX do not hold: ` +
      "leave it out (--no-embed-normalisation), and standardise in double precision before",
  );
}

/** Refuses targets that float32 outputs can't tell apart, for the same reason. */
export function expectPreciseTargets({ targets, classNames }: Preprocessing): void {
  const at = targets === undefined ? -1 : firstRounded(targets);
  if (targets === undefined || at < 0) return;
  const { mean, std } = targets;
  throw argumentError(
    "preprocessing.targets",
    `${show(classNames?.[at] ?? `target ${at}`)} has a mean of ${mean[at]} and a deviation of ${std[at]}, which float32 outputs of ONNX do not hold: ` +
      "export JavaScript, which computes them in double precision, or train on the column less its mean",
  );
}

/** The nodes from the numbers of a row to the network's own input. */
export function standardise(onnx: OnnxGraph, input: string, { mean, std, fill }: Standardisation): string {
  const shape = [mean.length];
  const constant = (name: string, values: readonly number[]) =>
    onnx.constant(
      finite({ kind: "constant", name: `standardisation.${name}`, data: Float32Array.from(values), shape }),
    );
  const node = (type: string, ...inputs: string[]) => onnx.node({ type, inputs } satisfies OnnxNode);
  const centred = node("Sub", input, constant("mean", mean));
  const scaled = node("Div", centred, constant("std", std));
  if (fill === null) return scaled;
  const filler = { kind: "constant", name: "standardisation.fill", data: Float32Array.from(fill), shape } as const;
  return node("Where", node("IsNaN", scaled), onnx.constant(filler), scaled);
}
