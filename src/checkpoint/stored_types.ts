import { fromFloat16 } from "../tensor/float16.js";
import type { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";

/** How the elements of a tensor are stored in a file. */
export type StoredDtype =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool";
export type StoredArray = Float32Array | Int32Array | BigInt64Array;
export type AnyTensor = Tensor | IntTensor | LongTensor;

/** How the elements of one type are stored in a file (little-endian), and how they are loaded. */
export interface StoredType {
  readonly dtype: StoredDtype;
  /** The storage's class in a pickle of PyTorch. */
  readonly torch: string;
  /** The name in the header of a .safetensors file. */
  readonly safetensors: string;
  /** Bytes per element. */
  readonly width: number;
  /** A copy of the elements: other floats become float32, rounded to the nearest; narrower integers become int32. */
  decode(bytes: Uint8Array): StoredArray;
}

/** A tensor from a file, with its type there. */
export interface StoredTensor {
  readonly key: string;
  readonly dtype: StoredDtype;
  readonly tensor: AnyTensor;
}

const copyOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

export const STORED_TYPES: readonly StoredType[] = [
  {
    dtype: "float32",
    torch: "FloatStorage",
    safetensors: "F32",
    width: 4,
    decode: (bytes) => new Float32Array(copyOf(bytes)),
  },
  {
    dtype: "float64",
    torch: "DoubleStorage",
    safetensors: "F64",
    width: 8,
    decode: (bytes) => Float32Array.from(new Float64Array(copyOf(bytes))),
  },
  {
    dtype: "float16",
    torch: "HalfStorage",
    safetensors: "F16",
    width: 2,
    decode: (bytes) => fromFloat16(new Uint16Array(copyOf(bytes))),
  },
  {
    dtype: "bfloat16",
    torch: "BFloat16Storage",
    safetensors: "BF16",
    width: 2,
    decode: (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(copyOf(bytes)), (half) => half << 16).buffer),
  },
  {
    dtype: "int64",
    torch: "LongStorage",
    safetensors: "I64",
    width: 8,
    decode: (bytes) => new BigInt64Array(copyOf(bytes)),
  },
  {
    dtype: "int32",
    torch: "IntStorage",
    safetensors: "I32",
    width: 4,
    decode: (bytes) => new Int32Array(copyOf(bytes)),
  },
  {
    dtype: "int16",
    torch: "ShortStorage",
    safetensors: "I16",
    width: 2,
    decode: (bytes) => Int32Array.from(new Int16Array(copyOf(bytes))),
  },
  {
    dtype: "int8",
    torch: "CharStorage",
    safetensors: "I8",
    width: 1,
    decode: (bytes) => Int32Array.from(new Int8Array(copyOf(bytes))),
  },
  { dtype: "uint8", torch: "ByteStorage", safetensors: "U8", width: 1, decode: (bytes) => Int32Array.from(bytes) },
  {
    dtype: "bool",
    torch: "BoolStorage",
    safetensors: "BOOL",
    width: 1,
    decode: (bytes) => Int32Array.from(bytes, (byte) => Number(byte !== 0)),
  },
];

/** The type that a tensor of this library is written as. */
export function storedTypeOf(tensor: AnyTensor): StoredType {
  return STORED_TYPES.find((type) => type.dtype === tensor.dtype) as StoredType;
}
