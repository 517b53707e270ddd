import type { StateDict } from "../nn/state_dict.js";
import { badCheckpoint, quote, tooMany } from "./bad_checkpoint.js";
import { MAX_PICKLE_BYTES, readPickle } from "./pickle_reader.js";
import { isKind, kindOf, type Storage, type StoredView, type Value } from "./pickle_values.js";
import { writePickle } from "./pickle_writer.js";
import { elementCount } from "./shape.js";
import { bytesOf, type StoredArray, type StoredTensor, storedTypeOf, tensorOf } from "./stored_types.js";
import { takeView } from "./strided.js";
import type { ZipEntries } from "./zip_reader.js";
import { type ZipEntry, zipStored } from "./zip_writer.js";

/** The archive's folder. PyTorch takes the file's name; a fixed one keeps equal weights equal under any file name. */
const FOLDER = "archive";
const FORMAT_VERSION = "3\n";
const PLAIN_ONLY = "only plain dictionaries of tensors are read";

/** The bytes of a `.pth` file, as `torch.save(state_dict)` lays it out; the same tensors give the same bytes. */
export function encodePth(state: StateDict): Uint8Array {
  const tensors = Object.entries(state).map(([name, tensor], i) => ({
    pickled: { name, storage: storedTypeOf(tensor).torch, key: String(i), shape: tensor.shape },
    tensor,
  }));
  const pickle = writePickle(tensors.map(({ pickled }) => pickled));
  if (pickle.length > MAX_PICKLE_BYTES) throw tooMany("state", pickle.length, MAX_PICKLE_BYTES);
  const file = (name: string, data: Uint8Array): ZipEntry => ({ name: `${FOLDER}/${name}`, data });
  return zipStored([
    file("data.pkl", pickle),
    file("byteorder", Buffer.from("little")),
    ...tensors.map(({ pickled, tensor }) => file(`data/${pickled.key}`, bytesOf(tensor))),
    file("version", Buffer.from(FORMAT_VERSION)),
  ]);
}

/**
 * The tensors of a `.pth` file's bytes, in the file's order. Those that share a storage share memory, as in PyTorch;
 * half, bfloat16 and double become float32. `BAD_CHECKPOINT` for everything but a plain dictionary of tensors.
 */
export async function decodePth(bytes: Uint8Array, name: string): Promise<StoredTensor[]> {
  // Only here: a program that never reads a .pth file need not load the library behind it.
  const { readZip } = await import("./zip_reader.js");
  const files = openArchive(await readZip(bytes, name, (paths) => folderOf(paths, name)), name);
  const storages = new StorageReader(files, bytes.length, name);
  return tensorPairs(readPickle(files("data.pkl"), name), name).map(([key, view]) => ({
    key,
    dtype: view.storage.type.dtype,
    tensor: storages.tensor(key, view),
  }));
}

type Files = (path: string) => Uint8Array;

/** The archive's one folder, once its names say that `torch.save` wrote it. */
function folderOf(paths: readonly string[], name: string): string {
  const pickle = paths.find((path) => /^[^/]+\/data\.pkl$/.test(path));
  if (pickle === undefined) throw badCheckpoint(name, "a zip archive, but not one of PyTorch: it has no data.pkl");
  const folder = pickle.slice(0, pickle.indexOf("/") + 1);
  const stray = paths.find((path) => !path.startsWith(folder));
  if (stray !== undefined) throw badCheckpoint(name, `entry ${quote(stray)} lies outside of ${quote(folder)}`);
  if (paths.includes(`${folder}constants.pkl`)) {
    throw badCheckpoint(name, "a TorchScript program: in PyTorch, torch.save its state_dict() instead");
  }
  return folder;
}

/** Access to the archive's files, once it is known that they are of a known version and little-endian. */
function openArchive(entries: ZipEntries, name: string): Files {
  const folder = folderOf([...entries.keys()], name);
  const files = (path: string): Uint8Array => {
    const data = entries.get(folder + path);
    if (data === undefined) throw badCheckpoint(name, `entry ${quote(path)} is missing in its archive`);
    return data;
  };
  const text = (path: string) => Buffer.from(files(path).subarray(0, 32)).toString("latin1");
  if (!/^([1-9]|10)\n?$/.test(text("version"))) {
    throw badCheckpoint(name, `format version ${quote(text("version"))} is not known`);
  }
  // Files of PyTorch before 2.1 do not say.
  if (entries.has(`${folder}byteorder`) && text("byteorder") !== "little") {
    throw badCheckpoint(name, `byte order ${quote(text("byteorder"))}; only "little" is read`);
  }
  return files;
}

function tensorPairs(root: Value, name: string): [string, StoredView][] {
  if (!isKind(root, "dict")) throw badCheckpoint(name, `holds a ${kindOf(root)}; ${PLAIN_ONLY}`);
  const seen = new Set<string>();
  return root.entries.map(([key, value]) => {
    if (typeof key !== "string") throw badCheckpoint(name, `a key is a ${kindOf(key)}, not a str; ${PLAIN_ONLY}`);
    if (seen.has(key)) throw badCheckpoint(name, `the key ${quote(key)} stands twice`);
    seen.add(key);
    if (!isKind(value, "tensor")) throw badCheckpoint(name, `${quote(key)} holds a ${kindOf(value)}; ${advice(root)}`);
    return [key, value];
  });
}

/** How to get the tensors out of a checkpoint that holds more than them. */
function advice(root: Value): string {
  const nested = isKind(root, "dict") ? root.entries.find(([, value]) => isKind(value, "dict"))?.[0] : undefined;
  if (typeof nested !== "string") return PLAIN_ONLY;
  return `${PLAIN_ONLY}: in PyTorch, torch.save(torch.load("checkpoint.pth")[${quote(nested)}], "weights.pth")`;
}

/** Brings storages into memory, each once, and cuts tensors out of them. */
class StorageReader {
  readonly #arrays = new Map<string, { storage: Storage; array: StoredArray }>();

  constructor(
    private readonly files: Files,
    /** Bytes that copies of strided views may still take: no more in all than the file has. */
    private allowance: number,
    private readonly name: string,
  ) {}

  tensor(key: string, view: StoredView) {
    const size = elementCount(key, view.shape);
    if ("problem" in size) throw badCheckpoint(this.name, size.problem);
    const width = view.storage.type.dtype === "int64" ? 8 : 4;
    const taken = takeView(this.#array(key, view.storage), view, size.count);
    if ("problem" in taken) throw badCheckpoint(this.name, `${quote(key)} ${taken.problem}`);
    if (taken.copied) this.allowance -= size.count * width;
    if (this.allowance < 0) throw badCheckpoint(this.name, "its strided views hold more than the file");
    return tensorOf(taken.data, view.shape);
  }

  #array(key: string, storage: Storage): StoredArray {
    const known = this.#arrays.get(storage.key);
    if (known !== undefined) {
      if (known.storage.type === storage.type && known.storage.count === storage.count) return known.array;
      throw badCheckpoint(this.name, `${quote(key)} shares a storage with a tensor of another type`);
    }
    const bytes = this.files(`data/${storage.key}`);
    if (bytes.length !== storage.count * storage.type.width) {
      const expected = `${storage.count} elements of ${storage.type.width} bytes`;
      throw badCheckpoint(this.name, `${quote(key)}: expected ${expected}, got ${bytes.length} bytes`);
    }
    const array = storage.type.decode(bytes);
    this.#arrays.set(storage.key, { storage, array });
    return array;
  }
}
