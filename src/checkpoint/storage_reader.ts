import { show } from "../checks.js";
import { tensorOf } from "../tensor/int_tensor.js";
import { badCheckpoint } from "./bad_checkpoint.js";
import type { Storage, StoredView } from "./pickle/values.js";
import { elementCount, takeView } from "./shape.js";
import type { AnyTensor, StoredArray } from "./stored_types.js";

/** The bytes of the storage with a key; throws if there are none. */
type StorageBytes = (key: string) => Uint8Array;

/** Decodes each storage once, and makes tensors that are views of it. */
export class StorageReader {
  readonly #arrays = new Map<string, { storage: Storage; array: StoredArray }>();

  constructor(
    private readonly bytes: StorageBytes,
    /** Bytes that copies of strided views may still take: in total no more than the file has. */
    private allowance: number,
    private readonly name: string,
  ) {}

  /** The tensor of a view; errors use `key` for its name. */
  tensor(key: string, view: StoredView): AnyTensor {
    const size = elementCount(key, view.shape);
    if ("problem" in size) throw badCheckpoint(this.name, size.problem);
    const width = view.storage.type.dtype === "int64" ? 8 : 4;
    const array = this.#array(key, view.storage);
    const { offset, count } = view.storage.part ?? { offset: 0, count: array.length };
    const taken = takeView(array.subarray(offset, offset + count), view, size.count);
    if ("problem" in taken) throw badCheckpoint(this.name, `${show(key)} ${taken.problem}`);
    if (taken.copied) this.allowance -= size.count * width;
    if (this.allowance < 0) throw badCheckpoint(this.name, "its strided views hold more than the file");
    return tensorOf(taken.data, view.shape);
  }

  #array(key: string, storage: Storage): StoredArray {
    const known = this.#arrays.get(storage.key);
    if (known !== undefined) {
      if (known.storage.type === storage.type && known.storage.count === storage.count) return known.array;
      throw badCheckpoint(this.name, `${show(key)} shares a storage with a tensor of another type`);
    }
    const bytes = this.bytes(storage.key);
    if (bytes.length !== storage.count * storage.type.width) {
      const expected = `${storage.count} elements of ${storage.type.width} bytes`;
      throw badCheckpoint(this.name, `${show(key)}: expected ${expected}, got ${bytes.length} bytes`);
    }
    const array = storage.type.decode(bytes);
    this.#arrays.set(storage.key, { storage, array });
    return array;
  }
}
