import * as v from "valibot";
import { argumentError, isObject, show, suggestion } from "../checks.js";
import type { DistilleryError } from "../errors.js";

/** A mistake in options: where, and what is wrong. */
export interface Issue {
  /** Such as `["augment", "shift"]`; empty for the whole. */
  readonly path: readonly string[];
  readonly text: string;
}

/** A schema of options by their names. */
export type ObjectSchema = v.GenericSchema & { readonly entries: Readonly<Record<string, v.GenericSchema>> };

/**
 * Every mistake in a value, in the order of its keys; empty if it fits the schema. `others` are further names that may
 * be suggested for an unknown one.
 */
export function issuesOf(schema: ObjectSchema, value: unknown, others: readonly string[] = []): Issue[] {
  if (!isObject(value)) {
    return [{ path: [], text: `expected options by their names, got ${show(value)}` }];
  }
  const { issues = [] } = v.safeParse(schema, value);
  const wrong = new Map<string, Issue>();
  for (const { path = [], message, type, expected } of issues) {
    const keys = path.map(({ key }) => String(key));
    // valibot reports only the first unknown name, and accepts names that every object inherits, such as toString.
    const isUnknown = type === "strict_object" && expected === "never";
    if (!isUnknown && !wrong.has(keys.join())) wrong.set(keys.join(), { path: keys, text: message });
  }
  return [...wrong.values(), ...unknownKeys(schema, value, [], others)];
}

/** The error that lists mistakes in options: `lr: expected a number above 0, got -1; mean[1]: ...`. */
export function issuesError(issues: readonly Issue[]): DistilleryError {
  const [argument = "", ...others] = issues.map((issue) => placeOf(issue) || "options");
  const more = others.map((name, i) => `; ${name}: ${issues[i + 1]?.text}`).join("");
  return argumentError(argument, `${issues[0]?.text}${more}`);
}

/** Where a mistake is: `mean[1]`. */
export function placeOf({ path }: Issue): string {
  return path.join(".").replaceAll(/\.(\d+)/g, "[$1]");
}

function unknownKeys(
  schema: v.GenericSchema,
  value: unknown,
  path: readonly string[],
  others: readonly string[] = [],
): Issue[] {
  if (typeof value !== "object" || value === null || !("entries" in schema)) return [];
  const { entries } = schema as ObjectSchema;
  return Object.entries(value).flatMap(([key, inner]) => {
    const field = Object.hasOwn(entries, key) ? entries[key] : undefined;
    if (field === undefined) {
      const names = [...others.filter((name) => name !== key), ...Object.keys(entries)];
      return [{ path: [...path, key], text: `unknown option${suggestion(key, names)}` }];
    }
    return unknownKeys(innermost(field, inner), inner, [...path, key]);
  });
}

/** The schema inside `optional`, `nullable` and `lazy`. */
function innermost(schema: v.GenericSchema, value: unknown): v.GenericSchema {
  if ("wrapped" in schema) return innermost(schema.wrapped as v.GenericSchema, value);
  if ("getter" in schema) return innermost((schema.getter as (input: unknown) => v.GenericSchema)(value), value);
  return schema;
}
