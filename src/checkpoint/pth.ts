import type { ZipEntries } from "../files/zip_reader.js";
import { badCheckpoint, quote, tooMany } from "./bad_checkpoint.js";
import type { CheckpointValue } from "./checkpoint_value.js";
import { MAX_PICKLE_BYTES, readPickle } from "./pickle/reader.js";
import { type Dict, type Foreign, isKind, kindOf, type StoredView, type Value } from "./pickle/values.js";
import { writePickle } from "./pickle/writer.js";
import { type Files, StorageReader } from "./storage_reader.js";
import { bytesOf, type StoredTensor } from "./stored_types.js";
import { type ZipEntry, zipStored } from "./zip_writer.js";

/** The archive's folder. PyTorch takes the file's name; a fixed one keeps equal weights equal under any file name. */
const FOLDER = "archive";
const FORMAT_VERSION = "3\n";
const PLAIN_ONLY = "only plain dictionaries of tensors are read";
/** Usual keys of the weights in a checkpoint dictionary. */
const USUAL_NAMES: readonly unknown[] = ["state_dict", "model_state_dict", "model"];

/**
 * The bytes of a `.pth` file, as `torch.save(value)` lays it out; the same values give the same bytes. `ordered` makes
 * an OrderedDict of the root, as a `state_dict()` is one.
 */
export function encodePth(value: CheckpointValue, { ordered }: { ordered: boolean }): Uint8Array {
  const { pickle, tensors } = writePickle(value, ordered);
  if (pickle.length > MAX_PICKLE_BYTES) throw tooMany(ordered ? "state" : "value", pickle.length, MAX_PICKLE_BYTES);
  const file = (name: string, data: Uint8Array): ZipEntry => ({ name: `${FOLDER}/${name}`, data });
  return zipStored([
    file("data.pkl", pickle),
    file("byteorder", Buffer.from("little")),
    ...tensors.map((tensor, i) => file(`data/${i}`, bytesOf(tensor))),
    file("version", Buffer.from(FORMAT_VERSION)),
  ]);
}

/**
 * The tensors of a state dict in a `.pth` file's bytes, in the file's order: of the one under `key`, or of the one that
 * {@link findStateDict} takes. Those that share a storage share memory, as in PyTorch; half, bfloat16 and double become
 * float32, integers of fewer than 32 bits int32. `BAD_CHECKPOINT` for everything else; with a key, only in that state
 * dict: `onNote` gets what is left out.
 */
export async function decodePth(
  bytes: Uint8Array,
  name: string,
  { key, onNote }: { key?: string; onNote?: (text: string) => void } = {},
): Promise<StoredTensor[]> {
  const { root, storages } = await openPth(bytes, name, key !== undefined);
  const entries = findStateDict(root, key, name);
  const others = leftOut(root);
  if (others.length > 0)
    onNote?.(`${name}: left out ${others.slice(0, 8).join(", ")}${others.length > 8 ? ", ..." : ""}`);
  return entries.map(([key, view]) => ({
    key,
    dtype: view.storage.type.dtype,
    tensor: storages.tensor(key, view),
  }));
}

/** The content of a `.pth` file, its storages not yet decoded. */
export async function openPth(
  bytes: Uint8Array,
  name: string,
  leavesOut = false,
): Promise<{ root: Value; storages: StorageReader }> {
  // Imported late: a program that never reads a .pth file does not load zip.js.
  const { readZip } = await import("../files/zip_reader.js");
  const entries = await readZip(bytes, {
    writer: "PyTorch",
    refuseCompressed: "which torch.save never does: write the file again with it",
    fail: (problem, cause) => badCheckpoint(name, problem, cause),
    choose: (paths) => {
      folderOf(paths, name);
      return paths;
    },
  });
  const files = openArchive(entries, name);
  return {
    root: readPickle(files("data.pkl"), name, leavesOut),
    storages: new StorageReader(files, bytes.length, name),
  };
}

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

type Entries = [key: string, view: StoredView][];

