import { DistilleryError } from "../errors.js";
import type { Node, Value } from "./graph.js";

/** A node as the native executor takes it. */
export interface LoweredNode {
  /** The native operation. */
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attributes: Readonly<Record<string, number | boolean>>;
}

/** The native form of a node; `BAD_ARGUMENT` if its operation has none. */
export function lower({ op, inputs, attributes }: Node): LoweredNode {
  const lowered = op.lower?.(attributes) ?? null;
  if (lowered === null) {
    throw new DistilleryError("BAD_ARGUMENT", `network: its operation ${op.name} has no native form`);
  }
  const { kind, ...rest } = lowered;
  return { op: kind, inputs, attributes: rest as LoweredNode["attributes"] };
}
