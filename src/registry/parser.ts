import { argumentError, show } from "../checks.js";
import type { DistilleryError } from "../errors.js";

/** One term of an expression: `0.9*kd(temperature=4)`. */
export interface Term {
  /** The weight before the name: a number, or those of the first and the last epoch; default 1. */
  readonly weight: Weight;
  /** A registered name, or a module of the user's own: `./my_loss.mjs`, `./net.mjs#Tiny`. */
  readonly name: string;
  /** Arguments without a name, in the order of the options that they set. */
  readonly positional: readonly unknown[];
  /** Arguments by name. */
  readonly args: Readonly<Record<string, unknown>>;
}

/** A number, or two: it then changes linearly from the first epoch to the last. */
export type Weight = number | readonly [from: number, to: number];

const MAX_LENGTH = 65_536;
const MAX_DEPTH = 32;
const DIGITS = String.raw`[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?`;
/** A plain number. */
export const NUMBER = new RegExp(`^${DIGITS}$`);
/** The words that stand for values. */
export const KEYWORDS: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["null", null],
  ["None", null],
]);
const NAME = /[A-Za-z_][\w.-]*/y;
const ARGUMENT = /([A-Za-z_]\w*)\s*=/y;
const WEIGHT = new RegExp(String.raw`(${DIGITS})\s*\*\s*`, "y");
/** Two numbers, of the first and of the last epoch. */
const MOVING_WEIGHT = /\[\s*([^\s,[\]]+)\s*,\s*([^\s,[\]]+)\s*\]\s*\*\s*/y;
const PATH_START = /(?:\.{0,2}[\\/]|file:|[A-Za-z]:[\\/])/y;
/** The path of a module. */
export const PATH = /[^\s()[\]#"'+*,=]+/y;
const EXPORT = /#([A-Za-z_$][\w$]*)/y;
/** A string without quotes. */
export const WORD = /[^\s,()[\]"'=]+/y;
const SPACE = /\s*/y;

/** Whether a term's name is the path of a module. */
export function isModulePath(name: string): boolean {
  PATH_START.lastIndex = 0;
  return PATH_START.test(name);
}

/** Whether a sticky pattern matches a whole text. */
export function matchesAll(pattern: RegExp, text: string): boolean {
  pattern.lastIndex = 0;
  return pattern.exec(text)?.[0].length === text.length;
}

/** A recursive-descent parser: each method reads one rule of the grammar and moves `#at` past it. */
export class Parser {
  #at = 0;
  readonly #text: string;
  readonly #argument: string;

  constructor(text: string, argument: string) {
    if (text.length > MAX_LENGTH) {
      throw argumentError(argument, `expected at most ${MAX_LENGTH} characters, got ${text.length}`);
    }
    this.#text = text;
    this.#argument = argument;
  }

  expression(): [Term, ...Term[]] {
    this.#skipSpace();
    const terms: [Term, ...Term[]] = [this.#term()];
    while (this.#take("+")) terms.push(this.#term());
    if (this.#at === this.#text.length) return terms;
    if (this.#text[this.#at] === ",")
      throw argumentError(this.#argument, `expected one, got a list: ${show(this.#text)}`);
    throw this.#expected('"+" or the end');
  }

  #term(): Term {
    const start = this.#at;
    const factor = this.#weight(start);
    const name = this.#name();
    const positional: unknown[] = [];
    const args: Record<string, unknown> = {};
    if (this.#take("(") && !this.#take(")")) {
      do this.#argumentInto(positional, args);
      while (this.#take(","));
      if (!this.#take(")")) throw this.#expected('"," or ")"');
    }
    return { weight: factor, name, positional, args };
  }

  #weight(start: number): Weight {
    const weight = this.#match(WEIGHT)?.[1];
    if (weight !== undefined) return this.#number(weight, start);
    const [, from, to] = this.#match(MOVING_WEIGHT) ?? [];
    if (from === undefined || to === undefined) return 1;
    const wrong = [from, to].find((text) => !NUMBER.test(text));
    if (wrong === undefined) return [this.#number(from, start), this.#number(to, start)];
    this.#at = start;
    throw this.#expected("two numbers, the first epoch's and the last one's");
  }

  #argumentInto(positional: unknown[], args: Record<string, unknown>): void {
    const start = this.#at;
    const key = this.#match(ARGUMENT)?.[1];
    this.#skipSpace();
    if (key === undefined) {
      if (Object.keys(args).length > 0) throw this.#expected("an argument by name, as the one before it");
      positional.push(this.#value(0));
      return;
    }
    if (key === "__proto__" || Object.hasOwn(args, key)) {
      this.#at = start;
      throw this.#expected(key === "__proto__" ? "the name of an argument" : `each argument once: ${key} was given`);
    }
    args[key] = this.#value(0);
  }

  #name(): string {
    if (this.#peek() === '"' || this.#peek() === "'") {
      const start = this.#at;
      const path = this.#quoted();
      if (!isModulePath(path)) {
        this.#at = start;
        throw this.#expected('a name without quotes, or the path of a module, as "./my module.mjs"');
      }
      return this.#export(path);
    }
    PATH_START.lastIndex = this.#at;
    const isPath = PATH_START.test(this.#text);
    const name = this.#match(isPath ? PATH : NAME)?.[0];
    if (name === undefined) throw this.#expected("a name");
    return isPath ? this.#export(name) : this.#spaced(name);
  }

  #export(path: string): string {
    if (this.#peek() !== "#") return this.#spaced(path);
    const name = this.#match(EXPORT)?.[0];
    if (name === undefined) throw this.#expected('the name of an export after "#"');
    return this.#spaced(path + name);
  }

  #value(depth: number): unknown {
    const start = this.#at;
    if (this.#take("[")) {
      if (depth === MAX_DEPTH) throw this.#expected(`lists at most ${MAX_DEPTH} deep`);
      const values: unknown[] = [];
      if (this.#take("]")) return values;
      do values.push(this.#value(depth + 1));
      while (this.#take(","));
      if (!this.#take("]")) throw this.#expected('"," or "]"');
      return values;
    }
    if (this.#peek() === '"' || this.#peek() === "'") return this.#spaced(this.#quoted());
    const word = this.#match(WORD)?.[0];
    if (word === undefined) throw this.#expected("a value");
    this.#skipSpace();
    if (KEYWORDS.has(word)) return KEYWORDS.get(word);
    return NUMBER.test(word) ? this.#number(word, start) : word;
  }

  #number(text: string, start: number): number {
    const value = Number(text);
    if (Number.isFinite(value)) return value;
    this.#at = start;
    throw this.#expected("a number that double precision can hold");
  }

  /**
   * A string in double quotes, with JSON's escapes, or in single quotes, in which a backslash keeps the next character.
   */
  #quoted(): string {
    const pattern = this.#peek() === '"' ? /"(?:[^"\\]|\\.)*"/sy : /'((?:[^'\\]|\\.)*)'/sy;
    const start = this.#at;
    const found = this.#match(pattern);
    if (found === null) throw this.#expected("a quote that ends the string");
    if (found[1] !== undefined) return found[1].replace(/\\(.)/gs, "$1");
    try {
      return JSON.parse(found[0]);
    } catch {
      this.#at = start;
      throw this.#expected("a string as JSON has it");
    }
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #take(symbol: string): boolean {
    if (this.#peek() !== symbol) return false;
    this.#at += 1;
    this.#skipSpace();
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at += found[0].length;
    return found;
  }

  #spaced(value: string): string {
    this.#skipSpace();
    return value;
  }

  #skipSpace(): void {
    this.#match(SPACE);
  }

  #expected(what: string): DistilleryError {
    const rest = this.#text.slice(this.#at);
    const got = rest === "" ? "the end" : JSON.stringify(rest.length > 20 ? `${rest.slice(0, 20)}...` : rest);
    return argumentError(this.#argument, `expected ${what} at character ${this.#at + 1}, got ${got}`);
  }
}
