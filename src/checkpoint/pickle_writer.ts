import { type CheckpointValue, entriesOf, isTensor } from "./checkpoint_value.js";
import { PickleInstructions } from "./pickle_instructions.js";
import { contiguousStrides } from "./shape.js";
import { type AnyTensor, storedTypeOf } from "./stored_types.js";

/**
 * The pickle of a value, in the instructions of PyTorch's own, and its tensors: the elements of the i-th are the
 * archive's entry of key i. With `ordered` the root is an OrderedDict.
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
    // requires_grad is False and there are no hooks, as in every state_dict.
    this.#out.raw("\x89");
    this.#orderedDict();
    this.#out.raw("tR");
  }

  #orderedDict(): void {
    this.#out.shared("c", "collections\nOrderedDict\n").raw(")R");
  }
}
