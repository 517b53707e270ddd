import { homedir } from "node:os";
import * as v from "valibot";
import { argumentError, expectOptions, integerRange, MAX_LENGTH, RANGES, showValue } from "../checks.js";

/** The message of a value that is not what was expected. */
export const expected =
  (what: string) =>
  ({ input }: { input: unknown }): string =>
    `expected ${what}, got ${showValue(input)}`;

/** The message of an object, whose fields valibot would call keys. */
export const needed = ({ expected: wanted, received }: { expected: string | null; received: string }): string =>
  wanted === "Object" ? `expected an object, got ${received}` : "needed";

/** A text that is not empty. */
export function text(what: string) {
  const message = expected(what);
  return v.pipe(
    v.string(message),
    v.nonEmpty(message),
    v.check((value) => !value.includes("\0"), message),
  );
}

/** Replaces `~` at the start of a path by the home folder, as a shell does. */
export const atHome = <T>(given: T) =>
  typeof given === "string" && /^~(?=\/|$)/.test(given) ? homedir() + given.slice(1) : given;
/** A path, `~` expanded. */
export const path = (what: string) => v.pipe(text(what), v.transform(atHome));

/** A whole number from `min` to `max`. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER) {
  const message = ({ input }: { input: unknown }) =>
    expected(`a whole number ${integerRange(min, max, input)}`)({ input });
  return v.pipe(v.number(message), v.safeInteger(message), v.minValue(min, message), v.maxValue(max, message));
}

/** A count of what an array holds: a whole number from 1 to 2^31 - 1. */
export const length = () => integer(1, MAX_LENGTH);

/** Any number but NaN and the infinities. */
export const finite = () => range(-Number.MAX_VALUE, Number.MAX_VALUE, RANGES.finite);

/** A finite number above 0. */
export function positive() {
  const message = expected(RANGES.positive);
  return v.pipe(v.number(message), v.finite(message), v.gtValue(0, message));
}

/** A finite number from `min` to `max`, described by `what`. */
export function range(min: number, max: number, what: string) {
  const message = expected(what);
  return v.pipe(v.number(message), v.finite(message), v.minValue(min, message), v.maxValue(max, message));
}

/** A finite number of at least 0. */
export const nonNegative = () => range(0, Number.MAX_VALUE, RANGES.atLeast0);
/** A number from 0 to 1. */
export const fraction = () => range(0, 1, RANGES.fraction);
/** A number above 0, up to 1. */
export const fractionAbove0 = () => range(Number.MIN_VALUE, 1, "a number above 0, up to 1");
/** A number from 0 to below 1. */
export const fractionBelow1 = () => range(0, 1 - Number.EPSILON, RANGES.fractionBelow1);
/** True or false. */
export const boolean = () => v.boolean(expected("true or false"));

/** One of the names. */
export function oneOf<const N extends readonly [string, ...string[]]>(names: N) {
  const quoted = names.map((name) => JSON.stringify(name));
  return v.picklist(names, expected(quoted.length === 2 ? quoted.join(" or ") : `one of ${quoted.join(", ")}`));
}

/** A list of at least `minLength` values; it may be read-only. */
export function list<S extends v.GenericSchema>(
  one: S,
  what: string,
  minLength = 1,
): v.GenericSchema<readonly v.InferInput<S>[], readonly v.InferOutput<S>[]> {
  const message = expected(what);
  return v.pipe(v.array(one, message), v.minLength(minLength, message));
}

/**
 * Options by their schemas, with the defaults; `undefined` counts as not given. `BAD_ARGUMENT` names the option; for an
 * unknown option it names `what`.
 */
export function parseOptions<E extends v.ObjectEntries>(
  what: string,
  schemas: E,
  options: object,
): v.InferOutput<v.ObjectSchema<E, undefined>> {
  expectOptions(what, options, Object.keys(schemas));
  const given = options as Readonly<Record<string, unknown>>;
  const parsed = Object.entries(schemas).map(([name, schema]) => {
    const { success, output, issues } = v.safeParse(schema, given[name]);
    if (success) return [name, output];
    const [{ path = [], message }] = issues;
    const place = path.map(({ key }) => `[${key}]`).join("");
    throw argumentError(`${name}${place}`, message);
  });
  return Object.fromEntries(parsed);
}

/** Adds the line that help texts and reference pages show for an option. */
export function described<S extends v.GenericSchema>(schema: S, text: string) {
  return v.pipe(schema, v.description<v.InferOutput<S>, string>(text));
}
