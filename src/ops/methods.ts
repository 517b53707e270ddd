import { Tensor } from "../tensor/tensor.js";

/** A function whose first argument is the tensor. */
type Method = (x: never, ...rest: never[]) => unknown;

/** Makes functions methods of a class of tensors, under their keys. Their types are declared beside the functions. */
export function defineMethods(
  methods: Readonly<Record<string, Method>>,
  { prototype }: { prototype: object } = Tensor,
): void {
  for (const [name, method] of Object.entries(methods)) {
    const call = method as (x: never, a?: unknown, b?: unknown, c?: unknown, d?: unknown) => unknown;
    // Four arguments are enough for each, and cost less than a rest parameter; what is not given stays undefined.
    const value = function (this: never, a?: unknown, b?: unknown, c?: unknown, d?: unknown) {
      return call(this, a, b, c, d);
    };
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}
