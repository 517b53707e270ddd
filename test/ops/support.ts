import { readFileSync } from "node:fs";
import { F, IntTensor, Module, Tensor } from "../../src/index.js";
import * as ops from "../../src/ops/index.js";

/** An array of a fixture: floats, some of them in words that JSON lacks, or whole numbers. */
type Stored =
  | { readonly float: readonly (number | string)[]; readonly shape: readonly number[] }
  | { readonly int: readonly number[]; readonly shape: readonly number[] };

/** A call of an operation, with PyTorch's outputs and gradients. */
export interface Case {
  readonly op: string;
  readonly inputs: readonly Stored[];
  readonly args: readonly unknown[];
  readonly outputs: readonly Stored[];
  readonly grads?: readonly ((number | string)[] | null)[];
  /** The gradient jumps here: finite differences say nothing. */
  readonly kink?: boolean;
  /** The inputs are one argument. */
  readonly list?: boolean;
  /** The first of the further arguments comes before the inputs. */
  readonly first?: boolean;
  /** The inputs but the first come after the further arguments. */
  readonly last?: boolean;
}

export const CASES = JSON.parse(
  readFileSync(new URL("fixtures/operations.json", import.meta.url), "utf8"),
) as readonly Case[];

/** The values of a stored array. */
export const numbers = (stored: readonly (number | string)[]): number[] => stored.map(Number);

/** A stored array as a tensor. */
export function load(stored: Stored, requiresGrad = false): Tensor | IntTensor {
  if ("int" in stored) return new IntTensor(Int32Array.from(stored.int), stored.shape);
  return new Tensor(Float32Array.from(numbers(stored.float)), stored.shape, { requiresGrad });
}

/** The inputs of a case, which ask for gradients. */
export const inputsOf = ({ inputs }: Case): Tensor[] => inputs.map((input) => load(input, true) as Tensor);

/** Calls a case's operation; its outputs as a list. */
export function call({ op, args, list, first, last }: Case, inputs: readonly Tensor[]): (Tensor | IntTensor)[] {
  const f = (ops as unknown as Record<string, (...args: unknown[]) => unknown>)[op];
  if (f === undefined) throw new Error(`${op} is no operation of src/ops/index.ts`);
  const rest = args.map(argument);
  const before = first ? rest.splice(0, 1) : [];
  const after = last ? inputs.slice(1) : [];
  const result = f(...before, ...(list ? [inputs] : last ? inputs.slice(0, 1) : inputs), ...rest, ...after);
  if (result instanceof Tensor || result instanceof IntTensor) return [result];
  return Object.values(result as Record<string, Tensor | IntTensor>);
}

function argument(value: unknown): unknown {
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "undefined") return undefined;
  if (typeof value !== "object" || value === null) return value;
  return "int" in value || "float" in value ? load(value as Stored) : value;
}

/** The operations that give whole numbers: no node of a graph. */
export const GIVE_INTEGERS = ["eq", "ne", "gt", "ge", "lt", "le", "argmax", "argmin", "oneHot"];

/** Computes a case: a row of the input is all of its tensors one after the other. */
export class Computes extends Module {
  constructor(
    readonly one: Case,
    readonly inputs: readonly Tensor[],
  ) {
    super();
  }

  override forward(x: Tensor): Tensor {
    const all = x.sum(0, true);
    let at = 0;
    const parts = this.inputs.map(({ size, shape }) => {
      at += size;
      return all.slice(at - size, at, { dim: 1 }).reshape(shape);
    });
    const outputs = call(this.one, parts).filter((output) => output instanceof Tensor);
    const flat = outputs.map((output) => output.reshape([1, output.size]));
    // In train mode, masks are drawn before and after other nodes.
    const [first, ...rest] = flat.map((output) => F.dropout(output, 0.3, this.training));
    return rest.reduce((joined, output) => F.dropout(joined, 0.2, this.training).add(output.sum()), first);
  }
}

/** What the gradient of each element of the output is: PyTorch's script has the same. */
export function upstream(out: Tensor): Tensor {
  return new Tensor(
    Float32Array.from({ length: out.size }, (_, i) => ((i * 7) % 11) / 5 - 1),
    out.shape,
  );
}
