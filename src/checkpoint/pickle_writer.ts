import { contiguousStrides } from "./shape.js";

/** One tensor as a pickle describes it; its elements are the archive's entry of that key. */
export interface PickledTensor {
  readonly name: string;
  /** The storage's class: `FloatStorage`. */
  readonly storage: string;
  readonly key: string;
  readonly shape: readonly number[];
}

/** As Python does: no more than this many pairs in one SETITEMS. */
const BATCH = 1000;

/** The pickle (protocol 2) of an OrderedDict of contiguous tensors, in the instructions of PyTorch's own. */
export function writePickle(tensors: readonly PickledTensor[]): Uint8Array {
  const out = new PickleWriter();
  out.raw("\x80\x02").shared("c", "collections\nOrderedDict\n").raw(")R");
  for (let start = 0; start < tensors.length; start += BATCH) {
    out.raw("(");
    for (const tensor of tensors.slice(start, start + BATCH)) writeTensor(out, tensor);
    out.raw("u");
  }
  return out.raw(".").bytes();
}

function writeTensor(out: PickleWriter, { name, storage, key, shape }: PickledTensor): void {
  const count = shape.reduce((product, length) => product * length, 1);
  out.text(name).shared("c", "torch._utils\n_rebuild_tensor_v2\n").raw("(");
  out.raw("(").shared("X", "storage").shared("c", `torch\n${storage}\n`).text(key).shared("X", "cpu");
  out.int(count).raw("tQ");
  out.int(0).tuple(shape).tuple(contiguousStrides(shape));
  // requires_grad is False and there are no hooks, as in every state_dict.
  out.raw("\x89").shared("c", "collections\nOrderedDict\n").raw(")RtR");
}

class PickleWriter {
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

  /** A name (`c`) or a text (`X`) that is written out once and recalled from the memo after that. */
  shared(code: "c" | "X", text: string): this {
    const index = this.#memo.get(code + text);
    if (index !== undefined) return this.raw("h").#uint(index, 1);
    this.#memo.set(code + text, this.#memo.size);
    return (code === "c" ? this.raw(code + text) : this.text(text)).raw("q").#uint(this.#memo.size - 1, 1);
  }

  int(value: number): this {
    if (value < 2 ** 8) return this.raw("K").#uint(value, 1);
    if (value < 2 ** 16) return this.raw("M").#uint(value, 2);
    if (value < 2 ** 31) return this.raw("J").#uint(value, 4);
    return this.raw("\x8a\x08").#uint64(value);
  }

  tuple(values: readonly number[]): this {
    const short = [")", "\x85", "\x86", "\x87"][values.length];
    if (short === undefined) this.raw("(");
    for (const value of values) this.int(value);
    return this.raw(short ?? "t");
  }

  #uint(value: number, width: number): this {
    const bytes = Buffer.alloc(width);
    bytes.writeUIntLE(value, 0, width);
    this.#parts.push(bytes);
    return this;
  }

  #uint64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    this.#parts.push(bytes);
    return this;
  }
}
