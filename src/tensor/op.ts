import type { Barrier } from "./barrier.js";
import type { RowValues } from "./grad_rows.js";
import type { JsBuilder, JsStep } from "./js_form.js";
import type { OnnxBuilder, OnnxNode, OnnxStep } from "./onnx_node.js";
import type { Tensor } from "./tensor.js";

/** What an operation computed. */
export interface Result<S> {
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** What the backward pass needs beside inputs and output. */
  readonly saved: S;
}

/** A call of an operation, for its backward pass. */
export interface Call<A, S> {
  readonly inputs: readonly Tensor[];
  readonly attributes: A;
  /** The values of the output. */
  readonly output: Float32Array;
  readonly saved: S;
}

/** The rows of a matrix's gradient that are not zero. */
export interface GradRows extends RowValues {
  /** The index of the input. */
  readonly input: number;
}

/** A node of the native graph executor: what it runs, and with which numbers. */
export type LoweredNode = Readonly<Record<string, unknown>> & { readonly kind: string };

/**
 * An operation, as {@link defineOp} takes it.
 *
 * @typeParam A what it is called with beside its inputs: an axis, a chance.
 * @typeParam S what `forward` keeps for `backward`.
 */
export interface Op<A = unknown, S = unknown> {
  readonly name: string;
  /** Computes the output from the inputs. Arguments are checked here or before. */
  forward(inputs: readonly Tensor[], attributes: A): Result<S>;
  /**
   * Writes the gradient of each input into `into`, null if an input requires none, from the gradient of the output.
   * What `into` holds before does not matter. An operation without it passes no gradient on.
   */
  backward?(grad: Float32Array, into: readonly (Float32Array | null)[], call: Call<A, S>): void;
  /** Where the backward pass waits for other parts of the batch, ahead of `backward`. */
  barrier?(grad: Float32Array, call: Call<A, S>): Barrier;
  /**
   * Gives the gradient of one input, a matrix that is no result, by the rows of it that are not zero alone; null:
   * `backward` writes it as all others.
   */
  backwardRows?(grad: Float32Array, call: Call<A, S>): GradRows | null;
  /** The type of its ONNX node, or a function that makes the node; without it a network of it can't be exported. */
  readonly onnx?: string | ((step: OnnxStep<A>, builder: OnnxBuilder) => OnnxNode);
  /**
   * Its node for the native graph executor, for inputs of these shapes: a length that is no number follows the batch.
   * Without it, or if it gives null, TypeScript runs the network.
   */
  lower?(attributes: A, shapes: readonly (readonly unknown[])[]): LoweredNode | null;
  /** Its JavaScript in an exported module, an expression; without it a network of it can't become one. */
  js?(step: JsStep<A>, builder: JsBuilder): string;
  /**
   * Whether the output may be memory of the first input, as that of `reshape`: what changes the input counts as a
   * change of it.
   */
  readonly view?: boolean;
  /** Whether it draws random numbers. */
  readonly random?: boolean;
}

/** An operation of any attributes, as graphs and chains hold it. */
// biome-ignore lint/suspicious/noExplicitAny: an operation of some attributes is none of `unknown` ones.
export type AnyOp = Op<any, any>;

/** An operation as `defineOp` gives it. */
export interface Defined {
  readonly op: AnyOp;
}
