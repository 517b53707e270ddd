import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Fields of TensorFlow's event.proto and summary.proto. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7, sourceMetadata: 10 } as const;
const SOURCE_METADATA = { writer: 1 } as const;
const SESSION_LOG = { status: 1 } as const;
const SUMMARY = { value: 1 } as const;
const VALUE = { tag: 1, simpleValue: 2 } as const;

const SESSION_START = 1;

/**
 * The records that an event file begins with: its version, and the start of a session, at which a TensorBoard that is
 * running forgets the steps from `step` on that it has read in files before.
 */
export function openingRecords(wallTime: number, step: number): Uint8Array {
  const version = eventAt(wallTime).tag(EVENT.fileVersion, WireType.LengthDelimited).string("brain.Event:2");
  version.tag(EVENT.sourceMetadata, WireType.LengthDelimited).fork();
  version.tag(SOURCE_METADATA.writer, WireType.LengthDelimited).string("distillery").join();
  const session = eventAt(wallTime).tag(EVENT.step, WireType.Varint).int64(step);
  session.tag(EVENT.sessionLog, WireType.LengthDelimited).fork();
  session.tag(SESSION_LOG.status, WireType.Varint).int32(SESSION_START).join();
  return Buffer.concat([framed(version.finish()), framed(session.finish())]);
}

/** The scalars of a step under their tags; they are kept in single precision. */
export function scalarsRecord(wallTime: number, step: number, scalars: Readonly<Record<string, number>>): Uint8Array {
  const event = eventAt(wallTime).tag(EVENT.step, WireType.Varint).int64(step);
  event.tag(EVENT.summary, WireType.LengthDelimited).fork();
  for (const [tag, value] of Object.entries(scalars)) {
    event.tag(SUMMARY.value, WireType.LengthDelimited).fork();
    event.tag(VALUE.tag, WireType.LengthDelimited).string(tag);
    event.tag(VALUE.simpleValue, WireType.Bit32).float(value).join();
  }
  return framed(event.join().finish());
}

/** An Event, begun; the time is in seconds since 1970. */
function eventAt(wallTime: number): BinaryWriter {
  return new BinaryWriter().tag(EVENT.wallTime, WireType.Bit64).double(wallTime);
}

/** A record of a TFRecord file: length, its checksum, the data, its checksum. */
function framed(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(8 + 4 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length));
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return record;
}

/** Masked, as the checksum of data that hold checksums would be weak. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Castagnoli's polynomial, its bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** The checksum of each single byte. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/** CRC-32C of the bytes, as iSCSI (RFC 3720) and TFRecord files have it. Node's zlib has only the other CRC-32. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
