import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { load } from "../../src/checkpoint/index.js";
import { zipStored } from "../../src/checkpoint/zip_writer.js";
import { temporaryFolder } from "../support.js";
import { archive, bytesOfFixture, dictOf, refusal, tensorOps } from "./support.js";

const folder = temporaryFolder();
const good = () => Buffer.from(archive(dictOf(tensorOps())));
const entry = (name: string, data = "x") => ({ name, data: Buffer.from(data, "latin1") });

/** The places of an entry's local and central header. */
function headers(bytes: Buffer, name: string): { local: number; central: number } {
  return { local: bytes.indexOf(name) - 30, central: bytes.lastIndexOf(name) - 46 };
}

/** Writes 16 or 32 bits into both headers of an entry; `at` counts in the local one. */
function patch(bytes: Buffer, name: string, at: number, value: number, width: 2 | 4): Buffer {
  const { local, central } = headers(bytes, name);
  bytes.writeUIntLE(value, local + at, width);
  bytes.writeUIntLE(value, central + at + 2, width);
  return bytes;
}

/** Writes 32 bits. */
function write(bytes: Buffer, value: number, at: number): Buffer {
  bytes.writeUInt32LE(value, at);
  return bytes;
}

test("a wrong checksum, in a used entry or in any other", async () => {
  for (const name of ["a/data/0", "a/byteorder"]) {
    const bytes = good();
    patch(bytes, name, 14, 0x12345678, 4);
    expect(await refusal(folder, bytes)).toContain(`entry "${name}" is damaged: its checksum is wrong`);
  }
});

test("an entry that is repeated", async () => {
  const twice = [entry("a/data.pkl"), entry("a/data/0"), entry("a/data/0", "y")];
  expect(await refusal(folder, zipStored(twice))).toContain("duplicate filename");
});

test.each(["a/../b", "../data.pkl", "/a/data.pkl", "C:/x", "a/./b", "a//b", "a\\..\\b", "a/\0"])(
  "the name %j",
  async (name) => {
    expect(await refusal(folder, zipStored([entry("a/data.pkl"), entry(name)]))).toMatch(
      /unsafe filename|lies outside/,
    );
  },
);

test("entries that overlap", async () => {
  const inner = zipStored([entry("a/data/1", "inner")]);
  const bytes = Buffer.from(
    zipStored([
      entry("a/data.pkl"),
      entry("a/data/0", Buffer.from(inner).toString("latin1")),
      entry("a/data/1", "inner"),
    ]),
  );
  const { central } = headers(bytes, "a/data/1");
  bytes.writeUInt32LE(headers(bytes, "a/data/1").local, central + 42);
  expect(await refusal(folder, bytes)).toMatch(/overlapping/);
});

test("two entries that share one place", async () => {
  const bytes = Buffer.from(zipStored([entry("a/data.pkl"), entry("a/data/0"), entry("a/data/1")]));
  bytes.writeUInt32LE(headers(bytes, "a/data/0").local, headers(bytes, "a/data/1").central + 42);
  expect(await refusal(folder, bytes)).toContain("mismatched local file header");
});

test("a bomb: compressed entries are refused before they are inflated", async () => {
  const zeros = deflateRawSync(Buffer.alloc(2 ** 26)).toString("latin1");
  const bytes = Buffer.from(zipStored([entry("a/data.pkl"), entry("a/data/0", zeros)]));
  patch(patch(bytes, "a/data/0", 8, 8, 2), "a/data/0", 22, 2 ** 26, 4);
  const before = process.memoryUsage().arrayBuffers;
  expect(await refusal(folder, bytes)).toContain('entry "a/data/0" is compressed');
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
});

