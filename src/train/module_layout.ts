import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import type { Parameter, Tensor } from "../tensor/tensor.js";

/** The parameters that some run moves. */
const CLAIMED = new WeakSet<Tensor>();

/** Makes parameters a run's own until what it gives is called; refuses those that another run moves at the same time. */
export function claim(parameters: ReadonlySet<Tensor>): () => void {
  const moved = [...parameters].filter(({ requiresGrad }) => requiresGrad);
  if (moved.some((parameter) => CLAIMED.has(parameter))) {
    const text = "the network is being trained by another run: wait for its end, or train a network of its own";
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  for (const parameter of moved) CLAIMED.add(parameter);
  return () => {
    for (const parameter of moved) CLAIMED.delete(parameter);
  };
}

/** Which modules and parameters some networks are made of, as they are now: to tell later whether that has changed. */
export class Layout {
  readonly #parts: ReadonlyMap<string, Module | Parameter>;

  constructor(private readonly networks: Readonly<Record<string, Module>>) {
    this.#parts = partsOf(networks);
  }

  /** What has become of a module or parameter since then: `student: its fc1 was taken out`; null if all is as it was. */
  change(): string | null {
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

function partsOf(networks: Readonly<Record<string, Module>>): Map<string, Module | Parameter> {
  const parts = new Map<string, Module | Parameter>();
  const add = (module: Module, path: string) => {
    parts.set(path, module);
    for (const [name, child] of module.namedChildren()) add(child, `${path}.${name}`);
  };
  for (const [name, network] of Object.entries(networks)) {
    add(network, name);
    for (const [path, parameter] of network.namedParameters()) parts.set(`${name}.${path}`, parameter);
  }
  return parts;
}

/** The error of a network whose layers are others than those that the run trains. */
export function changed(change: string, cause?: unknown): DistilleryError {
  const text = `${change} while it was trained: change a network before the run, or after it`;
  return new DistilleryError("BAD_ARGUMENT", text, { cause });
}
