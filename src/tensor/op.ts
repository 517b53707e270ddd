import type { Barrier } from "./barrier.js";
import type { RowValues } from "./grad_rows.js";
import type { JsBuilder, JsStep } from "./js_form.js";
import type { OnnxBuilder, OnnxNode, OnnxStep } from "./onnx_node.js";
import type { Tensor } from "./tensor.js";

/** What an operation computed. */
export interface Result<S> {
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** What the backward pass needs besides inputs and output. */
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
 * @typeParam A its arguments besides the inputs: an axis, a probability.
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
  /** Where the backward pass waits for other shards of the batch, before `backward`. */
  barrier?(grad: Float32Array, call: Call<A, S>): Barrier;
  /**
   * Returns the gradient of one input, a matrix that is a leaf, as only the rows that are not zero; null: `backward`
   * writes it like all others.
   */
  backwardRows?(grad: Float32Array, call: Call<A, S>): GradRows | null;
  /**
   * The type of its ONNX node, or a function that makes the node; without it a network that uses it can't be exported.
   */
  readonly onnx?: string | ((step: OnnxStep<A>, builder: OnnxBuilder) => OnnxNode);
  /**
   * Its node for the native graph executor, for inputs of these shapes; a length that is not a number depends on the
   * batch. Without it, or if it returns null, TypeScript runs the network.
   */
  lower?(attributes: A, shapes: readonly (readonly unknown[])[]): LoweredNode | null;
  /** Its JavaScript expression in an exported module; without it a network that uses it can't become a module. */
  js?(step: JsStep<A>, builder: JsBuilder): string;
  /**
   * Whether the output may share the memory of the first input, like that of `reshape`: a change of the input then
   * counts as a change of the output.
   */
  readonly view?: boolean;
  /**
   * Whether the gradient of each input as large as the output is that of the output, element for element, as for
   * `reshape` and sums: then it is passed on without a copy.
   */
  readonly passesGradient?: boolean;
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
