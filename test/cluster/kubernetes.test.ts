import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";

interface Schema {
  type?: string | string[];
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, Schema | true>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  oneOf?: Schema[];
}

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const manifest = () => parse(read("../../examples/cluster/job.yaml"));
const SCHEMA: Schema = JSON.parse(read("job_schema.json"));

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

/** What is wrong by a JSON schema, as far as that of Kubernetes goes. */
function problems(schema: Schema | true, value: unknown, at = ""): string[] {
  if (schema === true) return [];
  if (schema.oneOf && schema.oneOf.filter((one) => problems(one, value, at).length === 0).length !== 1) return [at];
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.includes(typeOf(value))) return [`${at}: expected ${types}, got ${typeOf(value)}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${at}: ${value} is none of ${schema.enum}`];
  if (Array.isArray(value)) return value.flatMap((one, i) => problems(schema.items ?? true, one, `${at}[${i}]`));
  if (typeof value !== "object" || value === null) return [];
  const missing = (schema.required ?? []).filter((name) => !(name in value)).map((name) => `${at}.${name}: missing`);
  const { properties = {}, additionalProperties: more = true } = schema;
  return [
    ...missing,
    ...Object.entries(value).flatMap(([name, own]) => {
      if (Object.hasOwn(properties, name)) return problems(properties[name], own, `${at}.${name}`);
      return more === false ? [`${at}.${name}: unknown`] : problems(more, own, `${at}.${name}`);
    }),
  ];
}

test("the Job of Kubernetes is valid by its published schema, which refuses mistakes", () => {
  expect(problems(SCHEMA, manifest())).toEqual([]);
  const wrong = manifest();
  wrong.spec.completion = 4;
  wrong.spec.completions = "4";
  wrong.spec.podFailurePolicy.rules[0].onExitCodes.values = ["2"];
  delete wrong.spec.template.spec.containers[0].name;
  expect(problems(SCHEMA, wrong)).toEqual([
    expect.stringMatching(/^\.spec\.completions: expected integer(,null)?, got string$/),
    ".spec.podFailurePolicy.rules[0].onExitCodes.values[0]: expected integer,null, got string",
    ".spec.template.spec.containers[0].name: missing",
    ".spec.completion: unknown",
  ]);
});

test("it tells each pod how many there are, and ends at the codes that another try does not mend", () => {
  const { spec } = manifest();
  const [container] = spec.template.spec.containers;
  expect(container.env).toEqual([{ name: "JOB_COMPLETIONS", value: String(spec.completions) }]);
  const codes = spec.podFailurePolicy.rules.flatMap((rule: { action: string; onExitCodes?: { values: number[] } }) =>
    (rule.onExitCodes?.values ?? []).map((value) => [value, rule.action]),
  );
  expect(codes).toEqual([
    [2, "FailJob"],
    [78, "FailJob"],
    [75, "Ignore"],
  ]);
});
