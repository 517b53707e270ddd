import { expectFlags, expectOptions } from "../checks.js";
import { showCount } from "../show_count.js";
import type { LongTensor } from "../tensor/int_tensor.js";
import { Parameter, type Tensor } from "../tensor/tensor.js";
import { repr } from "./repr.js";
import { loadInto, type StateDict } from "./state_dict.js";

/** A tensor that belongs to a module's state but is not trained: running statistics, counters. */
export type ModuleBuffer = Tensor | LongTensor;

/**
 * The base of every network, as `torch.nn.Module`: extend it, assign parameters and modules to properties (or arrays
 * of modules), and compute the output in `forward`. A property's name is its key in the state dict.
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
    return once(this.#walk((module, prefix) => module.#ownParameters(prefix)));
  }

  /** All buffers with their names, such as `bn1.running_mean`; a shared one once, under its first name. */
  namedBuffers(): [string, ModuleBuffer][] {
    return once(this.#walk((module, prefix) => module.#ownBuffers(prefix)));
  }

  /** The modules directly inside this one, with the names of their properties. */
  namedChildren(): [string, Module][] {
    const children: [string, Module][] = [];
    // Loops: a prediction of one sample comes here.
    for (const [name, value] of this.#own()) {
      if (value instanceof Module) children.push([name, value]);
      else if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++)
          if (value[i] instanceof Module) children.push([`${name}.${i}`, value[i]]);
      }
    }
    return children;
  }

  /**
   * Whether `forward` takes images as [rows, channels, height, width]: if one of the modules inside does, as convolutions do. Runs
   * give other networks each image as a row of values, [rows, channels * height * width]. A module that reshapes by itself may say true.
   */
  get readsImages(): boolean {
    // Without lists of names: runs come here in each step.
    for (const value of Object.values(this)) if (childrenReadImages(value)) return true;
    return false;
  }

  /**
   * The number of ids that `forward` knows if it reads ids, as those of texts: that of the first embedding inside; null: it takes
   * numbers.
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
    const state: StateDict = Object.fromEntries([...this.#ownParameters(""), ...this.#ownBuffers("")]);
    // A child has the last word on its own state.
    for (const [name, child] of this.namedChildren()) {
      for (const [key, tensor] of Object.entries(child.stateDict())) state[`${name}.${key}`] = tensor;
    }
    return state;
  }

  /**
   * Copies the values of a state dict into this module. Throws `STATE_DICT_MISMATCH` that lists every missing key,
   * unexpected key (both only if `strict`) and wrong shape; then nothing was copied.
   */
  loadStateDict(state: StateDict, options: { strict?: boolean } = {}): this {
    expectOptions("loadStateDict", options, ["strict"]);
    loadInto(this.constructor.name, this.stateDict(), state, options.strict ?? true);
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

  /** Adds a tensor to the state under a key, as `torch.nn.Module.register_buffer`. */
  protected registerBuffer<B extends ModuleBuffer>(name: string, buffer: B): B {
    this.#buffers.set(name, buffer);
    return buffer;
  }

  #own(): [string, unknown][] {
    return Object.entries(this);
  }

  #ownParameters(prefix: string): [string, Parameter][] {
    return this.#own().flatMap(([name, value]) => (value instanceof Parameter ? [[prefix + name, value]] : []));
  }

  #ownBuffers(prefix: string): [string, ModuleBuffer][] {
    return [...this.#buffers].map(([name, buffer]) => [prefix + name, buffer]);
  }

  #walk<T>(visit: (module: Module, prefix: string) => T[], prefix = ""): T[] {
    const children = this.namedChildren().flatMap(([name, child]) => child.#walk(visit, `${prefix}${name}.`));
    return [...visit(this, prefix), ...children];
  }
}

/** Whether what a property holds are modules of which one reads images. */
function childrenReadImages(value: unknown): boolean {
  if (value instanceof Module) return value.readsImages;
  return Array.isArray(value) && value.some((item) => item instanceof Module && item.readsImages);
}

/** The entries whose tensor did not come before. */
function once<T>(entries: [string, T][]): [string, T][] {
  const seen = new Set<T>();
  return entries.filter(([, tensor]) => !seen.has(tensor) && seen.add(tensor));
}
