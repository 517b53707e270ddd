import { badCheckpoint, saveAgain, TRUSTED } from "../bad_checkpoint.js";
import { MAX_OBJECTS } from "../checkpoint_value.js";
import type { Reading } from "./globals.js";
import { opcodeName } from "./opcodes.js";
import { type Dict, type Foreign, isKind, kindOf, type Value } from "./values.js";

export const MAX_PICKLE_BYTES = 2 ** 24;
const MAX_NESTING = 100;

const NO_UTF8 = "a text is not UTF-8";
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A pickle in a file's bytes, and how it is read. */
export interface PickleSource {
  readonly bytes: Uint8Array;
  /** The position at which it begins; default 0. */
  readonly start?: number;
  /** The file's name, for messages. */
  readonly file: string;
  /** Which part of the file it is, for messages. */
  readonly part: string;
  /** Whether values of foreign classes are left out instead of refused. */
  readonly leavesOut: boolean;
  /** Resolves a persistent id. */
  persistent(id: Value, reading: Reading): Value;
}

/** The state of a pickle reader: position, stack and memo. Every step is bounded, and nothing recurses. */
export class PickleMachine implements Reading {
  #at: number;
  /** The position that it must not pass. */
  readonly #most: number;
  #instruction: number;
  #objects = 0;
  #stack: Value[] = [];
  readonly #outer: Value[][] = [];
  readonly #memo = new Map<number, Value>();

  constructor(private readonly source: PickleSource) {
    this.#at = source.start ?? 0;
    this.#most = this.#at + MAX_PICKLE_BYTES;
    this.#instruction = this.#at;
  }

  get leavesOut(): boolean {
    return this.source.leavesOut;
  }

  /** The error for an issue at the current instruction. */
  readonly fail = (problem: string): Error => this.#failAt(this.#instruction, problem);

  readonly foreign = (name: string, problem: string, place = this.#instruction): Foreign => {
    const refusal = () => this.#failAt(place, problem);
    if (this.leavesOut) return { kind: "foreign", name, refusal };
    throw refusal();
  };

  /** The position of the current instruction. */
  get place(): number {
    return this.#instruction;
  }

  /** The code of the next instruction. */
  next(): number {
    this.#instruction = this.#at;
    return this.uint(1);
  }

  /** Takes the next `length` bytes. */
  take(length: number): Buffer {
    const { bytes } = this.source;
    if (length > bytes.length - this.#at) throw this.fail("the pickle ends too early");
    if (length > this.#most - this.#at) throw tooLong(this.source, `more than ${MAX_PICKLE_BYTES} bytes`);
    const taken = Buffer.from(bytes.buffer, bytes.byteOffset + this.#at, length);
    this.#at += length;
    return taken;
  }

  uint(width: 1 | 2 | 4): number {
    return this.take(width).readUIntLE(0, width);
  }

  /** Reads `length` bytes as a signed whole number; a bigint from 2^53 on. */
  long(length: number): number | bigint | Foreign {
    const bytes = this.take(length);
    // Python writes as few bytes as possible; PyTorch writes some numbers in 8.
    if (length > 8) return this.foreign("int", "a number is too large");
    const value = BigInt.asIntN(
      8 * length,
      bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n),
    );
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  text(length: number): string | Foreign {
    const bytes = this.take(length);
    try {
      return UTF8.decode(bytes);
    } catch {
      // Half a surrogate pair, as Python has it in file names.
      return this.foreign("str", NO_UTF8);
    }
  }

  /** Reads the text up to the next line feed. */
  line(): string {
    const length = this.source.bytes.subarray(this.#at, this.#at + 256).indexOf(0x0a);
    if (length < 0) throw this.fail("a name has no end");
    const bytes = this.take(length);
    this.#at++;
    try {
      return UTF8.decode(bytes);
    } catch {
      throw this.fail(NO_UTF8);
    }
  }

  /** Resolves a persistent id. */
  persistent(id: Value): Value {
    return this.source.persistent(id, this);
  }

  push(value: Value): void {
    if (typeof value === "object" && value !== null) this.#count();
    // The stack holds a tuple as one value.
    if (this.#stack.push(value) > MAX_OBJECTS) throw this.fail("too many values on the stack");
  }

  pop(): Value {
    const value = this.#stack.pop();
    if (value === undefined) throw this.fail("a value is missing on the stack");
    return value;
  }

  top(): Value {
    const value = this.#stack.at(-1);
    if (value === undefined) throw this.fail("a value is missing on the stack");
    return value;
  }

  topDict(): Dict {
    const value = this.top();
    if (!isKind(value, "dict")) throw this.fail(`a dict was expected, not a ${kindOf(value)}`);
    return value;
  }

  mark(): void {
    if (this.#outer.push(this.#stack) > MAX_NESTING) throw this.fail(`nested deeper than ${MAX_NESTING}`);
    this.#stack = [];
  }

  /** The values since the last mark. */
  popMark(): Value[] {
    const values = this.#stack;
    const outer = this.#outer.pop();
    if (outer === undefined) throw this.fail("a mark is missing on the stack");
    this.#stack = outer;
    return values;
  }

  append(values: readonly Value[]): void {
    const list = this.top();
    if (isKind(list, "foreign")) return;
    if (typeof list !== "object" || list?.kind !== "list")
      throw this.fail(`a list was expected, not a ${kindOf(list)}`);
    for (const value of values) {
      this.#count();
      list.items.push(value);
    }
  }

  setItems(values: readonly Value[]): void {
    if (isKind(this.top(), "foreign")) return;
    const { entries } = this.topDict();
    if (values.length % 2 !== 0) throw this.fail("a key without a value");
    for (let i = 0; i < values.length; i += 2) {
      this.#count();
      entries.push([values[i], values[i + 1]]);
    }
  }

  remember(index: number): void {
    this.#count();
    this.#memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.fail(`nothing was remembered as ${index}`);
    this.push(value);
  }

  /** The result, and where the pickle ends; throws if other values are left. */
  stop(): { value: Value; end: number } {
    const value = this.pop();
    if (this.#stack.length > 0 || this.#outer.length > 0) throw this.fail("values are left on the stack");
    return { value, end: this.#at };
  }

  #count(): void {
    if (++this.#objects > MAX_OBJECTS) throw this.fail(`more than ${MAX_OBJECTS} objects`);
  }

  #failAt(place: number, problem: string): Error {
    const { bytes, file, part } = this.source;
    const code = bytes[place];
    const position = code === undefined ? "the end" : `byte ${place} (${opcodeName(code)})`;
    return badCheckpoint(file, `${part} at ${position}: ${problem}`);
  }
}

/** The error for a pickle of this many bytes. */
export function tooLong({ file, part }: PickleSource, length: string): Error {
  const text = `${part}, what lies beside the tensors, has ${length}`;
  return badCheckpoint(file, `${text}: for weights under "model", ${saveAgain(file, TRUSTED, '["model"]')}`);
}
