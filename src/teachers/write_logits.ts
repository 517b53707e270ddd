import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { safetensorsHead } from "../checkpoint/safetensors.js";
import { zipStored } from "../checkpoint/zip_writer.js";
import {
  argumentError,
  badArgument,
  expectExtension,
  expectFlags,
  expectInteger,
  expectOneOf,
  expectOptions,
  expectSignal,
} from "../checks.js";
import { type Dataset, expectDataset, fingerprintOf } from "../data/dataset.js";
import { sourceOf } from "../data/derived_dataset.js";
import { encodeNpyTexts, npyHeader } from "../data/formats/npy.js";
import { expectUnrounded, inUnits } from "../data/targets.js";
import { DistilleryError } from "../errors.js";
import { ioError, kindOf, openSliced, readSlice, type SlicedFile, writeWhole } from "../files/index.js";
import { forOutputs } from "../models/for_outputs.js";
import { Module } from "../nn/module.js";
import { fromFloat16, toFloat16 } from "../tensor/float16.js";
import { asTeacher } from "./as_teacher.js";
import { expectNotAugmented } from "./by_index.js";
import type { TeacherFunction } from "./function_teacher.js";
import { LOGITS_BATCH, logitsInOrder } from "./logits_in_order.js";
import { PartialLogits } from "./partial_logits.js";
import { ARRAY_FILES } from "./stored_arrays.js";
import type { Teacher } from "./teacher.js";
import { TeacherCache } from "./teacher_cache.js";

/** How {@link writeLogits} works. */
export interface WriteLogitsOptions {
  /** Samples per batch; default 256. */
  batchSize?: number;
  /** How the numbers are stored; default float32. With float16 they take half the space and are rounded to 11 bits. */
  dtype?: LogitsDtype;
  /** Whether an existing file is replaced; default false. */
  overwrite?: boolean;
  /** Stops after the current batch; the next call continues from there. */
  signal?: AbortSignal;
  /** Called with lines for the user, such as where the work continues. */
  onNote?: (text: string) => void;
}

/** What was written. */
export interface WrittenLogits {
  file: string;
  samples: number;
  classes: number;
  bytes: number;
}

/** How logits can be stored. */
export const LOGITS_DTYPES = ["float32", "float16"] as const;
/** How logits are stored in a file. */
export type LogitsDtype = (typeof LOGITS_DTYPES)[number];
/** Their bytes, and what NumPy and safetensors call them. */
const STORED = {
  float32: { bytes: 4, npy: "<f4", safetensors: "F32" },
  float16: { bytes: 2, npy: "<f2", safetensors: "F16" },
} as const;
/** The maximum size of an archive, which is assembled in memory. */
const MAX_ARCHIVED = 2 ** 31 - 2 ** 20;

/**
 * Writes a teacher's logits, or the vectors of a network such as BERT, for all samples of the source of the data, in
 * the order of their indices, as a `.npy`, `.npz` or `.safetensors` file that {@link logitsFile} reads. The file is
 * written whole or not at all: until then partial results are in the folder `FILE.part`, and another call with the same
 * teacher, data and file continues from there.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for samples that change at random, for a network whose rows depend on each
 * other, and if the file exists; `ABORTED` by the signal, `IN_USE` if another process writes the file, `IO_ERROR`.
 * @example
 * ```ts
 * await writeLogits(teacher, train, "logits.safetensors");
 * ```
 */
