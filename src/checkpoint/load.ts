import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { readWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { Tensor } from "../tensor/tensor.js";
import { badCheckpoint } from "./bad_checkpoint.js";
import { decodePth } from "./pth.js";
import { readStored } from "./safetensors.js";
import type { StoredDtype, StoredTensor } from "./stored_types.js";

/** What {@link inspectCheckpoint} tells. */
export interface CheckpointSummary {
  format: "pth" | "safetensors";
  /** The size of the file. */
  bytes: number;
  /** The tensors in the file's order, with the types that they have there. */
  tensors: { key: string; dtype: StoredDtype; shape: readonly number[] }[];
  /** The elements of the floating tensors that are no running statistics of a BatchNorm. */
  parameters: number;
  /** The texts that a `.safetensors` file keeps. */
  metadata: Record<string, string>;
}

/**
 * Reads a `.pth` file of PyTorch that holds a state dict, or a `.safetensors` file; which of them, its content says.
 * Half, bfloat16 and double tensors become float32, int32 and int64 stay. Nothing in the file is ever run, and nothing
 * is allocated that its length does not back.
 *
 * @throws DistilleryError `NOT_FOUND`, `IO_ERROR` for a folder or what can't be read, `BAD_CHECKPOINT` for what is
 * damaged, foreign or holds more than tensors.
 * @example
 * ```ts
 * teacher.loadStateDict(await load("teacher.pth"));
 * ```
 */
export async function load(file: string): Promise<StateDict> {
  const { stored } = await read(file);
  return Object.fromEntries(stored.map(({ key, tensor }) => [key, tensor]));
}

/**
 * What is in a checkpoint, read and checked as {@link load} does.
 *
 * @example
 * ```ts
 * const { format, parameters } = await inspectCheckpoint("student.pth"); // "pth", 535818
 * ```
 */
export async function inspectCheckpoint(file: string): Promise<CheckpointSummary> {
  const { format, bytes, stored, metadata } = await read(file);
  const tensors = stored.map(({ key, dtype, tensor }) => ({ key, dtype, shape: tensor.shape }));
  const parameters = stored.reduce((sum, entry) => sum + (isParameter(entry) ? entry.tensor.size : 0), 0);
  return { format, bytes, tensors, parameters, metadata };
}

interface Contents {
  format: "pth" | "safetensors";
  bytes: number;
  stored: StoredTensor[];
  metadata: Record<string, string>;
}

async function read(file: string): Promise<Contents> {
  if (typeof file !== "string" || file === "" || file.includes("\0")) {
    throw new DistilleryError("BAD_ARGUMENT", `file: expected the name of a file, got ${show(file)}`);
  }
  const bytes = await readWhole(file);
  if (startsWith(bytes, "PK")) {
    return { format: "pth", bytes: bytes.length, stored: await decodePth(bytes, file), metadata: {} };
  }
  refuseForeign(bytes, file);
  return { format: "safetensors", bytes: bytes.length, ...readStored(bytes, file) };
}

function refuseForeign(bytes: Uint8Array, file: string): void {
  if (bytes.length === 0) throw badCheckpoint(file, "is empty");
  if (startsWith(bytes, "\x80") && bytes[8] !== 0x7b) {
    throw badCheckpoint(
      file,
      "a bare pickle, PyTorch's format before 1.6, which is not read: in PyTorch, " +
        'torch.save(torch.load("old.pth", weights_only=True), "new.pth") converts it',
    );
  }
  // A .safetensors file: the header's length in 8 bytes, then the header, which begins with {.
  if (bytes[8] !== 0x7b) throw badCheckpoint(file, "is neither a .pth file of PyTorch nor a .safetensors file");
}

function startsWith(bytes: Uint8Array, magic: string): boolean {
  return Buffer.from(bytes.subarray(0, magic.length)).toString("latin1") === magic;
}

function isParameter({ key, tensor }: StoredTensor): boolean {
  return tensor instanceof Tensor && !/(^|\.)running_(mean|var)$/.test(key);
}