/**
 * The state dict of a file: the one under `key` if given; else the whole file, if it holds tensors only; else the one
 * under a usual name, if no other is in the file. Anything that would be a guess is refused, with the names to choose
 * from.
 */
function findStateDict(root: Value, key: string | undefined, name: string): Entries {
  if (!isKind(root, "dict")) throw badCheckpoint(name, `holds a ${kindOf(root)}; ${PLAIN_ONLY}`);
  if (key !== undefined) return entryOf(root, key, name);
  const [nested, ...others] = nestedIn(root);
  if (nested !== undefined && others.length === 0 && USUAL_NAMES.includes(nested[0])) {
    if (!root.entries.some(([, value]) => isKind(value, "tensor"))) return tensorsOf(nested[1], choice(root), name);
  }
  return tensorsOf(root, choice(root), name);
}

function entryOf(root: Dict, key: string, name: string): Entries {
  const found = root.entries.filter(([other]) => other === key).map(([, value]) => value);
  if (found.length > 1) throw badCheckpoint(name, `the key ${quote(key)} is repeated`);
  const [value] = found;
  if (isKind(value, "dict")) return tensorsOf(value, `${quote(key)} is no state dict: ${choice(root)}`, name);
  throw badCheckpoint(
    name,
    `holds ${value === undefined ? "nothing" : `a ${kindOf(value)}`} under ${quote(key)}; ${choice(root)}`,
  );
}

function tensorsOf({ entries }: Dict, advice: string, name: string): Entries {
  const seen = new Set<string>();
  return entries.map(([key, value]) => {
    if (typeof key !== "string") throw badCheckpoint(name, `a key is a ${kindOf(key)}, not a str; ${advice}`);
    if (seen.has(key)) throw badCheckpoint(name, `the key ${quote(key)} is repeated`);
    seen.add(key);
    if (!isKind(value, "tensor")) throw badCheckpoint(name, `${quote(key)} holds a ${kindOf(value)}; ${advice}`);
    return [key, value];
  });
}

/** The state dicts directly in a dictionary, empty ones aside. */
function nestedIn({ entries }: Dict): [key: Value, dict: Dict][] {
  return entries.flatMap(([key, value]): [Value, Dict][] => {
    if (!isKind(value, "dict") || value.entries.length === 0) return [];
    return value.entries.every(([inner, tensor]) => typeof inner === "string" && isKind(tensor, "tensor"))
      ? [[key, value]]
      : [];
  });
}

/** How to load the tensors of a checkpoint that holds more than them. */
function choice(root: Dict): string {
  const keys = nestedIn(root).flatMap(([key]) => (typeof key === "string" ? [quote(key)] : []));
  if (keys.length === 0) return `${PLAIN_ONLY}; loadCheckpoint(file) gives all that a checkpoint holds`;
  const shown = keys.length > 8 ? [...keys.slice(0, 8), "..."] : keys;
  return `state dicts are under ${shown.join(", ")}: choose one, as in load(file, { key: ${keys[0]} })`;
}

/** The entries of a checkpoint that hold values that were left out, each with the class of one. */
function leftOut(root: Value): string[] {
  if (!isKind(root, "dict")) return [];
  return root.entries.flatMap(([key, value]) => {
    const found = foreignIn(value);
    if (found === null) return [];
    const name = typeof key === "string" ? quote(key) : typeof key === "number" ? String(key) : `a ${kindOf(key)}`;
    return [`${name} (a ${kindOf(found)})`];
  });
}

/** The first foreign value in a value; each is visited once, so that cycles end. */
function foreignIn(root: Value): Foreign | null {
  const [seen, waiting] = [new Set<Value>(), [root]];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (isKind(value, "foreign")) return value;
    if (seen.has(value)) continue;
    seen.add(value);
    if (isKind(value, "dict")) for (const pair of value.entries) waiting.push(...pair);
    else if (isKind(value, "list") || isKind(value, "tuple")) for (const item of value.items) waiting.push(item);
  }
  return null;
}
