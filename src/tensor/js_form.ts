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
  /** A matrix of so many columns, transposed. A constant that nothing else reads is stored so. */
  transposed(matrix: string, columns: number): string;
  /** Has WebAssembly's memory hold so many numbers at least, beside the weights. */
  room(numbers: number): void;
  /** A list of numbers, which the module names and keeps. */
  list(name: string, values: readonly number[]): string;
  /** The error that says why the network can't be a module: throw it. */
  refusal(reason: string): Error;
}
