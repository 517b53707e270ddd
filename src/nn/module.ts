import { badArgument, badDtype, expectFlags, expectOptions, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { showCount } from "../show.js";
import { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import { Parameter, Tensor } from "../tensor/tensor.js";
import { repr } from "./repr.js";
import { loadInto, type StateDict } from "./state_dict.js";

/** A tensor that belongs to a module's state but is not trained: running statistics, counters. */
export type ModuleBuffer = Tensor | LongTensor;

/**
 * The base of every network, as `torch.nn.Module`: extend it, assign parameters and modules to properties, or arrays
 * and plain objects of them, which are PyTorch's ModuleList and ModuleDict, and compute the output in `forward`. A
 * property's name is its key in the state dict: `fc1.weight`, `layers.0.weight`, `heads.left.weight`. What a `#private`
 * property or a Map holds is not part of the module.
 *
 * @example
 * ```ts
 * class Net extends Module {
 *   fc1 = new Linear(784, 64);
 *   fc2 = new Linear(64, 10);
 *   forward(x: Tensor) {
 *     return this.fc2.forward(this.fc1.forward(x).relu());
 *   }
 * }
 * ```
 */
export abstract class Module {
  /** Whether the module is in train mode: dropout active, batch statistics. New modules are. */
  training = true;
  #buffers = new Map<string, ModuleBuffer>();

  /** What the module computes. */
  abstract forward(...inputs: Tensor[]): Tensor;

  /** All parameters, this module's own first, then its children's in the order of their properties. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /** All parameters with their names, such as `fc1.weight`; a shared one once, under its first name. */
  namedParameters(): [string, Parameter][] {
    return once(this.#walk().flatMap(([path, module]) => module.#ownParameters(prefixOf(path))));
  }

  /** All buffers with their names, such as `bn1.running_mean`; a shared one once, under its first name. */
  namedBuffers(): [string, ModuleBuffer][] {
    return once(this.#walk().flatMap(([path, module]) => module.#ownBuffers(prefixOf(path))));
  }

  /**
   * This module and all inside it, each before those that it holds; a shared one once.
   *
   * @example
   * ```ts
   * const convolutions = network.modules().filter((module) => module instanceof Conv2d);
   * ```
   */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /**
   * {@link Module.modules} with their paths, such as `layers.0`; this module's is empty. A shared one comes once, under
   * its first path, with `removeDuplicate: false` under each.
   *
   * @example
   * ```ts
   * for (const [path, module] of network.namedModules()) console.log(path, module.constructor.name);
   * ```
   */
  namedModules(options: { removeDuplicate?: boolean } = {}): [string, Module][] {
    expectOptions("namedModules", options, ["removeDuplicate"]);
    const { removeDuplicate = true } = options;
    expectFlags({ removeDuplicate });
    return removeDuplicate ? once(this.#walk()) : this.#walk();
  }

  /**
   * The modules directly inside this one; a shared one once.
   *
   * @example
   * ```ts
   * const backbone = new Sequential(...network.children().slice(0, -1));
   * ```
   */
  children(): Module[] {
    return [...new Set(this.namedChildren().map(([, child]) => child))];
  }

  /**
   * Calls `fn` with every module inside this one and then with this one, each after those that it holds.
   *
   * @example
   * ```ts
   * network.apply((module) => {
   *   if (module instanceof Linear) module.bias?.data.fill(0);
   * });
   * ```
   */
  apply(fn: (module: Module) => void): this {
    if (typeof fn !== "function") throw badArgument("apply: fn", "a function of a module", fn);
    // Refuses a module that holds itself, in which this would not end.
    this.#walk();
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /** The modules directly inside this one, with the names of their properties; a shared one under each. */
  namedChildren(): [string, Module][] {
    const children: [string, Module][] = [];
    // Loops: a prediction of one sample comes here.
    for (const [name, value] of this.#own()) {
      eachHeld(name, value, (key, held) => {
        if (held instanceof Module) children.push([key, held]);
      });
    }
    return children;
  }

  /**
   * Whether `forward` takes images as [rows, channels, height, width]: true if a module inside does, such as a
   * convolution. Other networks get each image as a row of values, [rows, channels * height * width]. A module that
   * reshapes its input itself may return true.
   */
  get readsImages(): boolean {
    return this.namedChildren().some(([, child]) => child.readsImages);
  }

  /**
   * The number of ids that `forward` accepts if it reads ids, such as those of texts: by default that of the first
   * embedding inside. Null: it takes numbers.
   */
  get vocabulary(): number | null {
    for (const [, child] of this.namedChildren()) {
      const { vocabulary } = child;
      if (vocabulary !== null) return vocabulary;
    }
    return null;
  }

  /** Parameters and buffers under PyTorch's keys and in its order; the tensors themselves, not copies. */
  stateDict(): StateDict {
    const state: StateDict = {};
    const add = (key: string, tensor: StateDict[string]) => {
      if (Object.hasOwn(state, key)) {
        const text = `two of its tensors have the key ${show(key)}: rename a property or a buffer`;
        throw new DistilleryError("BAD_ARGUMENT", `${this.constructor.name}: ${text}`);
      }
      state[key] = tensor;
    };
    for (const [key, tensor] of [...this.#ownParameters(""), ...this.#ownBuffers("")]) add(key, tensor);
    // A child may override its own state.
    for (const [name, child] of this.namedChildren()) {
      for (const [key, tensor] of Object.entries(child.stateDict())) add(`${name}.${key}`, tensor);
    }
    return state;
  }

  /**
   * Copies the values of a state dict into this module. Throws `STATE_DICT_MISMATCH` that lists every missing key,
   * unexpected key (both only if `strict`) and wrong shape; then nothing was copied.
   */
  loadStateDict(state: StateDict, options: { strict?: boolean } = {}): this {
    expectOptions("loadStateDict", options, ["strict"]);
    const { strict = true } = options;
    expectFlags({ strict });
    loadInto(this.constructor.name, this.stateDict(), state, strict);
    return this;
  }

  /** Sets train mode, or eval mode, on this module and all inside it. */
  train(mode = true): this {
    expectFlags({ mode });
    this.training = mode;
    for (const [, child] of this.namedChildren()) child.train(mode);
    return this;
  }

  /** Sets eval mode: no dropout, running statistics. */
  eval(): this {
    return this.train(false);
  }

  /** Stops gradients: no parameter requires one. The mode stays as it is. */
  freeze(): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = false;
    return this;
  }

  /** Makes every parameter require a gradient again. */
  unfreeze(): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = true;
    return this;
  }

  /** The number of values in all parameters. */
  parameterCount(): number {
    return this.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
  }

  /** The arguments in the brackets of the representation. */
  extraRepr(): string {
    return "";
  }

  /** The representation, like PyTorch's, with the parameter count. */
  toString(): string {
    return `${repr(this)}\n${showCount(this.parameterCount())} parameters`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /**
   * Adds a tensor to the state under a key, like `torch.nn.Module.register_buffer`. A tensor that should not be stored
   * is a plain property.
   */
  protected registerBuffer<B extends ModuleBuffer>(name: string, buffer: B, extra?: never): B {
    if (typeof name !== "string" || name === "" || name.includes("."))
      throw badArgument("registerBuffer: name", "a name without a dot", name);
    const isBuffer = [Tensor, IntTensor, LongTensor].some((type) => buffer instanceof type);
    if (!isBuffer || buffer instanceof Parameter)
      throw badDtype(`registerBuffer: ${name}`, "a Tensor, an IntTensor or a LongTensor", buffer);
    if (extra !== undefined)
      throw badArgument("registerBuffer", "a name and a tensor (one that is not stored is a plain property)", extra);
    this.#buffers.set(name, buffer);
    return buffer;
  }

  #own(): [string, unknown][] {
    return Object.entries(this);
  }

  #ownParameters(prefix: string): [string, Parameter][] {
    const parameters: [string, Parameter][] = [];
    for (const [name, value] of this.#own()) {
      eachHeld(prefix + name, value, (key, held) => {
        if (held instanceof Parameter) parameters.push([key, held]);
      });
    }
    return parameters;
  }

  #ownBuffers(prefix: string): [string, ModuleBuffer][] {
    return [...this.#buffers].map(([name, buffer]) => [prefix + name, buffer]);
  }

  /** This module and all inside it with their paths, a shared one under each. */
  #walk(path = "", outer: readonly Module[] = [], into: [string, Module][] = []): [string, Module][] {
    if (outer.includes(this)) {
      throw new DistilleryError("BAD_ARGUMENT", `${path}: is a module that holds it: expected a tree of modules`);
    }
    into.push([path, this]);
    const within = [...outer, this];
    for (const [name, child] of this.namedChildren()) child.#walk(prefixOf(path) + name, within, into);
    return into;
  }
}

function prefixOf(path: string): string {
  return path === "" ? "" : `${path}.`;
}

/**
 * Calls `visit` with what a property holds: its value, or the items of an array or a plain object under their own
 * names.
 */
function eachHeld(
  name: string,
  value: unknown,
  visit: (name: string, held: object) => void,
  outer: readonly object[] = [],
): void {
  if (typeof value !== "object" || value === null) return;
  if (!isContainer(value)) {
    visit(name, value);
    return;
  }
  if (outer.includes(value)) return;
  const within = [...outer, value];
  for (const key of Object.keys(value)) {
    const item = value[key];
    // A list may be of numbers, and long.
    if (typeof item === "object") eachHeld(`${name}.${key}`, item, visit, within);
  }
}

function isContainer(value: object): value is Record<string, unknown> {
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The entries whose value did not come before. */
function once<T>(entries: [string, T][]): [string, T][] {
  const seen = new Set<T>();
  return entries.filter(([, value]) => !seen.has(value) && seen.add(value));
}
