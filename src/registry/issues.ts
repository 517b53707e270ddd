import * as v from "valibot";
import { show, suggestion } from "../checks.js";

/** A mistake in options: where, and what is wrong. */
export interface Issue {
  /** Such as `["augment", "shift"]`; empty for the whole. */
  readonly path: readonly string[];
  readonly text: string;
}

/** A schema of options by their names. */
export type ObjectSchema = v.GenericSchema & { readonly entries: Readonly<Record<string, v.GenericSchema>> };

/** Every mistake in a value, in the order of its keys; none if it fits the schema. `others` are names that are advised too. */
export function issuesOf(schema: ObjectSchema, value: unknown, others: readonly string[] = []): Issue[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [{ path: [], text: `expected options by their names, got ${show(value)}` }];
  }
  const { issues = [] } = v.safeParse(schema, value);
  const wrong = new Map<string, Issue>();
  for (const { path = [], message, expected } of issues) {
    const keys = path.map(({ key }) => String(key));
    // valibot reports the first unknown name only, and takes names that every object inherits for known ones.
    if (expected !== "never" && !wrong.has(keys.join())) wrong.set(keys.join(), { path: keys, text: message });
  }
  return [...wrong.values(), ...unknownKeys(schema, value, [], others)];
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
