import { DistilleryError } from "../errors.js";
import type { Constant } from "./graph.js";

/** The constant, where it has no NaN and no infinity: no runtime promises what those give. `NON_FINITE` otherwise. */
export function finite(constant: Constant): Constant {
  const at = constant.data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return constant;
  throw new DistilleryError(
    "NON_FINITE",
    `${constant.name}: expected finite values, got ${constant.data[at]} at ${at}`,
  );
}

/** A single number. */
export function scalar(name: string, value: number): Constant {
  return finite({ kind: "constant", name, data: Float32Array.of(value), shape: [] });
}
