import {
  argumentError,
  badArgument,
  expectObject,
  expectOptions,
  hasMethods,
  type Optional,
  showValue,
  withDefaults,
} from "../checks.js";
import type { DistilleryError } from "../errors.js";
import { Tensor } from "../tensor/tensor.js";
import type { ParamGroup, Params } from "./param_group.js";
import { updateRows } from "./row_update.js";
import { type OptimizerStateDict, readOptimizer, writeOptimizer } from "./state_dict.js";

/** What a run gives an optimizer beside its options. */
export interface OptimizerContext {
  readonly params: readonly Tensor[];
  readonly lr: number;
  readonly weightDecay: number;
}

/**
 * The base of every optimizer, like `torch.optim.Optimizer`. Your own optimizer passes its defaults to the constructor
 * and implements `update`.
 *
 * @typeParam G a group with the optimizer's options.
 * @typeParam S what is kept for one parameter: numbers and arrays of the parameter's length.
 * @example
 * ```ts
 * class SignSGD extends Optimizer {
 *   constructor(params: Params<{ lr?: number }>, { lr = 1e-3 } = {}) {
 *     super(params, { lr, weightDecay: 0 });
 *   }
 *   protected override update({ lr }: ParamGroup, params: readonly Tensor[]) {
 *     for (const { data, grad } of params) grad?.data.forEach((g, i) => { data[i]! -= lr * Math.sign(g); });
 *   }
 * }
 * ```
 */
export abstract class Optimizer<G extends ParamGroup = ParamGroup, S extends object = object> {
  /** As in PyTorch: set `optimizer.paramGroups[0].lr` to change a learning rate. */
  readonly paramGroups: G[] = [];
  /** What is kept for each parameter that has moved. */
  readonly state = new Map<Tensor, S>();
  readonly #defaults: Omit<G, "params">;
  readonly #fixed: readonly string[];

  /** `fixed` are the names of defaults that a group can't change. */
  constructor(params: Params<object>, defaults: Omit<G, "params">, fixed: readonly string[] = []) {
    this.#defaults = defaults;
    this.#fixed = fixed;
    if (!Array.isArray(params) || params.length === 0) throw noParameters("params", params);
    const isGroup = (value: unknown) => typeof value === "object" && value !== null && "params" in value;
    const groups = params.every(isGroup) ? params : [{ params }];
    for (const group of groups) this.addParamGroup(group as Partial<G> & { params: readonly Tensor[] });
  }

  /** Every parameter, group by group. */
  get parameters(): readonly Tensor[] {
    return this.paramGroups.flatMap(({ params }) => params);
  }