test.each<[string, (bytes: Buffer) => Uint8Array, RegExp]>([
  ["encrypted", (b) => patch(b, "a/data/0", 6, 0x0801, 2), /"a\/data\/0" is encrypted/],
  ["sizes that differ", (b) => patch(b, "a/data/0", 22, 2 ** 31, 4), /compressed|damaged/],
  [
    "data past the end",
    (b) => patch(patch(b, "a/data/0", 18, 2 ** 31, 4), "a/data/0", 22, 2 ** 31, 4),
    /out of bounds/,
  ],
  ["zip64 sizes without their field", (b) => patch(b, "a/data/0", 22, 0xffffffff, 4), /zip64|damaged/],
  ["headers that disagree", (b) => write(b, 1, headers(b, "a/data/0").local + 18), /mismatched local file header/],
  ["bytes before", (b) => Buffer.concat([Buffer.from("PK, but not yet "), b]), /prepended data/],
  ["bytes after", (b) => Buffer.concat([b, Buffer.from("and more")]), /appended data/],
  ["two ends", (b) => Buffer.concat([b, b.subarray(-22)]), /trailing central directory data/],
  ["a directory of too many entries", (b) => write(b, 0xffffffff, b.length - 14), /damaged/],
  ["an offset past the end", (b) => write(b, 2 ** 31, b.length - 6), /damaged|not as PyTorch/],
])("%s", async (_, change, reason) => {
  expect(await refusal(folder, change(good()))).toMatch(reason);
});

test("the zip64 record of PyTorch's own files is accepted, another one in its place is not", async () => {
  const bytes = Buffer.from(bytesOfFixture("plain_dict.pth"));
  const record = bytes.lastIndexOf("PK\x06\x06");
  expect(record).toBeGreaterThan(0);
  bytes.write("PK\x06\x08", record, "latin1");
  expect(await refusal(folder, bytes)).toContain("trailing central directory data");
});

const pickle = entry("a/data.pkl", dictOf(tensorOps()));
const storage = entry("a/data/0", "\0".repeat(16));
test.each<[string, ReturnType<typeof entry>[], RegExp]>([
  ["no entries", [], /no data\.pkl/],
  [
    "another program's archive",
    [entry("word/document.xml")],
    /a zip archive, but not one of PyTorch: it has no data\.pkl/,
  ],
  ["an entry outside of the folder", [pickle, storage, entry("b/data/1")], /entry "b\/data\/1" lies outside of "a\/"/],
  ["no version", [pickle, storage], /entry "version" is missing/],
  ["an unknown version", [pickle, storage, entry("a/version", "11\n")], /format version "11\\n" is not known/],
  [
    "big-endian",
    [pickle, storage, entry("a/version", "3\n"), entry("a/byteorder", "big")],
    /byte order "big"; only "little"/,
  ],
  ["a folder as an entry", [pickle, storage, entry("a/version", "3\n"), entry("a/b/", "")], /"a\/b\/" is a folder/],
])("an archive with %s", async (_, entries, reason) => {
  expect(await refusal(folder, zipStored(entries))).toMatch(reason);
});

test("more entries than a checkpoint can have", async () => {
  const record = Buffer.alloc(47);
  record.write("PK\x01\x02", 0, "latin1");
  record.writeUInt16LE(1, 28);
  record.write("a", 46);
  const directory = Buffer.alloc(47 * 70_000, record);
  const end = Buffer.from(good().subarray(-22));
  end.writeUInt16LE(70_000 % 65_536, 8);
  end.writeUInt16LE(70_000 % 65_536, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(0, 16);
  expect(await refusal(folder, Buffer.concat([directory, end]))).toBe("more than 65536 entries in its archive");
});

test("PyTorch's zip64 end is no part of the directory, however long its first header is", async () => {
  for (let length = 1; length <= 60; length++) {
    const files = [
      entry("data.pkl", dictOf(tensorOps())),
      entry("byteorder", "little"),
      entry("data/0", "\0".repeat(16)),
      entry("version", "3\n"),
    ];
    const stem = "a".repeat(length);
    const plain = Buffer.from(zipStored(files.map(({ name, data }) => ({ name: `${stem}/${name}`, data }))));
    const at = plain.length - 22;
    const zip64 = Buffer.alloc(76);
    zip64.write("PK\x06\x06", 0, "latin1");
    zip64.writeUInt32LE(44, 4);
    zip64.writeUInt32LE(files.length, 24);
    zip64.writeUInt32LE(files.length, 32);
    zip64.writeUInt32LE(plain.readUInt32LE(at + 12), 40);
    zip64.writeUInt32LE(plain.readUInt32LE(at + 16), 48);
    zip64.write("PK\x06\x07", 56, "latin1");
    zip64.writeUInt32LE(at, 64);
    zip64.writeUInt32LE(1, 72);
    const file = join(folder, `${length}.pth`);
    writeFileSync(file, Buffer.concat([plain.subarray(0, at), zip64, plain.subarray(at)]));
    expect(Object.keys(await load(file)), String(length)).toEqual(["w"]);
  }
});
