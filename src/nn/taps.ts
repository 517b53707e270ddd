import { argumentError, badArgument, showList, suggestion } from "../checks.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Module } from "./module.js";

/** What ends a path that means what its module reads, not what it gives: `fc3:input`. */
const INPUT = ":input";

/** Refuses anything but a list of modules' paths; `BAD_ARGUMENT`. */
export function expectPaths(argument: string, paths: unknown): void {
  if (Array.isArray(paths) && paths.every((path) => typeof path === "string")) return;
  throw badArgument(argument, 'a list of paths, as ["fc1"]', paths);
}

/**
 * Records the outputs of modules inside a network while it runs, by their paths: forward hooks. `fc3:input` is what
 * `fc3` reads.
 */
export class Taps {
  readonly #modules: readonly { path: string; module: Module; reads: boolean }[];
  readonly #outputs = new Map<string, Tensor>();

  /** @throws DistilleryError `BAD_ARGUMENT` with the nearest path if the network has no module of a path. */
  constructor(
    network: Module,
    paths: readonly string[],
    private readonly argument: string,
  ) {
    expectPaths(`${argument}: taps`, paths);
    const modules = new Map(modulesByPath(network));
    this.#modules = paths.map((path) => {
      const reads = path.endsWith(INPUT);
      const module = modules.get(reads ? path.slice(0, -INPUT.length) : path);
      if (module !== undefined) return { path, module, reads };
      const text = `no module ${JSON.stringify(path)}${suggestion(path, [...modules.keys()]) || "."} It has ${showList([...modules.keys()])}`;
      throw argumentError(argument, text);
    });
  }

  /** Runs `body`, a forward pass of the network; gives its value and the outputs of the tapped modules. */
  record<T>(body: () => T): { value: T; taps: Readonly<Record<string, Tensor>> } {
    if (this.#modules.length === 0) return { value: body(), taps: NONE };
    this.#outputs.clear();
    const restore = this.#modules.map(({ path, module, reads }) =>
      hook(module, (input, output) => this.#outputs.set(path, reads ? input : output)),
    );
    const outer = recorded;
    recorded = [...outer, ...this.#modules.map(({ module }) => module)];
    try {
      const value = body();
      return { value, taps: Object.fromEntries(this.#modules.map(({ path }) => [path, this.#output(path)])) };
    } finally {
      recorded = outer;
      for (const undo of restore.reverse()) undo();
    }
  }

  #output(path: string): Tensor {
    const output = this.#outputs.get(path);
    if (output !== undefined) return output;
    const text = "has no output: the network's forward does not call this module's forward";
    throw argumentError(this.argument, `${path} ${text}`);
  }
}

/** The modules whose outputs {@link Taps} are recording. */
let recorded: readonly Module[] = [];

/** Whether {@link Taps} are recording what a module inside a network reads or gives, other than `except`. */
export function isRecorded(network: Module, except: Module | null = null): boolean {
  return recorded.length > 0 && modulesByPath(network).some(([, one]) => one !== except && recorded.includes(one));
}

const NONE: Readonly<Record<string, Tensor>> = Object.freeze({});

/**
 * The path of what the layer reads that gives the network's output: the features of a classifier. `forward` runs the
 * network.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if no module inside the network gives its output.
 */
export function featuresPath(network: Module, forward: () => Tensor, argument: string): string {
  const givenBy = new Map<Tensor, string>();
  const restore = modulesByPath(network).map(([path, module]) =>
    hook(module, (_, output) => givenBy.has(output) || givenBy.set(output, path)),
  );
  try {
    const path = givenBy.get(forward());
    if (path !== undefined) return path + INPUT;
  } finally {
    for (const undo of restore.reverse()) undo();
  }
  const text = "its output comes from no module inside it: name the layer that the loss is to read";
  throw argumentError(argument, text);
}

/**
 * Calls `onCall` with what a module reads and gives, each time that its `forward` runs; gives what undoes it. @internal
 */
export function hook(module: Module, onCall: (input: Tensor, output: Tensor) => void): () => void {
  const own = Object.getOwnPropertyDescriptor(module, "forward");
  const forward = module.forward;
  Object.defineProperty(module, "forward", {
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? false,
    value: (...inputs: Tensor[]) => {
      const output = forward.apply(module, inputs);
      onCall(inputs[0], output);
      return output;
    },
  });
  return () => {
    if (own === undefined) Reflect.deleteProperty(module, "forward");
    else Object.defineProperty(module, "forward", own);
  };
}

/** All modules inside a network with their paths, such as `layers.3`. */
function modulesByPath(network: Module): [string, Module][] {
  return network.namedModules({ removeDuplicate: false }).slice(1);
}
