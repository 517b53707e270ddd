import { expect } from "vitest";
import { Generator, noGrad, rand, randint, Tensor, withGenerator } from "../../src/index.js";
import { expectClose, type Tolerance } from "../parity/close.js";

/**
 * Steps of 1/32 from multiples of 1/64 are exact in single precision. The five-point formula leaves an error of
 * step^4 / 30 times the fifth derivative (3e-8 of it), and rounding one of about 6e-8 / step an output: 2e-6.
 */
const STEP = 1 / 32;
const TOLERANCE: Tolerance = { abs: 2e-5, rel: 2e-5, ofLargest: 1e-5 };

/** What {@link checkGradients} may be told. */
export interface Options {
  seed?: number;
  step?: number;
  tolerance?: Tolerance;
}

/** Random leaves of magnitudes from 1/4 to 5/4 and both signs, in multiples of 1/64: no step crosses zero. */
export function leaves(shapes: readonly (readonly number[])[], seed = 1): Tensor[] {
  return withGenerator(new Generator(seed), () =>
    shapes.map((shape) => {
      const [magnitude, sign] = [randint(16, 81, shape), randint(0, 2, shape)];
      const values = Float32Array.from(magnitude, (x, i) => (sign.data[i] === 0 ? x : -x) / 64);
      return new Tensor(values, shape, { requiresGrad: true });
    }),
  );
}

/**
 * Compares the gradient of every element of `inputs` with central differences of sum(f(inputs) * upstream), where
 * `upstream` is random. The sum is taken in double precision, so that only the outputs' own roundings count.
 */
export function checkGradients(f: (...inputs: Tensor[]) => Tensor, inputs: Tensor[], options: Options = {}): void {
  const { seed = 1, step = STEP, tolerance = TOLERANCE } = options;
  const out = f(...inputs);
  const upstream = withGenerator(new Generator(seed + 1000), () => rand(out.shape, -1, 1));
  out.mul(upstream).sum().backward();
  const value = () => noGrad(() => dot(f(...inputs).data, upstream.data));
  inputs.forEach((input, i) => {
    expect(input.grad?.shape, `shape of the gradient of input ${i}`).toEqual(input.shape);
    const slopes = Array.from(input.data.keys(), (at) => slope(input.data, at, step, value));
    expectClose(input.grad?.data ?? [], slopes, tolerance, `gradient of input ${i} [${input.shape}]`);
  });
}

/** The derivative of `value` by one element of `data`, of fourth order; the element is put back. */
export function slope(data: Float32Array | Float64Array, at: number, step: number, value: () => number): number {
  const x = data[at];
  const valueAt = (steps: number) => {
    data[at] = x + steps * step;
    return value();
  };
  const result = (8 * (valueAt(1) - valueAt(-1)) - (valueAt(2) - valueAt(-2))) / (12 * step);
  data[at] = x;
  return result;
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i], 0);
}
