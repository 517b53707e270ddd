import { types } from "node:util";
import { argumentError, badArgument, show } from "../checks.js";
import { Tensor } from "../tensor/tensor.js";
import type { Module } from "./module.js";

/** What a network's `forward` gave, a tensor; otherwise `BAD_ARGUMENT` that begins with `place`, the network's name. */
export function expectOutput(place: string, output: unknown): Tensor {
  if (output instanceof Tensor) return output;
  throw argumentError(place, `forward: expected a Tensor, got ${showOutput(output)}`);
}

/** A network of the user's own, whose `forward` is refused by the network's name if it gives no tensor. */
export function withOutputExpected(network: Module, place: string): Module {
  const { forward }: { forward: unknown } = network;
  if (typeof forward !== "function") {
    throw badArgument(`${place}: forward`, "a method", forward);
  }
  const value = (...inputs: Tensor[]) => expectOutput(place, forward.apply(network, inputs));
  return Object.defineProperty(network, "forward", { configurable: true, writable: true, value });
}

function showOutput(output: unknown): string {
  if (Array.isArray(output)) return "a list";
  return types.isPromise(output) ? `${show(output)}: forward can't be async` : show(output);
}
