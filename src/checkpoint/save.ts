import { extname } from "node:path";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { MAX_FILE_BYTES, writeWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import { quote } from "./bad_checkpoint.js";
import { encodePth } from "./pth.js";
import { encodeSafetensors } from "./safetensors.js";
import { METADATA_KEY } from "./safetensors_header.js";

export interface SaveOptions {
  /** Texts that a `.safetensors` file keeps beside the tensors; a `.pth` file has no place for them. */
  metadata?: Readonly<Record<string, string>>;
}

const MAX_TENSORS = 65_000;

/**
 * Writes a state dict for PyTorch (`.pth`, as `torch.save(model.state_dict(), file)`) or as `.safetensors`, by the
 * file's name. What is written are the values at the time of the call. The file appears whole or not at all, and the
 * same values give the same bytes.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no state dict or another extension, `IO_ERROR` where the file
 * can't be written; what was there before then stays.
 * @example
 * ```ts
 * await save(student.stateDict(), "student.pth");
 * // in Python: student.load_state_dict(torch.load("student.pth", weights_only=True))
 * ```
 */
export async function save(state: StateDict, file: string, options: SaveOptions = {}): Promise<void> {
  if (typeof file !== "string" || file.includes("\0")) throw bad("file", "the name of a file", file);
  checkState(state);
  const extension = extname(file).toLowerCase();
  if (extension === ".safetensors") {
    const metadata = checkMetadata(options.metadata ?? {});
    await writeWhole(file, encodeSafetensors(state, metadata));
  } else if (extension === ".pth") {
    if (options.metadata) throw bad("metadata", "none for a .pth file (.safetensors keeps it)", options.metadata);
    await writeWhole(file, encodePth(state));
  } else {
    throw bad("file", "a name that ends in .pth or .safetensors", file);
  }
}

function checkState(state: StateDict): void {
  if (typeof (state as { stateDict?: unknown } | null)?.stateDict === "function") {
    throw bad("state", "a state dict: pass model.stateDict()", state);
  }
  if (!isRecord(state)) throw bad("state", "a state dict, tensors by their keys", state);
  const entries = Object.entries(state);
  let bytes = 0;
  for (const [key, value] of entries) {
    if (!(value instanceof Tensor || value instanceof IntTensor || value instanceof LongTensor)) {
      throw bad(`state[${quote(key)}]`, "a tensor", value);
    }
    if (key === METADATA_KEY) throw bad("state", `no key ${METADATA_KEY}, which .safetensors keeps for itself`, state);
    checkText(`state[${quote(key)}]`, key);
    bytes += value.data.byteLength + 2 * key.length + 512;
  }
  if (entries.length > MAX_TENSORS) throw bad("state", `at most ${MAX_TENSORS} tensors`, entries.length);
  if (bytes > MAX_FILE_BYTES) throw bad("state", `at most ${MAX_FILE_BYTES} bytes in one file`, bytes);
}

function checkMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (!isRecord(metadata)) throw bad("metadata", "texts by their keys", metadata);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== "string") throw bad(`metadata[${quote(key)}]`, "a text", value);
    checkText(`metadata[${quote(key)}]`, key + value);
  }
  return metadata;
}

/** Half of a surrogate pair would be written as another character, and two keys could become one. */
function checkText(name: string, text: string): void {
  if (Buffer.from(text).toString() !== text) throw bad(name, "text that can be written in UTF-8", text);
}

function isRecord(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function bad(name: string, expected: string, got: unknown): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `${name}: expected ${expected}, got ${show(got)}`);
}
