import { extname } from "node:path";
import { types } from "node:util";
import leven, { closestMatch } from "leven";
import { DistilleryError, type ErrorCode } from "./errors.js";

/** An error about an argument: `BAD_ARGUMENT` unless another code is given. */
export function argumentError(
  argument: string,
  problem: string,
  { code = "BAD_ARGUMENT", ...options }: { code?: ErrorCode; cause?: unknown } = {},
): DistilleryError {
  return new DistilleryError(code, `${argument}: ${problem}`, { argument, ...options });
}

/** If an error is about the argument `from`, the same error about `to`; otherwise the error unchanged. */
export function renamed(error: unknown, from: string, to: string): unknown {
  const argument = error instanceof DistilleryError ? error.argument : null;
  if (!argument?.startsWith(from) || /^\w/.test(argument.slice(from.length))) return error;
  const { code, message } = error as DistilleryError;
  const text = to + message.slice(from.length);
  return new DistilleryError(code, text, { argument: to + argument.slice(from.length), cause: error });
}

/** A `BAD_ARGUMENT` error that says what was expected of an argument, and what came. */
export function badArgument(name: string, expected: string, got: unknown): DistilleryError {
  return argumentError(name, `expected ${expected}, got ${showValue(got)}`);
}

/** A `BAD_DTYPE` error that says which type was expected of an argument, and what came. */
export function badDtype(name: string, expected: string, got: unknown): DistilleryError {
  return argumentError(name, `expected ${expected}, got ${showValue(got)}`, { code: "BAD_DTYPE" });
}

/** A `LABEL_OUT_OF_RANGE` error that says what came instead of a class. */
export function outOfRange(name: string, classes: number, got: unknown): DistilleryError {
  const text = `expected a class from 0 to ${classes - 1}, got ${show(got)}`;
  return argumentError(name, text, { code: "LABEL_OUT_OF_RANGE" });
}

/** Returns a whole number in [min, max]; throws a `BAD_ARGUMENT` that names the argument otherwise. */
export function expectInteger(name: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw badArgument(name, `a whole number ${integerRange(min, max, value)}`, value);
}

/** The range that a whole number is expected to be in. The upper end is left out unless the value exceeds it. */
export function integerRange(min: number, max: number, value: unknown): string {
  const isShort =
    max === Number.MAX_SAFE_INTEGER && !(typeof value === "number" && Number.isInteger(value) && value > max);
  return isShort ? `of at least ${min}` : `from ${min} to ${max}`;
}

/** The maximum number of elements along an axis, or in a typed array. */
export const MAX_LENGTH = 2 ** 31 - 1;

/**
 * Returns a number of elements, a whole number from 1 to 2^31 - 1; throws a `BAD_ARGUMENT` that names the argument
 * otherwise.
 */
export function expectLength(name: string, value: unknown): number {
  return expectInteger(name, value, 1, MAX_LENGTH);
}

/**
 * Returns a finite number for which `ok` holds; throws a `BAD_ARGUMENT` with the argument's name and `expected`
 * otherwise.
 */
export function expectNumber(name: string, value: unknown, ok: (x: number) => boolean, expected: string): number {
  if (typeof value === "number" && Number.isFinite(value) && ok(value)) return value;
  throw badArgument(name, expected, value);
}

/** How errors describe the numbers that are expected. */
export const RANGES = {
  finite: "a finite number",
  atLeast0: "a number of at least 0",
  positive: "a number above 0",
  fraction: "a number from 0 to 1",
  fractionBelow1: "a number from 0 to below 1",
} as const;

/** Returns a finite number; throws a `BAD_ARGUMENT` that names the argument otherwise. */
export function expectFinite(name: string, value: unknown): number {
  return expectNumber(name, value, () => true, RANGES.finite);
}

/** Returns a finite number of at least 0; throws a `BAD_ARGUMENT` that names the argument otherwise. */
export function expectAtLeast0(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x >= 0, RANGES.atLeast0);
}

/** What is wrong with the weights of a sum that trains nothing. */
export const ALL_ZERO = "expected at least one other than 0: the loss is always 0";

/** Refuses weights that are all 0. */
export function expectSomeWeight(weights: Readonly<Record<string, number>>): void {
  if (Object.values(weights).some((weight) => weight !== 0)) return;
  throw argumentError(Object.keys(weights).join(", "), ALL_ZERO);
}

/** Returns a finite number above 0; throws a `BAD_ARGUMENT` that names the argument otherwise. */
export function expectPositive(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x > 0, RANGES.positive);
}

/** Returns a number from 0 to 1; throws a `BAD_ARGUMENT` that names the argument otherwise. */
export function expectFraction(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x >= 0 && x <= 1, RANGES.fraction);
}

