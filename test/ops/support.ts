import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { F, IntTensor, Module, noGrad, Tensor } from "../../src/index.js";
import * as ops from "../../src/ops/index.js";
import { Arena } from "../../src/tensor/buffer_pool.js";

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

/** A test in an arena, outside of which no call is put off. */
export function inArena<A extends unknown[]>(body: (...args: A) => void): (...args: A) => void {
  return (...args) => new Arena().run(() => body(...args));
}

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
  if ("int" in value || "float" in value) return load(value as Stored);
  if (Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, option]) => [name, argument(option)]));
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

/** The names of the operations that have cases. */
export const OPERATIONS = [...new Set(CASES.map(({ op }) => op))];

/** The networks of an operation's cases that give numbers, in eval mode, and the row that each reads. */
export function networksOf(name: string): { network: Computes; x: Tensor; text: string }[] {
  return CASES.flatMap((one) => {
    if (one.op !== name || !one.outputs.some((output) => "float" in output && output.float.length > 0)) return [];
    const inputs = inputsOf(one).filter((input) => input instanceof Tensor);
    const values = Float32Array.from(inputs.flatMap(({ data }) => [...data]));
    if (values.length === 0) return [];
    const text = `${inputs.map(({ shape }) => `[${shape}]`)} ${JSON.stringify(one.args)}`;
    return [{ network: new Computes(one, inputs).eval(), x: new Tensor(values, [1, values.length]), text }];
  });
}

/** Compares another backend's outputs with those of `forward`: a part of each number, or of the largest one. */
export function expectAsForward(
  got: ArrayLike<number>,
  { network, x, text }: ReturnType<typeof networksOf>[number],
): void {
  const expected = noGrad(() => network.forward(x)).data;
  expect(got.length, text).toBe(expected.length);
  const size = expected.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1e-3);
  for (const [i, x] of expected.entries()) {
    const isClose = Object.is(got[i], x) || Math.abs((got[i] as number) - x) <= 1e-6 * Math.max(size, Math.abs(x));
    expect(isClose, `${text} [${i}]: ${got[i]}, expected ${x}`).toBe(true);
  }
}

/** What the gradient of each element of the output is: PyTorch's script has the same. */
export function upstream(out: Tensor): Tensor {
  return new Tensor(
    Float32Array.from({ length: out.size }, (_, i) => ((i * 7) % 11) / 5 - 1),
    out.shape,
  );
}
