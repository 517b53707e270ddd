import { show } from "../checks.js";
import { badCheckpoint, SAFE, saveAgain } from "./bad_checkpoint.js";
import { isCount, type Reading, storageOf } from "./pickle/globals.js";
import type { PickleSource } from "./pickle/machine.js";
import { readPickleIn } from "./pickle/reader.js";
import { isKind, kindOf, type Storage, type Value } from "./pickle/values.js";
import { StorageReader } from "./storage_reader.js";

/** The magic number at the start of the format, pickled by protocol 2. */
const MAGIC = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const VERSION = 1001;
const COUNT_BYTES = 8;

/** Bytes per element of the storages that are left out, by class, to find what follows them. */
const OTHER_WIDTHS: ReadonlyMap<string, number> = new Map([
  ["torch.ComplexFloatStorage", 8],
  ["torch.ComplexDoubleStorage", 16],
  ["torch.QInt8Storage", 1],
  ["torch.QUInt8Storage", 1],
  ["torch.QUInt4x2Storage", 1],
  ["torch.QUInt2x4Storage", 1],
  ["torch.QInt32Storage", 4],
  ["torch.storage.UntypedStorage", 1],
]);

/** Whether a file has PyTorch's format before 1.6, which `_use_new_zipfile_serialization=False` still writes. */
export function isLegacyPth(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, MAGIC.length)).toString("latin1") === MAGIC;
}

/**
 * The content of a file in that format, with its storages not yet decoded. The file has a magic number, the format's
 * version, a description of the machine that wrote it, the value itself and the keys of its storages, each as a pickle;
 * then the storages in the order of the keys, each as its number of elements and the elements. With `leavesOut`, values
 * of foreign classes become placeholders.
 */
export function openLegacyPth(
  bytes: Uint8Array,
  name: string,
  leavesOut: boolean,
): { root: Value; storages: StorageReader } {
  let at = MAGIC.length;
  const next = (part: string, leavesOut = false, persistent: PickleSource["persistent"] = storageOf) => {
    const { value, end } = readPickleIn({ bytes, start: at, file: name, part, leavesOut, persistent });
    at = end;
    return value;
  };
  const version = next("the format's version");
  if (version !== VERSION) throw badCheckpoint(name, `the format's version is not ${VERSION}, the only one before 1.6`);
  expectLittleEndian(next("the description of its machine"), name);
  const ids = new StorageIds();
  const root = next("its pickle", leavesOut, (id, reading) => ids.storageOf(id, reading));
  const keys = next("the list of its storages");
  const storages = storagesAt(bytes, at, ids.inOrder(keys, name), name);
  const bytesOf = (key: string) => storages.get(key) as Uint8Array;
  return { root, storages: new StorageReader(bytesOf, bytes.length, name) };
}

function expectLittleEndian(machine: Value, name: string): void {
  const entries = isKind(machine, "dict") ? machine.entries : [];
  const order = entries.filter(([key]) => key === "little_endian");
  if (order.length !== 1 || typeof order[0][1] !== "boolean") {
    throw badCheckpoint(name, 'does not say whether it is little-endian, as torch.save does under "little_endian"');
  }
  if (order[0][1]) return;
  throw badCheckpoint(name, `of a big-endian machine; only little-endian is read: ${saveAgain(name, SAFE)}`);
}

interface Extent {
  readonly key: string;
  /** Bytes an element. */
  readonly width: number;
  /** Elements. */
  readonly count: number;
}

/** The storages that a pickle's persistent ids name, including those of types that are left out. */
class StorageIds {
  readonly #extents = new Map<string, Extent>();

  /**
   * The storage that `("storage", torch.FloatStorage, "94025", "cpu", 6, None)` names. The last item of a part of a
   * storage is `(key, offset, count)`. The class of a pickled network is `("module", class, file, source)`.
   */
  storageOf(id: Value, reading: Reading): Value {
    const items = isKind(id, "tuple") ? id.items : [];
    const [tag, type, key, , count, part] = items;
    if (tag === "module" && items.length === 4 && isKind(type, "foreign")) return type;
    // An id without the last item belongs to the archive format; an empty one to neither.
    const storage = storageOf({ kind: "tuple", items: items.length === 6 ? items.slice(0, 5) : [] }, reading);
    if (!isCount(count)) throw reading.fail(`BINPERSID of a storage with ${String(count)} elements`);
    const width = isKind(storage, "foreign") ? OTHER_WIDTHS.get(storage.name) : storage.type.width;
    // What follows it in the file can't be found.
    if (width === undefined) throw isKind(storage, "foreign") ? storage.refusal() : storage;
    this.#add({ key: key as string, width, count }, reading);
    return part === null || isKind(storage, "foreign") ? storage : { ...storage, part: partOf(part, count, reading) };
  }

  #add(extent: Extent, reading: Reading): void {
    const known = this.#extents.get(extent.key) ?? extent;
    if (known.width !== extent.width || known.count !== extent.count) {
      throw reading.fail(`BINPERSID of the storage ${show(extent.key)} with another length than before`);
    }
    this.#extents.set(extent.key, extent);
  }

  /** The storages in the order of the file's list, which has to name each once. */
  inOrder(keys: Value, name: string): Extent[] {
    if (!isKind(keys, "list")) throw badCheckpoint(name, "the list of its storages is none");
    const waiting = new Map(this.#extents);
    const extents = keys.items.map((key) => {
      if (typeof key !== "string") throw badCheckpoint(name, `the list of its storages holds a ${kindOf(key)}`);
      const extent = waiting.get(key);
      if (extent === undefined) {
        const problem = this.#extents.has(key) ? "twice" : "of no tensor";
        throw badCheckpoint(name, `the list of its storages has ${show(key)}, ${problem}`);
      }
      waiting.delete(key);
      return extent;
    });
    const [missing] = waiting.keys();
    if (missing !== undefined) throw badCheckpoint(name, `the storage ${show(missing)} is missing in the file's list`);
    return extents;
  }
}

function partOf(part: Value, whole: number, reading: Reading): Storage["part"] {
  const [key, offset, count] = isKind(part, "tuple") && part.items.length === 3 ? part.items : [];
  if (typeof key !== "string" || !isCount(offset) || !isCount(count) || offset + count > whole) {
    throw reading.fail("BINPERSID of a part that does not lie in its storage");
  }
  return { offset, count };
}

/** The bytes of the storages, which fill the rest of the file. */
function storagesAt(
  bytes: Uint8Array,
  start: number,
  extents: readonly Extent[],
  name: string,
): ReadonlyMap<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const storages = new Map<string, Uint8Array>();
  let at = start;
  for (const { key, width, count } of extents) {
    const begin = at + COUNT_BYTES;
    if (begin + count * width > bytes.length) {
      throw badCheckpoint(
        name,
        `is cut off: the storage ${show(key)} of ${count} elements of ${width} bytes is not all there`,
      );
    }
    const stored = view.getBigInt64(at, true);
    if (stored !== BigInt(count)) {
      throw badCheckpoint(name, `the storage ${show(key)} has ${stored} elements, its tensors say ${count}`);
    }
    at = begin + count * width;
    storages.set(key, bytes.subarray(begin, at));
  }
  const rest = bytes.length - at;
  if (rest > 0) throw badCheckpoint(name, `${rest} bytes follow its last storage`);
  return storages;
}