/** Returns a number in [0, 1); throws a `BAD_ARGUMENT` that names the argument otherwise. */
export function expectFractionBelow1(name: string, value: unknown): number {
  return expectNumber(name, value, (x) => x >= 0 && x < 1, RANGES.fractionBelow1);
}

/** Refuses options that are neither true nor false. */
export function expectFlags(flags: Record<string, unknown>): void {
  // No array of entries is allocated: optimizers call this at each step.
  for (const name in flags) if (typeof flags[name] !== "boolean") throw badArgument(name, "true or false", flags[name]);
}

/** Whether a value is one of the names. */
export function isOneOf<N>(names: readonly N[], value: unknown): value is N {
  return (names as readonly unknown[]).includes(value);
}

/** Returns one of the names; throws a `BAD_ARGUMENT` with the argument and the nearest name otherwise. */
export function expectOneOf<N extends string>(name: string, value: unknown, names: readonly N[]): N {
  if (isOneOf(names, value)) return value;
  const advice = typeof value === "string" ? suggestion(value, names) : "";
  const quoted = names.map((known) => show(known)).join(" or ");
  throw argumentError(name, `expected ${quoted}, got ${show(value)}${advice}`);
}

/** Refuses what can't stop a computation; `undefined` counts as not given. */
export function expectSignal(signal: unknown): void {
  // One of another realm, such as a test environment's, is no instance of this one's class.
  const isSignal = hasMethods(signal, "addEventListener", "removeEventListener") && "aborted" in Object(signal);
  if (signal !== undefined && !isSignal) throw badArgument("signal", "an AbortSignal", signal);
}

/** Whether a value has these methods. */
export function hasMethods(value: unknown, ...methods: string[]): boolean {
  return methods.every((name) => typeof (Object(value) as Record<string, unknown>)[name] === "function");
}

/** Checks a path that was passed as an argument. */
export function expectPath(name: string, path: unknown, expected = "the name of a file"): string {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return path;
  throw badArgument(name, expected, path);
}

/** Returns the lower-case extension of a file name if it is one of those given; throws `BAD_ARGUMENT` otherwise. */
export function expectExtension<E extends string>(name: string, file: unknown, extensions: readonly E[]): E {
  const expected = `a name that ends in ${extensions.join(" or ")}`;
  const extension = extname(expectPath(name, file, expected)).toLowerCase();
  const found = extensions.find((known) => known === extension);
  if (found !== undefined) return found;
  throw badArgument(name, expected, file);
}

/**
 * Returns what the body of a function returned. Throws `BAD_ARGUMENT` for a promise, since the function ends at the
 * body's first `await`.
 */
export function expectSync<T>(name: string, result: T): T {
  if (!types.isPromise(result)) return result;
  result.catch(() => {});
  throw isAsync(name);
}

/** Refuses an `async` body. A body that returns a promise in another way, such as that of a run, is accepted. */
export function expectNotAsync(name: string, body: unknown): void {
  if (types.isAsyncFunction(body)) throw isAsync(name);
}

function isAsync(name: string): DistilleryError {
  const text = `expected a function that is not async: await outside of ${name}, which ends at the first await`;
  return argumentError("body", text);
}

/**
 * Checks a shape against the expected one, in which -1 stands for any length; throws `SHAPE_MISMATCH` if it differs.
 */
export function expectShape(name: string, got: readonly number[], expected: readonly number[]): void {
  let isAlike = got.length === expected.length;
  // A loop instead of `every`: all operations call this.
  for (let i = 0; isAlike && i < expected.length; i++) isAlike = expected[i] === -1 || expected[i] === got[i];
  if (isAlike) return;
  const wanted = expected.map((n) => (n === -1 ? "*" : n)).join(", ");
  const text = `expected shape [${wanted}], got [${got.join(", ")}]`;
  throw argumentError(name, text, { code: "SHAPE_MISMATCH" });
}

/** Returns a list whose items are as `expected` says; throws a `BAD_ARGUMENT` that names the argument otherwise. */
export function expectList<T>(name: string, value: readonly T[], expected = "a list of whole numbers"): readonly T[] {
  // Array methods would skip holes.
  if (Array.isArray(value) && !value.includes(undefined)) return value;
  throw badArgument(name, expected, value);
}

/** A list of whole, non-negative lengths. */
export function expectDimensions(name: string, shape: unknown): readonly number[] {
  if (!Array.isArray(shape)) throw badArgument(name, "a list of lengths", shape);
  // Runs at each step: the name of a length is built for the message only.
  for (let i = 0; i < shape.length; i++) {
    const length = shape[i];
    if (!(Number.isInteger(length) && length >= 0 && length <= MAX_LENGTH))
      expectInteger(`${name}[${i}]`, length, 0, MAX_LENGTH);
  }
  return shape;
}

/** A `BAD_ARGUMENT` error about something that is too large for an array. */
export class TooManyElements extends DistilleryError {}

