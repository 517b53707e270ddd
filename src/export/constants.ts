import { argumentError } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { type Constant, constantsOf, type Graph } from "../graph/index.js";
import { numel } from "../tensor/shape.js";

/** The constant, if it has no NaN and no infinity: no runtime promises what those give. `NON_FINITE` otherwise. */
export function finite(constant: Constant): Constant {
  const at = constant.data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return constant;
  throw new DistilleryError(
    "NON_FINITE",
    `${constant.name}: expected finite values, got ${constant.data[at]} at ${at}`,
  );
}

/** The graph, if all its constants are finite. */
export function finiteGraph(graph: Graph): Graph {
  for (const constant of constantsOf(graph)) finite(constant);
  return graph;
}

/** A single number. */
export function scalar(name: string, value: number): Constant {
  return finite({ kind: "constant", name, data: Float32Array.of(value), shape: [] });
}

/**
 * A single number, or a number for each value of samples of a shape whose channels have one each: [channels, 1, 1] for
 * images [channels, height, width].
 */
export function perChannel(name: string, value: number | readonly number[], shape: readonly number[]): Constant {
  if (typeof value === "number") return scalar(name, value);
  if (value.length === 1) return scalar(name, value[0]);
  const features = numel(shape);
  const plane = features / value.length;
  if (!Number.isInteger(plane) || (shape.length === 3 && value.length !== shape[0])) {
    const text = `expected numbers for channels of one size, got ${value.length} for ${features} values`;
    throw argumentError(name, text);
  }
  if (shape.length === 3) {
    return finite({ kind: "constant", name, data: Float32Array.from(value), shape: [value.length, 1, 1] });
  }
  const data = Float32Array.from({ length: features }, (_, i) => value[Math.floor(i / plane)]);
  return finite({ kind: "constant", name, data, shape: [features] });
}