export async function writeLogits(
  teacher: Module | Teacher | TeacherFunction,
  data: Dataset,
  file: string,
  options: WriteLogitsOptions = {},
): Promise<WrittenLogits> {
  expectOptions("writeLogits", options, ["batchSize", "dtype", "overwrite", "signal", "onNote"]);
  const { batchSize = LOGITS_BATCH, dtype = "float32", overwrite = false, signal, onNote } = options;
  expectFlags({ overwrite });
  expectInteger("batchSize", batchSize, 1);
  expectSignal(signal);
  if (onNote !== undefined && typeof onNote !== "function") throw badArgument("onNote", "a function", onNote);
  expectOneOf("dtype", dtype, LOGITS_DTYPES);
  const extension = expectExtension("file", file, ARRAY_FILES);
  if (!overwrite && (await kindOf(file)) !== null) {
    throw new DistilleryError("BAD_ARGUMENT", `${file}: is there already: overwrite (--overwrite) replaces it`);
  }
  expectNotAugmented(expectDataset(data, "data"), "the logits of a file");
  const source = sourceOf(data).dataset;
  const whole = teacher instanceof Module ? forOutputs(source, teacher) : source;
  expectUnrounded(file, whole);
  const bytes = STORED[dtype].bytes * whole.length * whole.classes;
  if (extension === ".npz" && bytes > MAX_ARCHIVED) {
    throw new DistilleryError("BAD_ARGUMENT", `${file}: ${bytes} bytes are too many for an archive: write a .npy file`);
  }
  // Checked before hours of work.
  if (extension === ".safetensors") headOf(whole, dtype, {});
  const reason = teacher instanceof Module ? TeacherCache.whyNotCacheable(teacher, whole) : null;
  if (reason !== null) throw argumentError("teacher", reason);
  const opened = asTeacher(teacher, {});
  const part = `${file}.part`;
  try {
    opened.open?.({ data: whole, taps: [] });
    // The first batch shows what is wrong before anything is written.
    await opened.prepare?.({ out: part, once: true, signal, onNote });
    const rows = await PartialLogits.open(part, opened.fingerprint(), whole);
    try {
      if (rows.count > 0) onNote?.(`${file}: going on after ${rows.count} of ${whole.length} samples`);
      const stopped = () => {
        if (!signal?.aborted) return;
        throw new DistilleryError("ABORTED", `stopped: the same command goes on after ${rows.count} samples`);
      };
      stopped();
      const outputsOf = opened.outputs.bind(opened);
      for await (const logits of logitsInOrder(outputsOf, whole, { start: rows.count, batchSize })) {
        const values = inUnits(logits, whole.targetScale);
        if (dtype === "float16") expectFloat16(values, whole.classes, rows.count);
        await rows.append(values);
        if (rows.count < whole.length) stopped();
      }
      const stored = { rows: await openSliced(rows.file), dtype };
      await assemble(file, extension, stored, whole, opened.fingerprint());
    } finally {
      await rows.close();
    }
  } finally {
    await opened.close?.();
  }
  await rm(part, { recursive: true, force: true }).catch((error: unknown) => {
    throw ioError("write", part, error);
  });
  return { file, samples: whole.length, classes: whole.classes, bytes };
}

/** Refuses logits that float16 can't hold. */
function expectFloat16(logits: Float32Array, classes: number, start: number): void {
  const rounded = fromFloat16(toFloat16(logits));
  const at = rounded.findIndex((x) => !Number.isFinite(x));
  if (at < 0) return;
  const text = `sample ${start + Math.floor(at / classes)}, class ${at % classes}: float16 can't hold ${logits[at]}`;
  throw argumentError("dtype", `${text}: write float32`);
}

async function assemble(
  file: string,
  extension: string,
  { rows, dtype }: { rows: SlicedFile; dtype: LogitsDtype },
  data: Dataset,
  teacher: string | null,
): Promise<void> {
  const shape = [data.length, data.classes];
  if (extension === ".safetensors") {
    const head = headOf(data, dtype, {
      // A cache holds standardised values, this file values in the unit of their columns.
      ...(teacher !== null && data.targetScale === undefined && { teacherHash: teacher }),
      // Rounded logits can't be made into a cache, which is exact.
      ...(dtype === "float32" && { logitsHash: hashOf(rows, shape) }),
    });
    return writeWhole(file, joined(head, rows, dtype));
  }
  const header = npyHeader(STORED[dtype].npy, shape);
  if (extension === ".npy") return writeWhole(file, joined(header, rows, dtype));
  const classes = { name: "classes.npy", data: encodeNpyTexts(data.classNames ?? []) };
  const logits = { name: "logits.npy", data: Buffer.concat([...joined(header, rows, dtype)]) };
  return writeWhole(file, zipStored([logits, ...(data.classNames ? [classes] : [])]));
}

/** What precedes the elements of a .safetensors file; `BAD_ARGUMENT` for names that fill more than one is read with. */
function headOf(data: Dataset, dtype: LogitsDtype, hashes: Readonly<Record<string, string>>): Uint8Array {
  const { length, classes, classNames } = data;
  const { bytes, safetensors } = STORED[dtype];
  const end = bytes * length * classes;
  return safetensorsHead(
    "classNames",
    { logits: { dtype: safetensors, shape: [length, classes], data_offsets: [0, end] } },
    {
      dataHash: fingerprintOf(data),
      ...hashes,
      ...(classNames && { classNames: JSON.stringify(classNames) }),
    },
  );
}

/** Bytes that are read at once. */
const PIECE = 2 ** 22;

function* joined(head: Uint8Array, file: SlicedFile, dtype: LogitsDtype): Generator<Uint8Array> {
  yield head;
  for (const piece of pieces(file)) yield dtype === "float32" ? piece : halvesOf(piece);
}

function halvesOf({ buffer, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(toFloat16(new Float32Array(buffer, 0, byteLength / 4)).buffer);
}

function* pieces(file: SlicedFile): Generator<Uint8Array> {
  for (let at = 0; at < file.size; at += PIECE) {
    const piece = new Uint8Array(Math.min(PIECE, file.size - at));
    readSlice(file, at, piece);
    yield piece;
  }
}

/** The fingerprint of `{ logits }`, which a {@link TeacherCache} checks. */
function hashOf(rows: SlicedFile, shape: readonly number[]): string {
  const hash = createHash("sha256").update(JSON.stringify(["logits", "float32", shape]));
  for (const piece of pieces(rows)) hash.update(piece);
  return hash.digest("hex");
}