/** Refuses a shape with more elements than an array can hold. */
export function expectElements(name: string, shape: readonly number[]): void {
  const count = shape.reduce((product, length) => product * length, 1);
  if (count < 2 ** 31) return;
  const text = `${name}: expected fewer than 2^31 elements, got ${count} of [${shape.join(", ")}]`;
  throw new TooManyElements("BAD_ARGUMENT", text);
}

/** How errors show a value: short, with its type. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value);
  if (types.isPromise(value)) {
    // Nobody awaits a refused promise. If it rejects, the refusal is enough.
    value.catch(() => {});
    return "a promise";
  }
  if (typeof value === "object" && value !== null) return `a value of type ${typeName(value)}`;
  if (typeof value === "function") return "a function";
  return typeof value === "bigint" ? `${value}n` : String(value);
}

function typeName(value: object): string {
  try {
    // JSON may have a "constructor" of its own.
    const name: unknown = value.constructor?.name;
    return typeof name === "string" ? name.slice(0, 60) : "Object";
  } catch {
    // A proxy may refuse to be read.
    return "Object";
  }
}

/** How errors show a value that may be a short list: `[4, "a"]`. */
export function showValue(value: unknown): string {
  // `Array.isArray` throws for a revoked proxy.
  if (types.isProxy(value) || !Array.isArray(value)) return show(value);
  if (value.length === 0) return "an empty list";
  return value.length > 8 ? `a list of ${value.length}` : `[${value.map(show).join(", ")}]`;
}

/** How errors list texts: the first few, quoted. */
export function showList(texts: readonly string[], most = 5): string {
  const shown = texts.slice(0, most).map((text) => show(text));
  return texts.length > most ? `${shown.join(", ")} and ${texts.length - most} more` : shown.join(", ");
}

/** The options, with defaults in place of those that are missing or `undefined`. */
export function withDefaults<O extends object, D extends Partial<O>>(
  defaults: D,
  options: O,
): O & Required<Pick<O, keyof D & keyof O>> {
  expectObject("options", options);
  const all: Record<string, unknown> = { ...defaults };
  // A loop: losses call this at each step.
  for (const [name, value] of Object.entries(options)) if (value !== undefined) all[name] = value;
  return all as O & Required<Pick<O, keyof D & keyof O>>;
}

/** {@link withDefaults} that accepts only the names in `defaults` and `more`. */
export function optionsOf<O extends object, D extends Partial<O>>(
  name: string,
  defaults: D,
  options: O,
  more: readonly (keyof O & string)[] = [],
) {
  expectOptions(name, options, [...more, ...Object.keys(defaults)]);
  return withDefaults(defaults, options);
}

/** The same properties, each of which may be left out or undefined. */
export type Optional<T> = { [K in keyof T]?: T[K] | undefined };

/** Refuses options that do not exist, and suggests the nearest name; `undefined` counts as not given. */
export function expectOptions(what: string, options: object, names: readonly string[]): void {
  expectObject(what, options);
  // No array of entries is allocated: layers and losses call this at each step.
  for (const name in options) {
    if (names.includes(name) || !Object.hasOwn(options, name)) continue;
    if ((options as Record<string, unknown>)[name] === undefined) continue;
    if (!isPlain(options)) throw badArgument(what, "options by their names", options);
    const known = names.length === 0 ? "it takes none" : `expected one of ${names.join(", ")}`;
    throw argumentError(what, `unknown option ${show(name)}${suggestion(name, names) || `, ${known}`}`);
  }
}

/** Whether an object is one of named values, and of no class, such as a tensor's. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of another realm, too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether a value is an object of named values, and not an array. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns an object of options; throws a `BAD_ARGUMENT` that names the function otherwise. */
export function expectObject(what: string, options: unknown): void {
  if (isObject(options)) return;
  throw badArgument(what, "options by their names", options);
}

/** Names that other libraries give to an option. */
const OTHERS: Readonly<Record<string, string>> = { learningrate: "lr", tau: "temperature", randomstate: "seed" };

/** `, did you mean NAME?` with the nearest of the names; empty if none is near. */
export function suggestion(name: string, names: readonly string[]): string {
  const meant = OTHERS[name.toLowerCase().replaceAll(/[_-]/g, "")];
  const near = meant !== undefined && names.includes(meant) ? meant : nearest(name, names);
  return near === undefined ? "" : `, did you mean ${near}?`;
}

/** The nearest of the names, if one is near. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const beginning = names.filter((known) => name.length >= 3 && known.startsWith(name));
  if (beginning.length === 1) return beginning[0];
  const near = closestMatch(name, [...names], { maxDistance: Math.ceil(name.length / 3) });
  if (near !== undefined && leven(near, name) < 2) return near;
  // Two swapped letters have a distance of 2, like two wrong ones.
  const letters = (text: string) => [...text].sort().join("");
  return names.find((known) => letters(known) === letters(name)) ?? near;
}
