import { badArgument, expectExtension, expectOptions, show } from "../checks.js";
import { MAX_FILE_BYTES, writeWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { type CheckpointValue, checkText, checkValue, isRecord, isTensor } from "./checkpoint_value.js";
import { encodePth } from "./pth.js";
import { METADATA_KEY, safetensorsOf } from "./safetensors.js";

/** The options of {@link save}. */
export interface SaveOptions {
  /** Metadata for a `.safetensors` file; a `.pth` file cannot hold any. */
  metadata?: Readonly<Record<string, string>>;
}

const MAX_TENSORS = 65_000;

/**
 * Writes a state dict for PyTorch (`.pth`, as `torch.save(model.state_dict(), file)`) or as `.safetensors`, depending
 * on the file's extension. It writes the values as they are at the call. The file appears whole or not at all, and
 * equal values give equal bytes.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a value that is no state dict, or another extension; `IO_ERROR` if the
 * file can't be written, in which case an earlier file is kept.
 * @example
 * ```ts
 * await save(student.stateDict(), "student.pth");
 * // in Python: student.load_state_dict(torch.load("student.pth", weights_only=True))
 * ```
 */
export async function save(state: StateDict, file: string, options: SaveOptions = {}): Promise<void> {
  const extension = expectExtension("file", file, [".pth", ".safetensors"]);
  expectOptions("save", options, ["metadata"]);
  if (extension === ".safetensors") {
    await writeWhole(file, encodeSafetensors(state, options.metadata));
  } else {
    checkState(state);
    if (options.metadata)
      throw badArgument("metadata", "none for a .pth file (.safetensors keeps it)", options.metadata);
    await writeWhole(file, encodePth(state, { ordered: true }));
  }
}

/**
 * The bytes of a `.safetensors` file: float32 tensors as F32, int32 as I32, int64 as I64, listed in the header in the
 * order given, and the optional `metadata`. Equal input gives equal bytes.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a value that is no state dict, and for metadata that are not texts.
 * @example
 * ```ts
 * const bytes = encodeSafetensors(student.stateDict(), { epochs: "150" });
 * ```
 */
export function encodeSafetensors(state: StateDict, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  checkState(state);
  return safetensorsOf(state, checkMetadata(metadata));
}

/**
 * Writes a whole checkpoint for PyTorch, as `torch.save({...}, file)`: nested dictionaries, lists, tuples, numbers,
 * texts and tensors, as {@link CheckpointValue} describes. It writes the values as they are at the call; the file
 * appears whole or not at all.
 *
 * @throws DistilleryError `BAD_ARGUMENT` with the path of the value that can't be written, and for another extension
 * than `.pth`; `IO_ERROR` if the file can't be written.
 * @example
 * ```ts
 * const value = { epoch: 3, model: student.stateDict(), optimizer: optimizer.stateDict() };
 * await saveCheckpoint(value, "checkpoint.pth");
 * // in Python: torch.load("checkpoint.pth", weights_only=True)["optimizer"]
 * ```
 */
export async function saveCheckpoint(value: CheckpointValue, file: string): Promise<void> {
  expectExtension("file", file, [".pth"]);
  checkSize("value", value, checkValue(value, "value"));
  await writeWhole(file, encodePth(value, { ordered: false }));
}

function checkState(state: StateDict): void {
  if (typeof state?.stateDict === "function") {
    throw badArgument("state", "a state dict: pass model.stateDict()", state);
  }
  if (!isRecord(state)) throw badArgument("state", "a state dict, tensors by their keys", state);
  const entries = Object.entries(state);
  let bytes = 0;
  for (const [key, value] of entries) {
    if (!isTensor(value)) throw badArgument(`state[${show(key)}]`, "a tensor", value);
    if (key === METADATA_KEY)
      throw badArgument("state", `no key ${METADATA_KEY}, which .safetensors keeps for itself`, state);
    checkText(`state[${show(key)}]`, key);
    bytes += value.data.byteLength + 2 * key.length + 512;
  }
  if (entries.length > MAX_TENSORS) throw badArgument("state", `at most ${MAX_TENSORS} tensors`, entries.length);
  checkSize("state", state, bytes);
}

function checkSize(name: string, value: unknown, bytes: number): void {
  if (bytes > MAX_FILE_BYTES)
    throw badArgument(name, `at most ${MAX_FILE_BYTES} bytes in one file, not ${bytes}`, value);
}

function checkMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (!isRecord(metadata)) throw badArgument("metadata", "texts by their keys", metadata);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string") throw badArgument(`metadata[${show(key)}]`, "a text", value);
    checkText(`metadata[${show(key)}]`, key + value);
  }
  return metadata;
}
