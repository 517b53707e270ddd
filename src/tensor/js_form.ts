/** How many rows of a matrix lie side by side in an exported module: what a product computes at a time. */
export const PANEL = 8;

/**
 * A function that exported modules carry if something in them calls it: its name, its source and the functions that it
 * calls.
 */
export interface JsFunction {
  readonly name: string;
  readonly source: string;
  readonly calls?: readonly JsFunction[];
}

/** A call of an operation for one sample; `A` are its attributes. Values are flat arrays of numbers, row by row. */
export interface JsStep<A> {
  /** The expressions of its inputs, and their shapes. */
  readonly inputs: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  /** Of each input, whether its first length follows the number of samples. */
  readonly isBatch: readonly boolean[];
  readonly attributes: A;
  /** The output's shape. */
  readonly shape: readonly number[];
}

/** What the JavaScript of an operation may ask of the module that it is in. */
export interface JsBuilder {
  /** The function, which the module then has; gives the call with these arguments. */
  call(callee: JsFunction, ...args: (string | number)[]): string;
  /**
   * A matrix by panels: some rows at a time, those of a column side by side; the last panel may have fewer
   * rows. A constant that nothing else reads is stored so.
   */
  panels(matrix: string, columns: number): string;
  /** A list of numbers, which the module names and keeps. */
  list(name: string, values: readonly number[]): string;
  /** The error that says why the network can't be a module: throw it. */
  refusal(reason: string): Error;
}