  /**
   * Adds parameters with options of their own, such as layers that begin to train later.
   *
   * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range, and for parameters that are no
   * tensors, that an operation made, or that a group has already.
   */
  addParamGroup(group: Optional<Omit<G, "params">> & { params: Tensor | readonly Tensor[] }): void {
    expectObject("group", group);
    const { params, ...options } = group;
    const name = this.paramGroups.length === 0 ? "options" : `paramGroups[${this.paramGroups.length}]`;
    const known = Object.keys(this.#defaults).filter((option) => !this.#fixed.includes(option));
    expectOptions(name, options, known);
    const added = [...expectParameters(params instanceof Tensor ? [params] : params)];
    expectParameters([...this.parameters, ...added]);
    // Gradients go to the leaves behind it, so it would never be updated.
    const computed = added.findIndex(({ node }) => node !== null);
    if (computed >= 0) {
      const text =
        "expected a leaf, got what an operation made of others: new Parameter(x.data.slice(), x.shape) is one";
      throw argumentError(`params[${computed}]`, text);
    }
    const whole = { ...withDefaults<object, object>(this.#defaults, options), params: added } as unknown as G;
    this.checkGroup(whole);
    this.paramGroups.push(whole);
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(extra?: never): void {
    if (extra !== undefined) throw badArgument("zeroGrad", "no arguments (gradients become null)", extra);
    for (const { params } of this.paramGroups) for (const parameter of params) parameter.zeroGrad();
  }

  /** Moves every parameter that has a gradient. */
  step(extra?: never): void {
    if (extra !== undefined) throw badArgument("step", "no arguments (call a closure before)", extra);
    for (const group of this.paramGroups) this.checkGroup(group);
    for (const group of this.paramGroups) {
      const withGrad = group.params.filter(({ gradient }) => gradient.data !== null && !gradient.isByRows);
      for (const [gradScale, params] of partition(withGrad, ({ gradient }) => gradient.scale)) {
        this.update(group, params, gradScale);
      }
      for (const param of group.params) {
        if (param.gradient.data !== null) param.noteChange();
        if (param.gradient.isByRows) updateRows(param, this.state, (part) => this.update(group, [part], 1));
      }
    }
  }

  /**
   * The state and options in PyTorch's structure, for `saveCheckpoint`: the optimizer of this name in PyTorch over the
   * same parameters loads it and continues. The arrays are those in use, not copies.
   *
   * @example
   * ```ts
   * await saveCheckpoint({ model: student.stateDict(), optimizer: optimizer.stateDict() }, "checkpoint.pth");
   * // in Python: optimizer.load_state_dict(torch.load("checkpoint.pth", weights_only=True)["optimizer"])
   * ```
   */
  stateDict(): OptimizerStateDict {
    return writeOptimizer(this.paramGroups, this.state, this.groupKeys());
  }

  /**
   * Takes over a state dict, of this class or of PyTorch's, with its options, all or nothing. As in PyTorch, make the
   * scheduler before: what it set is replaced.
   *
   * @throws DistilleryError `STATE_DICT_MISMATCH` or `SHAPE_MISMATCH` for one of other parameters, or of another
   * optimizer; `BAD_ARGUMENT` for options out of range.
   */
  loadStateDict(state: unknown): this {
    const loaded = readOptimizer<G, S>(state, this.paramGroups, this.groupKeys(), (group) => this.stateKeys(group));
    const groups = this.paramGroups.map((group, i) => ({ ...group, ...loaded.options[i] }));
    for (const group of groups) this.checkGroup(group);
    for (const [i, group] of groups.entries()) Object.assign(this.paramGroups[i], group);
    this.state.clear();
    for (const [param, values] of loaded.state) this.state.set(param, values);
    return this;
  }

  /**
   * Updates parameters of one group, all of which have a gradient: `gradScale` times what `gradient.data` holds. `grad`
   * is the same product, at the cost of one more pass.
   */
  protected abstract update(group: G, params: readonly Tensor[], gradScale: number): void;

  /** Refuses options of a group that are out of range: when it is added, loaded, and before each step. */
  protected checkGroup(_group: G): void {}

  /** The keys of a group in PyTorch's state dict, in its order. */
  protected groupKeys(): readonly string[] {
    return ["lr", "weight_decay"];
  }

  /** The keys of a parameter's state in PyTorch's state dict. */
  protected stateKeys(_options: Partial<G>): readonly string[] {
    return [];
  }
}

/** Parameters by what they have in common, in the order in which each comes first. */
export function partition<K>(
  params: readonly Tensor[],
  keyOf: (param: Tensor) => K,
): Iterable<readonly [K, readonly Tensor[]]> {
  if (params.length === 0) return [];
  // At nearly every step all have the same.
  const first = keyOf(params[0]);
  if (params.every((param) => keyOf(param) === first)) return [[first, params]];
  const parts = new Map<K, Tensor[]>();
  for (const param of params) {
    const key = keyOf(param);
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [param]);
    else part.push(param);
  }
  return parts;
}

/** The gradients' arrays of parameters that have one. */
export function gradsOf(params: readonly Tensor[]): Float32Array[] {
  const grads: Float32Array[] = [];
  for (const { gradient } of params) if (gradient.data !== null) grads.push(gradient.data);
  return grads;
}

/** Refuses an empty list, anything but tensors, and duplicates. */
export function expectParameters(params: readonly Tensor[]): readonly Tensor[] {
  if (!Array.isArray(params) || params.length === 0 || !params.every((p) => p instanceof Tensor)) {
    throw noParameters("parameters", params);
  }
  if (new Set(params).size !== params.length) {
    throw argumentError("parameters", "expected each parameter once, got one twice");
  }
  return params;
}

function noParameters(name: string, got: unknown): DistilleryError {
  const isModule = [got].flat().some((one) => hasMethods(one, "parameters"));
  const advice = isModule ? ": its parameters() are one" : "";
  return argumentError(name, `expected a list of at least one parameter, got ${showValue(got)}${advice}`);
}
