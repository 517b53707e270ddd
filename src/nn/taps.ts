import { showList, suggestion } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Module } from "./module.js";

/**
 * Records the outputs of modules inside a network while it runs, by their paths: forward hooks. Between
 * {@link Taps.open} and {@link Taps.close} the `forward` of each tapped module keeps its last output.
 */
export class Taps {
  readonly #modules: readonly (readonly [path: string, module: Module])[];
  readonly #outputs = new Map<string, Tensor>();

  /** @throws DistilleryError `BAD_ARGUMENT` with the nearest path if the network has no module of a path. */
  constructor(network: Module, paths: readonly string[], argument: string) {
    const modules = new Map(modulesByPath(network));
    this.#modules = paths.map((path) => {
      const module = modules.get(path);
      if (module !== undefined) return [path, module];
      const text = `no module ${JSON.stringify(path)}${suggestion(path, [...modules.keys()]) || "."} It has ${showList([...modules.keys()])}`;
      throw new DistilleryError("BAD_ARGUMENT", `${argument}: ${text}`);
    });
    this.argument = argument;
  }

  private readonly argument: string;

  /** Runs `body`, a forward pass of the network; gives its value and the outputs of the tapped modules. */
  record<T>(body: () => T): { value: T; taps: Readonly<Record<string, Tensor>> } {
    if (this.#modules.length === 0) return { value: body(), taps: NONE };
    this.#outputs.clear();
    const restore = this.#modules.map(([path, module]) => this.#hook(path, module));
    try {
      const value = body();
      return { value, taps: Object.fromEntries(this.#modules.map(([path]) => [path, this.#output(path)])) };
    } finally {
      for (const undo of restore.reverse()) undo();
    }
  }

  #hook(path: string, module: Module): () => void {
    const own = Object.getOwnPropertyDescriptor(module, "forward");
    const forward = module.forward;
    Object.defineProperty(module, "forward", {
      configurable: true,
      writable: true,
      enumerable: own?.enumerable ?? false,
      value: (...inputs: Tensor[]) => {
        const output = forward.apply(module, inputs);
        this.#outputs.set(path, output);
        return output;
      },
    });
    return () => {
      if (own === undefined) Reflect.deleteProperty(module, "forward");
      else Object.defineProperty(module, "forward", own);
    };
  }

  #output(path: string): Tensor {
    const output = this.#outputs.get(path);
    if (output !== undefined) return output;
    const text = "has no output: the network's forward does not call this module's forward";
    throw new DistilleryError("BAD_ARGUMENT", `${this.argument}: ${path} ${text}`);
  }
}

const NONE: Readonly<Record<string, Tensor>> = Object.freeze({});

/** All modules inside a network with their paths, such as `layers.3`, as PyTorch's `named_modules`. */
function modulesByPath(network: Module, prefix = ""): [string, Module][] {
  return network
    .namedChildren()
    .flatMap(([name, child]): [string, Module][] => [
      [prefix + name, child],
      ...modulesByPath(child, `${prefix}${name}.`),
    ]);
}
