import { show } from "../checks.js";
import { bytesOf } from "../files/index.js";
import type { ZipEntries } from "../files/zip_reader.js";
import { badCheckpoint, SAFE, saveAgain, tooMany } from "./bad_checkpoint.js";
import type { CheckpointValue } from "./checkpoint_value.js";
import { findStateDict } from "./find_state_dict.js";
import { isLegacyPth, openLegacyPth } from "./legacy_pth.js";
import { otherArchive } from "./other_files.js";
import { storageOf } from "./pickle/globals.js";
import { MAX_PICKLE_BYTES } from "./pickle/machine.js";
import { readPickle } from "./pickle/reader.js";
import type { Value } from "./pickle/values.js";
import { writePickle } from "./pickle/writer.js";
import { StorageReader } from "./storage_reader.js";
import type { StoredTensor } from "./stored_types.js";
import { type ZipEntry, zipStored } from "./zip_writer.js";

/** The archive's folder. PyTorch uses the file's name; a fixed name makes equal weights equal files. */
const FOLDER = "archive";
const FORMAT_VERSION = "3\n";
const MAX_SHOWN = 8;

/** The bytes of a file in the archive; throws if it does not exist. */
type Files = (path: string) => Uint8Array;

/** Whether the first bytes are those of a `.pth` file: an archive, or PyTorch's format before 1.6. */
export function isPth(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 2)).toString("latin1") === "PK" || isLegacyPth(bytes);
}

/**
 * The bytes of a `.pth` file, laid out as by `torch.save(value)`; equal values give equal bytes. With `ordered` the
 * root becomes an OrderedDict, like a `state_dict()`.
 */
export function encodePth(value: CheckpointValue, { ordered }: { ordered: boolean }): Uint8Array {
  const { pickle, tensors } = writePickle(value, ordered);
  if (pickle.length > MAX_PICKLE_BYTES) throw tooMany(ordered ? "state" : "value", pickle.length, MAX_PICKLE_BYTES);
  const file = (name: string, data: Uint8Array): ZipEntry => ({ name: `${FOLDER}/${name}`, data });
  return zipStored([
    file("data.pkl", pickle),
    file("byteorder", Buffer.from("little")),
    ...tensors.map((tensor, i) => file(`data/${i}`, bytesOf(tensor.data))),
    file("version", Buffer.from(FORMAT_VERSION)),
  ]);
}

/**
 * The tensors of a state dict in the bytes of a `.pth` file, in the file's order: the one at `key`, or the one that
 * {@link findStateDict} finds. Tensors that share a storage share memory, as in PyTorch; half, bfloat16 and double
 * become float32, integers of fewer than 32 bits int32. `onNote` is told what is left out. `BAD_CHECKPOINT` if there is
 * no state dict.
 */
export async function decodePth(
  bytes: Uint8Array,
  name: string,
  { key, onNote }: { key?: string; onNote?: (text: string) => void } = {},
): Promise<StoredTensor[]> {
  const { root, storages } = await openPth(bytes, name, true);
  const { tensors, leftOut } = findStateDict(root, key, name);
  if (leftOut.length > 0) {
    const more = leftOut.length > MAX_SHOWN ? ", ..." : "";
    onNote?.(`${name}: left out ${leftOut.slice(0, MAX_SHOWN).join(", ")}${more}`);
  }
  return tensors.map(([key, view]) => ({
    key,
    dtype: view.storage.type.dtype,
    tensor: storages.tensor(key, view),
  }));
}

/**
 * The content of a `.pth` file, with its storages not yet decoded; with `leavesOut`, values of foreign classes become
 * placeholders.
 */
export async function openPth(
  bytes: Uint8Array,
  name: string,
  leavesOut = false,
): Promise<{ root: Value; storages: StorageReader }> {
  if (isLegacyPth(bytes)) return openLegacyPth(bytes, name, leavesOut);
  // Imported late: a program that never reads a .pth file does not load zip.js.
  const { readZip } = await import("../files/zip_reader.js");
  const entries = await readZip(bytes, {
    writer: "PyTorch",
    refuseCompressed: "which torch.save never does: write the file again with it",
    withoutChecksums: `, or it was written after set_crc32_options(False): ${saveAgain(name, SAFE)} in a program without it`,
    fail: (problem, cause) => badCheckpoint(name, problem, cause),
    choose: (paths) => {
      folderOf(paths, name);
      return paths;
    },
  });
  const files = openArchive(entries, name);
  return {
    root: readPickle({
      bytes: files("data.pkl"),
      file: name,
      part: "data.pkl",
      leavesOut,
      persistent: storageOf,
    }),
    storages: new StorageReader((key) => files(`data/${key}`), bytes.length, name),
  };
}

/** The archive's only folder, once its names show that `torch.save` wrote it. */
function folderOf(paths: readonly string[], name: string): string {
  const pickle = paths.find((path) => /^[^/]+\/data\.pkl$/.test(path));
  if (pickle === undefined) throw badCheckpoint(name, otherArchive(paths, name));
  const folder = pickle.slice(0, pickle.indexOf("/") + 1);
  const stray = paths.find((path) => !path.startsWith(folder));
  if (stray !== undefined) throw badCheckpoint(name, `entry ${show(stray)} lies outside of ${show(folder)}`);
  if (paths.includes(`${folder}constants.pkl`)) {
    const line = `torch.save(torch.jit.load(${JSON.stringify(name)}).state_dict(), "weights.pth")`;
    throw badCheckpoint(name, `a TorchScript program: in PyTorch, ${line} writes its weights`);
  }
  return folder;
}

/** Access to the archive's files, once its version is known and it is little-endian. */
function openArchive(entries: ZipEntries, name: string): Files {
  const folder = folderOf([...entries.keys()], name);
  const files = (path: string): Uint8Array => {
    const data = entries.get(folder + path);
    if (data === undefined) throw badCheckpoint(name, `entry ${show(path)} is missing in its archive`);
    return data;
  };
  const text = (path: string) => Buffer.from(files(path).subarray(0, 32)).toString("latin1");
  if (!/^([1-9]|10)\n?$/.test(text("version"))) {
    throw badCheckpoint(name, `format version ${show(text("version"))} is not known`);
  }
  // PyTorch before 2.1 did not write it.
  if (entries.has(`${folder}byteorder`) && text("byteorder") !== "little") {
    throw badCheckpoint(name, `byte order ${show(text("byteorder"))}; only "little" is read`);
  }
  return files;
}
