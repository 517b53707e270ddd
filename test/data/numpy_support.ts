import { readFileSync } from "node:fs";
import type { NpyData } from "../../src/data/formats/npy.js";

/** A file of fixtures/numpy. */
export function fixture(name: string): Uint8Array {
  return Uint8Array.from(readFileSync(new URL(`fixtures/numpy/${name}`, import.meta.url)));
}

/** A `.npy` file of version 1 of little-endian elements. */
export function npy(shape: readonly number[], data: Exclude<NpyData, Uint32Array>, typed?: string) {
  const descr = {
    Uint8Array: "|u1",
    Float32Array: "<f4",
    Float64Array: "<f8",
    Int32Array: "<i4",
    BigInt64Array: "<i8",
    BigUint64Array: "<u8",
    Uint16Array: "<u2",
    Int16Array: "<i2",
    Int8Array: "|i1",
  };
  const type = typed ?? descr[data.constructor.name as keyof typeof descr];
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }\n`;
  const elements = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const start = [0x93, ...Buffer.from("NUMPY"), 1, 0, header.length & 255, header.length >> 8];
  return Uint8Array.from([...start, ...Buffer.from(header), ...elements]);
}
