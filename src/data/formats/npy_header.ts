import { isOneOf, show } from "../../checks.js";

/** What the header of a `.npy` file says. */
export interface NpyHeader {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

type Value = string | boolean | readonly number[];

/** A text in quotes, a name, a whole number as Python 2 and 3 write it, or a sign. */
const TOKEN = /\s*(?:('[^'\\\n]*'|"[^"\\\n]*")|(True|False)|(\d+)L?|([{}(),:]))/y;
const KEYS = ["descr", "fortran_order", "shape"] as const;

/**
 * Reads the one form of Python literal that NumPy writes: a dictionary of a text, a truth value and a tuple of whole
 * numbers. Nothing is evaluated. The problem's text if it is anything else.
 */
export function parseNpyHeader(text: string): NpyHeader | { problem: string } {
  try {
    const { descr, fortran_order: fortranOrder, shape } = new Parser(text).dictionary();
    if (typeof descr !== "string") return { problem: "descr: expected a text; records of several fields are not read" };
    if (typeof fortranOrder !== "boolean") return { problem: "fortran_order: expected True or False" };
    if (!Array.isArray(shape)) return { problem: "shape: expected a tuple of whole numbers" };
    return { descr, fortranOrder, shape };
  } catch (error) {
    if (error instanceof Unexpected) return { problem: error.message };
    throw error;
  }
}

class Unexpected extends Error {}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  dictionary(): Record<(typeof KEYS)[number], Value | undefined> {
    const found = new Map<string, Value>();
    this.#sign("{");
    while (!this.#takes("}")) {
      const key = this.#string();
      if (!isOneOf(KEYS, key)) throw new Unexpected(`the key ${show(key)} is not known`);
      if (found.has(key)) throw new Unexpected(`the key ${show(key)} occurs twice`);
      this.#sign(":");
      found.set(key, this.#value());
      if (!this.#takes(",")) {
        this.#sign("}");
        break;
      }
    }
    if (this.#text.slice(this.#at).trim() !== "") throw this.#unexpected("the end");
    const missing = KEYS.find((key) => !found.has(key));
    if (missing !== undefined) throw new Unexpected(`the key ${show(missing)} is missing`);
    return { descr: found.get("descr"), fortran_order: found.get("fortran_order"), shape: found.get("shape") };
  }

  #value(): Value {
    const [, text, name, , sign] = this.#peek();
    if (text !== undefined) return this.#string();
    if (name !== undefined) {
      this.#next();
      return name === "True";
    }
    if (sign !== "(") throw this.#unexpected("a text, True, False or a tuple");
    return this.#tuple();
  }

  #tuple(): number[] {
    const numbers: number[] = [];
    this.#sign("(");
    while (!this.#takes(")")) {
      const [, , , digits] = this.#peek();
      if (digits === undefined) throw this.#unexpected("a whole number");
      this.#next();
      numbers.push(Number(digits));
      if (!this.#takes(",")) {
        // Without a comma a single number in brackets is no tuple.
        if (numbers.length === 1) throw this.#unexpected("a comma");
        this.#sign(")");
        break;
      }
    }
    return numbers;
  }

  #string(): string {
    const [, text] = this.#peek();
    if (text === undefined) throw this.#unexpected("a text");
    this.#next();
    return text.slice(1, -1);
  }

  #sign(expected: string): void {
    if (!this.#takes(expected)) throw this.#unexpected(expected);
  }

  #takes(sign: string): boolean {
    if (this.#peek()[4] !== sign) return false;
    this.#next();
    return true;
  }

  #peek(): readonly (string | undefined)[] {
    TOKEN.lastIndex = this.#at;
    return TOKEN.exec(this.#text) ?? [];
  }

  #next(): void {
    TOKEN.lastIndex = this.#at;
    TOKEN.exec(this.#text);
    this.#at = TOKEN.lastIndex;
  }

  #unexpected(expected: string): Unexpected {
    const rest = this.#text.slice(this.#at).trim();
    const got = rest === "" ? "the end" : show(rest.length > 12 ? `${rest.slice(0, 12)}...` : rest);
    return new Unexpected(`expected ${expected}, got ${got}`);
  }
}
