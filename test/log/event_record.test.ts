import { expect, test } from "vitest";
import { crc32c } from "../../src/log/event_record.js";
import { bitwiseCrc } from "./event_reader.js";

const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);

test.each<[string, Uint8Array, number]>([
  ["nothing", new Uint8Array(0), 0],
  ["RFC 3720 B.4: 32 bytes of zeroes", new Uint8Array(32), 0x8a9136aa],
  ["RFC 3720 B.4: 32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["RFC 3720 B.4: 32 bytes that go up", ascending, 0x46dd794e],
  ["RFC 3720 B.4: 32 bytes that go down", ascending.toReversed(), 0x113fdb5c],
  ["the check value of CRC-32C", Buffer.from("123456789"), 0xe3069283],
])("%s", (_, bytes, crc) => {
  expect(crc32c(bytes)).toBe(crc);
  expect(bitwiseCrc(bytes)).toBe(crc);
});
