import { argumentError, isObject, show, showValue } from "../checks.js";
import { isModulePath, KEYWORDS, matchesAll, NUMBER, PATH, Parser, type Term, type Weight, WORD } from "./parser.js";

/** A term as YAML, JSON and programs write it: `{ name: "kd", weight: 0.9, temperature: 4 }`. */
export interface StructuredTerm {
  readonly name: string;
  readonly weight?: Weight;
  readonly [argument: string]: unknown;
}

/** Text, a structured term, or a list of both, which means their sum. */
export type Expression = string | StructuredTerm | readonly (string | StructuredTerm)[];

/** Keys of a structured term that are no arguments. */
export const RESERVED = ["name", "weight"] as const;

/**
 * Parses an expression into its terms. It may be text, a structured term, or a list of both.
 *
 * ```text
 * expression = term { "+" term }
 * term       = [ weight "*" ] name [ "(" [ argument { "," argument } ] ")" ]
 * weight     = number | "[" number "," number "]"      the first epoch's and the last one's
 * argument   = [ key "=" ] value                positional arguments come first
 * value      = number | true | false | null | string | "[" [ value { "," value } ] "]"
 * string     = a quoted string, or a word without spaces, commas, brackets, quotes and "="
 * name       = a registered name, or a path "./file.mjs", "./file.mjs#Export"; quoted if it has spaces
 * ```
 *
 * @param argument what the expression is called in errors.
 * @throws DistilleryError `BAD_ARGUMENT` with the position in the text and what was expected there.
 * @example
 * ```ts
 * parseExpression("0.1*cross-entropy + 0.9*kd(temperature=4)").map(({ weight }) => weight); // [0.1, 0.9]
 * ```
 */
export function parseExpression(expression: unknown, argument = "expression"): Term[] {
  if (typeof expression === "string") return new Parser(expression, argument).expression();
  if (!Array.isArray(expression)) return [structuredTerm(expression, argument)];
  if (expression.length === 0) throw argumentError(argument, "expected at least one name, got an empty list");
  return expression.flatMap((term, i) => {
    const place = `${argument}[${i}]`;
    return typeof term === "string" ? parseExpression(term, place) : [structuredTerm(term, place)];
  });
}

/**
 * Formats an expression as text. {@link parseExpression} gives the same terms again.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if an argument has a value that text can't hold, such as a function.
 * @example
 * ```ts
 * formatExpression({ name: "kd", weight: 0.9, temperature: 4 }); // "0.9*kd(temperature=4)"
 * ```
 */
export function formatExpression(expression: Expression | readonly Term[]): string {
  const terms = isTerms(expression) ? expression : parseExpression(expression);
  return terms
    .map(({ weight, name, positional, args }) => {
      const values = [
        ...positional.map((value, i) => formatValue(value, `${name}: argument ${i + 1}`)),
        ...Object.entries(args).map(([key, value]) => `${key}=${formatValue(value, `${name}: ${key}`)}`),
      ];
      const call = `${formatName(name)}${values.length === 0 ? "" : `(${values.join(", ")})`}`;
      if (weight === 1) return call;
      return `${typeof weight === "number" ? formatNumber(weight) : `[${weight.map(formatNumber).join(", ")}]`}*${call}`;
    })
    .join(" + ");
}

/**
 * The expressions of a list in text, `kd, dkd(alpha=1, beta=8)`: split at commas that are in no brackets and no quotes.
 */
export function splitExpressions(text: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[\s\S]/g)) {
    if (token === "(" || token === "[") depth += 1;
    if (token === ")" || token === "]") depth -= 1;
    if (token === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += token;
  }
  return parts.map((part) => part.trim());
}

function isTerms(expression: Expression | readonly Term[]): expression is readonly Term[] {
  return Array.isArray(expression) && expression.every((term) => "positional" in Object(term));
}

function formatName(name: string): string {
  if (!isModulePath(name)) return name;
  const [, path = name, exported = ""] = /^(.*?)(#[A-Za-z_$][\w$]*)?$/s.exec(name) ?? [];
  return matchesAll(PATH, path) ? name : `${JSON.stringify(path)}${exported}`;
}

function formatValue(value: unknown, place: string): string {
  if (Array.isArray(value)) return `[${value.map((one) => formatValue(one, place)).join(", ")}]`;
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return formatNumber(value);
  if (typeof value !== "string") {
    throw argumentError(
      place,
      `expected a number, true, false, null, a string or a list, which text can hold, got ${show(value)}`,
    );
  }
  const isWord = matchesAll(WORD, value) && !NUMBER.test(value) && !KEYWORDS.has(value);
  return isWord ? value : JSON.stringify(value);
}

function formatNumber(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function structuredTerm(value: unknown, argument: string): Term {
  if (!isObject(value)) {
    throw argumentError(argument, `expected a name with its arguments, as text or { name: ... }, got ${show(value)}`);
  }
  const { name, weight, ...rest } = value;
  if (typeof name !== "string") throw argumentError(`${argument}.name`, `expected a name, got ${show(name)}`);
  const [term, ...more] = new Parser(isModulePath(name) ? formatName(name) : name, `${argument}.name`).expression();
  if (more.length > 0 || term.weight !== 1 || term.positional.length > 0 || Object.keys(term.args).length > 0) {
    throw argumentError(`${argument}.name`, `expected a name alone, its arguments beside it, got ${show(name)}`);
  }
  if (weight !== undefined && !isWeight(weight)) {
    throw argumentError(
      `${argument}.weight`,
      `expected a number, or two: [first epoch's, last epoch's], got ${showValue(weight)}`,
    );
  }
  const args = Object.entries(rest).filter(([, value]) => value !== undefined);
  const wrong = args.find(([key]) => key === "__proto__" || !matchesAll(/[A-Za-z_]\w*/y, key));
  if (wrong) throw argumentError(argument, `expected names of arguments, got ${show(wrong[0])}`);
  return { name: term.name, weight: weight ?? 1, positional: [], args: Object.fromEntries(args) };
}

/** Whether a value is a finite number, or two of them. */
export function isWeight(value: unknown): value is Weight {
  if (Array.isArray(value)) return value.length === 2 && value.every((one) => Number.isFinite(one));
  return Number.isFinite(value);
}
