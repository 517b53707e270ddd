import { types } from "node:util";
import { expectInteger, expectOptions, withDefaults } from "../checks.js";
import { badState, LRScheduler, type SchedulerAttribute } from "./lr_scheduler.js";
import type { Optimizer } from "./optimizer.js";
import { dictField } from "./state_dict.js";

/** `floor` and a factor on what is above it. */
export interface Rate {
  factor(step: number): number;
  readonly floor?: number;
}

/** What distinguishes one of PyTorch's scheduler classes. */
interface Definition<O> {
  /** Its options, under PyTorch's names for them. */
  readonly keys: { readonly [K in keyof O]-?: string };
  readonly defaults: Partial<O>;
  /** Refuses options out of range. */
  rate(options: Required<O>): Rate;
}

/** Keys of PyTorch's classes that have the one of ExponentialLR too. */
const TELLING = ["step_size", "milestones", "max_lrs"];

/**
 * A scheduler whose options are all that its rate depends on. As PyTorch's it starts, and at each step goes on, from
 * the rate in force: several of one optimizer chain, and a rate that was set by hand stays.
 */
export abstract class DefinedLR<O extends object> extends LRScheduler {
  readonly #definition: Definition<O>;
  #options: Required<O>;
  #rate: Rate;

  constructor(optimizer: Optimizer, options: O, definition: Definition<O>) {
    expectOptions("options", options, Object.keys(definition.keys));
    const all = withDefaults<O, Partial<O>>(definition.defaults, options);
    const rate = definition.rate(all);
    super(optimizer);
    this.#definition = definition;
    this.#options = all;
    this.#rate = rate;
    this.begin();
  }

  /** @internal */
  override begin(): void {
    for (const group of this.optimizer.paramGroups) group.lr = this.lrAt(0, group.lr);
    this.lastStep = 0;
  }

  override loadStateDict(state: unknown): this {
    const options: Record<string, unknown> = {};
    const keys = Object.entries<string>(this.#definition.keys);
    for (const [name, key] of keys) {
      const value = dictField(state, key);
      if (value === undefined) throw badState(`${key}: expected that of a ${this.constructor.name}, got undefined`);
      options[name] = name === "milestones" ? elements(value) : value;
    }
    const own = keys.map(([, key]) => key);
    const other = TELLING.find((key) => !own.includes(key) && dictField(state, key) !== undefined);
    if (other !== undefined) throw badState(`${other}: got that of another scheduler than ${this.constructor.name}`);
    const rate = this.#definition.rate(options as Required<O>);
    Object.assign(this, this.readPlace(state));
    this.#options = options as Required<O>;
    this.#rate = rate;
    return this;
  }

  protected override lrAt(step: number, baseLr: number): number {
    const { factor, floor = 0 } = this.#rate;
    return floor + (baseLr - floor) * factor(step);
  }

  protected override nextLr(step: number, baseLr: number, group: number): number {
    const { lr } = this.optimizer.paramGroups[group];
    const [before, now] = [this.lrAt(step - 1, baseLr), this.lrAt(step, baseLr)];
    // Undisturbed it is the closed form, which gathers no rounding errors.
    if (lr === before) return now;
    const { factor, floor = 0 } = this.#rate;
    const last = factor(step - 1);
    return last === 0 ? lr + now - before : floor + (lr - floor) * (factor(step) / last);
  }

  protected override attributes(): Record<string, SchedulerAttribute> {
    const entries = Object.entries<string>(this.#definition.keys).map(([name, key]): [string, SchedulerAttribute] => {
      const value = this.#options[name as keyof O] as number | readonly number[];
      return [key, typeof value === "number" ? value : counts(value)];
    });
    return Object.fromEntries(entries);
  }
}

/** How often each milestone comes, as PyTorch keeps them. */
function counts(milestones: readonly number[]): ReadonlyMap<number, number> {
  const map = new Map<number, number>();
  for (const milestone of milestones) map.set(milestone, (map.get(milestone) ?? 0) + 1);
  return map;
}

/** The milestones of such counts. */
function elements(value: unknown): number[] {
  const entries = types.isMap(value) ? [...value] : Object.entries(value ?? {});
  return entries.flatMap(([milestone, count]) =>
    Array<number>(expectInteger("milestones", count, 0, 1000)).fill(Number(milestone)),
  );
}
