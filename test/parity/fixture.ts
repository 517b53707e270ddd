import { readFileSync } from "node:fs";
import { Tensor } from "../../src/index.js";

/** A tensor as `make_fixtures.py` writes it. */
export interface Stored {
  shape: number[];
  values: number[];
}

/** The content of a file that `make_fixtures.py` wrote. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), "utf8")) as T;
}

/** A stored tensor as one that asks for a gradient. */
export function leaf({ shape, values }: Stored): Tensor {
  return new Tensor(Float32Array.from(values), shape, { requiresGrad: true });
}

/** A stored tensor as a constant. */
export function constant({ shape, values }: Stored): Tensor {
  return new Tensor(Float32Array.from(values), shape);
}

/** Runs `out.backward(upstream)` as PyTorch does it for an output that is no scalar. */
export function backward(out: Tensor, upstream: Stored): void {
  out.mul(constant(upstream)).sum().backward();
}

/** The gradient of a tensor, empty where it has none, so that a comparison says so. */
export function gradOf(tensor: Tensor): Float32Array {
  return tensor.grad?.data ?? new Float32Array(0);
}
