import { type CheckpointValue, entriesOf, isTensor } from "../checkpoint_value.js";
import { contiguousStrides } from "../shape.js";
import { type AnyTensor, storedTypeOf } from "../stored_types.js";

/** Values per instruction, as in Python's pickler. */
const BATCH = 1000;

/**
 * The pickle of a value, in the instructions that PyTorch writes, and its tensors: the elements of tensor i are the
 * archive's entry with key i. With `ordered` the root is an OrderedDict.
 */
export function writePickle(root: CheckpointValue, ordered: boolean): { pickle: Uint8Array; tensors: AnyTensor[] } {
  const writer = new PickleWriter();
  return { pickle: writer.write(root, ordered), tensors: writer.tensors };
}

class PickleWriter {
  readonly tensors: AnyTensor[] = [];
  readonly #out = new PickleInstructions();

  write(root: CheckpointValue, ordered: boolean): Uint8Array {
    this.#out.raw("\x80\x02");
    if (ordered) this.#dict(root, () => this.#orderedDict());
    else this.#value(root);
    return this.#out.raw(".").bytes();
  }

  #value(value: CheckpointValue): void {
    if (value === null) this.#out.raw("N");
    else if (typeof value === "boolean") this.#out.raw(value ? "\x88" : "\x89");
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "bigint") this.#out.int(value);
    else if (typeof value === "string") this.#out.text(value);
    else if (isTensor(value)) this.#tensor(value);
    else if (Array.isArray(value)) this.#array(value);
    else this.#dict(value, () => this.#out.raw("}"));
  }

  #number(value: number): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.#out.int(value);
    else this.#out.float(value);
  }

  #array(items: readonly CheckpointValue[]): void {
    const write = (item: CheckpointValue) => this.#value(item);
    if (Object.isFrozen(items)) this.#out.tuple(items, write);
    else this.#out.raw("]").batches(items, write, "e");
  }

  #dict(value: CheckpointValue, open: () => void): void {
    open();
    const write = ([key, item]: [unknown, unknown]) => {
      this.#value(key as string | number);
      this.#value(item as CheckpointValue);
    };
    this.#out.batches(entriesOf(value) ?? [], write, "u");
  }

  #tensor(tensor: AnyTensor): void {
    const key = String(this.tensors.push(tensor) - 1);
    const ints = (values: readonly number[]) => this.#out.tuple(values, (value) => this.#out.int(value));
    this.#out.shared("c", "torch._utils\n_rebuild_tensor_v2\n").raw("(");
    this.#out
      .raw("(")
      .shared("X", "storage")
      .shared("c", `torch\n${storedTypeOf(tensor).torch}\n`)
      .text(key);
    this.#out.shared("X", "cpu").int(tensor.size).raw("tQ").int(0);
    ints(tensor.shape);
    ints(contiguousStrides(tensor.shape));
    // `requires_grad` is False and there are no hooks, as in every state_dict.
    this.#out.raw("\x89");
    this.#orderedDict();
    this.#out.raw("tR");
  }

  #orderedDict(): void {
    this.#out.shared("c", "collections\nOrderedDict\n").raw(")R");
  }
}

/** Writes the instructions of a pickle, protocol 2, as PyTorch does. */
class PickleInstructions {
  readonly #parts: Buffer[] = [];
  readonly #memo = new Map<string, number>();

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  raw(codes: string): this {
    this.#parts.push(Buffer.from(codes, "latin1"));
    return this;
  }

  text(text: string): this {
    const utf8 = Buffer.from(text, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(utf8.length);
    this.raw("X").#parts.push(length, utf8);
    return this;
  }

  /** A name (`c`) or a text (`X`) that is written once and then fetched from the memo; only for a few. */
  shared(code: "c" | "X", text: string): this {
    const index = this.#memo.get(code + text);
    if (index !== undefined) return this.raw("h").#uint(index, 1);
    this.#memo.set(code + text, this.#memo.size);
    return (code === "c" ? this.raw(code + text) : this.text(text)).raw("q").#uint(this.#memo.size - 1, 1);
  }

  int(value: number | bigint): this {
    if (value >= 0 && value < 2 ** 8) return this.raw("K").#uint(Number(value), 1);
    if (value >= 0 && value < 2 ** 16) return this.raw("M").#uint(Number(value), 2);
    if (value >= -(2 ** 31) && value < 2 ** 31) return this.raw("J").#uint(Number(value) >>> 0, 4);
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    this.raw("\x8a\x08").#parts.push(bytes);
    return this;
  }

  float(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    this.raw("G").#parts.push(bytes);
    return this;
  }

  tuple<T>(values: readonly T[], write: (value: T) => void): this {
    const short = [")", "\x85", "\x86", "\x87"][values.length];
    if (short === undefined) this.raw("(");
    values.forEach(write);
    return this.raw(short ?? "t");
  }

  /** Adds values to the object on the stack, at most 1000 per instruction, as Python does. */
  batches<T>(values: readonly T[], write: (value: T) => void, add: "u" | "e"): this {
    for (let start = 0; start < values.length; start += BATCH) {
      this.raw("(");
      values.slice(start, start + BATCH).forEach(write);
      this.raw(add);
    }
    return this;
  }

  #uint(value: number, width: number): this {
    const bytes = Buffer.alloc(width);
    bytes.writeUIntLE(value, 0, width);
    this.#parts.push(bytes);
    return this;
  }
}
