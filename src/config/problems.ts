import { closestMatch } from "leven";
import * as v from "valibot";
import { show } from "../checks.js";

/** A mistake in a configuration: where, and what is wrong. */
export interface Problem {
  /** Such as `["augment", "shift"]`; empty for the whole. */
  path: readonly string[];
  text: string;
}

/** A schema of options by their names. */
export type ObjectSchema = v.GenericSchema & { readonly entries: Readonly<Record<string, v.GenericSchema>> };

/** Every mistake in a value, in the order of its keys; none where it fits the schema. */
export function problemsOf(schema: ObjectSchema, value: unknown): Problem[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [{ path: [], text: `expected options by their names, got ${show(value)}` }];
  }
  const { issues = [] } = v.safeParse(schema, value);
  const wrong = new Map<string, Problem>();
  for (const { path = [], message, expected } of issues) {
    const keys = path.map(({ key }) => String(key));
    // The schema tells of the first unknown name alone, and takes those that every object has for known.
    if (expected !== "never" && !wrong.has(keys.join())) wrong.set(keys.join(), { path: keys, text: message });
  }
  return [...wrong.values(), ...unknownKeys(schema, value, [])];
}

function unknownKeys(schema: v.GenericSchema, value: unknown, path: readonly string[]): Problem[] {
  if (typeof value !== "object" || value === null || !("entries" in schema)) return [];
  const { entries } = schema as ObjectSchema;
  return Object.entries(value).flatMap(([key, inner]) => {
    const field = Object.hasOwn(entries, key) ? entries[key] : undefined;
    if (field === undefined)
      return [{ path: [...path, key], text: `unknown option${advice(key, Object.keys(entries))}` }];
    return unknownKeys(innermost(field, inner), inner, [...path, key]);
  });
}

/** The schema behind what makes it optional or looks at the value first. */
function innermost(schema: v.GenericSchema, value: unknown): v.GenericSchema {
  if ("wrapped" in schema) return innermost(schema.wrapped as v.GenericSchema, value);
  if ("getter" in schema) return innermost((schema.getter as (input: unknown) => v.GenericSchema)(value), value);
  return schema;
}

function advice(key: string, names: string[]): string {
  const nearest = closestMatch(key, names, { maxDistance: Math.ceil(key.length / 3) });
  return nearest === undefined ? "" : `, did you mean ${nearest}?`;
}
