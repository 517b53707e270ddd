import { readFileSync } from "node:fs";

/** An Event of an event file. */
interface ReadEvent {
  wallTime: number;
  step: number;
  fileVersion?: string;
  writer?: string;
  /** 1 where a session starts. */
  session?: number;
  scalars?: [tag: string, value: number][];
}

/** Reads an event file by the formats' definitions alone, with every checksum looked at. */
export function readEvents(file: string): ReadEvent[] {
  const bytes = readFileSync(file);
  const events: ReadEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expectChecksum(bytes.readUInt32LE(at + 8), bytes.subarray(at, at + 8), `length at ${at}`);
    expectChecksum(bytes.readUInt32LE(at + 12 + length), data, `record at ${at}`);
    events.push(eventOf(data));
    at += 16 + length;
  }
  return events;
}

function expectChecksum(stored: number, data: Uint8Array, what: string): void {
  const masked = (stored - 0xa282ead8) >>> 0;
  const crc = ((masked << 15) | (masked >>> 17)) >>> 0;
  if (crc !== bitwiseCrc(data)) throw new Error(`${what}: wrong checksum`);
}

/** By the definition, a bit at a time. */
export function bitwiseCrc(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    for (let bit = 0; bit < 8; bit++) {
      const odd = ((crc ^ (byte >>> bit)) & 1) === 1;
      crc = (crc >>> 1) ^ (odd ? 0x82f63b78 : 0);
    }
  }
  return ~crc >>> 0;
}

function eventOf(data: Uint8Array): ReadEvent {
  const event: ReadEvent = { wallTime: Number.NaN, step: 0 };
  for (const [number, value] of fieldsOf(data)) {
    if (number === 1) event.wallTime = Buffer.from(value as Uint8Array).readDoubleLE();
    else if (number === 2) event.step = value as number;
    else if (number === 3) event.fileVersion = String(Buffer.from(value as Uint8Array));
    else if (number === 5) event.scalars = fieldsOf(value as Uint8Array).map(([, scalar]) => scalarOf(scalar));
    else if (number === 7) event.session = fieldsOf(value as Uint8Array)[0]?.[1] as number;
    else if (number === 10) event.writer = String(Buffer.from(fieldsOf(value as Uint8Array)[0]?.[1] as Uint8Array));
    else throw new Error(`unknown field ${number} of an Event`);
  }
  return event;
}

function scalarOf(value: number | Uint8Array): [string, number] {
  const [[tag, text], [kind, bits]] = fieldsOf(value as Uint8Array) as [[number, Uint8Array], [number, Uint8Array]];
  if (tag !== 1 || kind !== 2) throw new Error(`a value with the fields ${tag} and ${kind}`);
  return [String(Buffer.from(text)), Buffer.from(bits).readFloatLE()];
}

/** A message's fields: whole numbers, and the bytes of everything else. */
function fieldsOf(data: Uint8Array): [number: number, value: number | Uint8Array][] {
  let at = 0;
  const varint = () => {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = data[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const fields: [number, number | Uint8Array][] = [];
  while (at < data.length) {
    const tag = varint();
    const lengths = new Map([
      [1, () => 8],
      [2, varint],
      [5, () => 4],
    ]);
    const length = lengths.get(tag & 7)?.();
    fields.push([tag >>> 3, length === undefined ? varint() : data.subarray(at, at + length)]);
    at += length ?? 0;
  }
  return fields;
}
