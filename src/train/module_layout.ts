import { argumentError } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { MetricsLog } from "../log/metrics_log.js";
import { Module } from "../nn/module.js";
import { Parameter, type Tensor } from "../tensor/tensor.js";

/** The parameters that running runs update, and the logs that they write. */
const CLAIMED = new WeakSet<Tensor | MetricsLog>();

/**
 * Reserves parameters and logs for a run until the returned function is called; refuses those that another run has at
 * the same time.
 */
export function claim(parameters: ReadonlySet<Tensor>, logs: readonly MetricsLog[] = []): () => void {
  const moved = [...parameters].filter(({ requiresGrad }) => requiresGrad);
  if (moved.some((parameter) => CLAIMED.has(parameter))) {
    const text = "the network is being trained by another run: wait for its end, or train a network of its own";
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const taken = logs.findIndex((log) => CLAIMED.has(log));
  if (taken >= 0) throw argumentError(`logs[${taken}]`, "another run writes it: give each run its own");
  const own = [...moved, ...logs];
  for (const one of own) CLAIMED.add(one);
  return () => {
    for (const one of own) CLAIMED.delete(one);
  };
}

/** A snapshot of the modules and parameters that some networks consist of, to detect later changes. */
export class Layout {
  readonly #parts: ReadonlyMap<string, Module | Parameter>;
  readonly #modules: readonly Module[];
  readonly #held: readonly unknown[];

  constructor(private readonly networks: Readonly<Record<string, Module>>) {
    this.#parts = partsOf(networks);
    this.#modules = [...this.#parts.values()].filter((part) => part instanceof Module);
    this.#held = heldBy(this.#modules);
  }

  /**
   * How a module or parameter has changed since the snapshot: `student: its fc1 was taken out`; null if nothing has.
   */
  change(): string | null {
    // Called twice per epoch: paths are built only if something differs.
    const held = heldBy(this.#modules);
    if (held.length === this.#held.length && held.every((part, i) => part === this.#held[i])) return null;
    const now = partsOf(this.networks);
    for (const [path, part] of this.#parts) {
      if (now.get(path) !== part) return describeChange(path, now.has(path) ? "was replaced" : "was taken out");
    }
    const added = [...now.keys()].find((path) => !this.#parts.has(path));
    return added === undefined ? null : describeChange(added, "was added");
  }
}

function describeChange(path: string, what: string): string {
  const [network = "", ...rest] = path.split(".");
  return `${network}: its ${rest.join(".")} ${what}`;
}

/** The modules and parameters that the properties of some modules hold, directly or in lists. */
function heldBy(modules: readonly Module[]): unknown[] {
  const isPart = (value: unknown) => value instanceof Module || value instanceof Parameter;
  return modules.flatMap((module) => Object.values(module).flat().filter(isPart));
}

function partsOf(networks: Readonly<Record<string, Module>>): Map<string, Module | Parameter> {
  const parts = new Map<string, Module | Parameter>();
  for (const [name, network] of Object.entries(networks)) {
    for (const [path, part] of [...network.namedModules({ removeDuplicate: false }), ...network.namedParameters()])
      parts.set(path === "" ? name : `${name}.${path}`, part);
  }
  return parts;
}

/** The error for a network whose layers are no longer those that the run trains. */
export function changed(change: string, cause?: unknown): DistilleryError {
  const text = `${change} while it was trained: change a network before the run, or after it`;
  return new DistilleryError("BAD_ARGUMENT", text, { cause });
}
