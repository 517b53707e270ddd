import { DistilleryError } from "../errors.js";
import { type Constant, constantsOf, type Graph } from "../graph/index.js";

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

/** A single number, or a number for each value of a row whose channels have one each. */
export function perChannel(name: string, value: number | readonly number[], features: number): Constant {
  if (typeof value === "number") return scalar(name, value);
  if (value.length === 1) return scalar(name, value[0]);
  const plane = features / value.length;
  if (!Number.isInteger(plane)) {
    const text = `${name}: expected numbers for channels of one size, got ${value.length} for ${features} values`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const data = Float32Array.from({ length: features }, (_, i) => value[Math.floor(i / plane)]);
  return finite({ kind: "constant", name, data, shape: [features] });
}
