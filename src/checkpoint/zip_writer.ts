import { crc32 } from "node:zlib";

export interface ZipEntry {
  readonly name: string;
  readonly data: Uint8Array;
}

const ALIGNMENT = 64;
const [LOCAL_HEADER, CENTRAL_HEADER, END_RECORD] = [30, 46, 22];
const VERSION = 20;
const UTF8_NAMES = 0x0800;
/** 1 January 1980, the format's earliest date: equal bytes at any time, in any time zone. */
const DATE = 0x0021;

/**
 * A zip archive of uncompressed entries whose data are at multiples of 64 bytes, with PyTorch's padding field ("FB"),
 * so that it can be memory-mapped. Limited to the plain format: 65,534 entries, 4 GiB.
 */
export function zipStored(entries: readonly ZipEntry[]): Uint8Array {
  const { places, end } = layOut(entries);
  const archive = Buffer.alloc(end + entries.reduce((sum, { name }) => sum + CENTRAL_HEADER + name.length, END_RECORD));
  let at = end;
  for (const [i, entry] of entries.entries()) {
    const { start, padding } = places[i];
    const common = commonFields(entry);
    writeLocal(archive, start, entry, common, padding);
    at = writeCentral(archive, at, entry, common, start);
  }
  archive.write("PK\x05\x06", at, "latin1");
  archive.writeUInt16LE(entries.length, at + 8);
  archive.writeUInt16LE(entries.length, at + 10);
  archive.writeUInt32LE(at - end, at + 12);
  archive.writeUInt32LE(end, at + 16);
  return archive;
}

interface Place {
  readonly start: number;
  /** The length of the padding field, including its own header. */
  readonly padding: number;
}

function layOut(entries: readonly ZipEntry[]): { places: Place[]; end: number } {
  let end = 0;
  const places = entries.map(({ name, data }) => {
    const start = end;
    const unpadded = start + LOCAL_HEADER + name.length + 4;
    const padding = 4 + ((ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT);
    end = start + LOCAL_HEADER + name.length + padding + data.length;
    return { start, padding };
  });
  return { places, end };
}

/** The 26 bytes that local and central headers share; names are ASCII. */
function commonFields({ name, data }: ZipEntry): Buffer {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(VERSION, 0);
  fields.writeUInt16LE(UTF8_NAMES, 2);
  fields.writeUInt16LE(DATE, 8);
  fields.writeUInt32LE(crc32(data), 10);
  fields.writeUInt32LE(data.length, 14);
  fields.writeUInt32LE(data.length, 18);
  fields.writeUInt16LE(name.length, 22);
  return fields;
}

function writeLocal(archive: Buffer, start: number, { name, data }: ZipEntry, common: Buffer, padding: number): void {
  archive.write("PK\x03\x04", start, "latin1");
  archive.set(common, start + 4);
  archive.writeUInt16LE(padding, start + 28);
  const field = start + LOCAL_HEADER + archive.write(name, start + LOCAL_HEADER, "latin1");
  archive.write("FB", field, "latin1");
  archive.writeUInt16LE(padding - 4, field + 2);
  archive.fill("Z", field + 4, field + padding, "latin1");
  archive.set(data, field + padding);
}

function writeCentral(archive: Buffer, at: number, { name }: ZipEntry, common: Buffer, start: number): number {
  archive.write("PK\x01\x02", at, "latin1");
  archive.set(common, at + 6);
  archive.writeUInt32LE(start, at + 42);
  return at + CENTRAL_HEADER + archive.write(name, at + CENTRAL_HEADER, "latin1");
}
