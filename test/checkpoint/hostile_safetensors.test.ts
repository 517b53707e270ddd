import { describe, expect, test } from "vitest";
import { decodeSafetensors, encodeSafetensors } from "../../src/checkpoint/index.js";
import { DistilleryError, LongTensor, Tensor } from "../../src/index.js";

/** A file of a header and as many bytes of data. */
function file(header: string | Uint8Array, data = 8, length?: bigint): Buffer {
  const text = Buffer.from(header);
  const bytes = Buffer.alloc(8 + text.length + data);
  bytes.writeBigUInt64LE(length ?? BigInt(text.length));
  bytes.set(text, 8);
  return bytes;
}

function refusal(bytes: Uint8Array): string {
  try {
    decodeSafetensors(bytes, "x.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(DistilleryError);
    expect((error as DistilleryError).code).toBe("BAD_CHECKPOINT");
    expect((error as DistilleryError).message).toMatch(/^x\.safetensors: /);
    return (error as DistilleryError).message;
  }
  throw new Error("nothing was thrown");
}

const tensor = (shape: string, offsets: string, dtype = "F32") =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const pair = tensor("[2]", "[0,8]");

test("the builder of these tests makes a file that is read", () => {
  const { tensors, metadata } = decodeSafetensors(file(`{"a":${pair},"__metadata__":{"k":"v"}}   `), "x");
  expect(tensors.a?.toArray()).toEqual([0, 0]);
  expect(metadata).toEqual({ k: "v" });
});

test("F64, F16 and BF16 are read as float32", () => {
  const header = `{"d":${tensor("[1]", "[0,8]", "F64")},"h":${tensor("[1]", "[8,10]", "F16")},"b":${tensor("[1]", "[10,12]", "BF16")}}`;
  const bytes = file(header, 12);
  const data = bytes.length - 12;
  bytes.writeDoubleLE(0.1, data);
  bytes.writeUInt16LE(0x3e00, data + 8);
  bytes.writeUInt16LE(0x3fc0, data + 10);
  const { d, h, b } = decodeSafetensors(bytes, "x").tensors;
  expect([d, h, b].map((t) => t instanceof Tensor && t.item())).toEqual([Math.fround(0.1), 1.5, 1.5]);
});

test("every float16 is read as its value", () => {
  const bytes = file(`{"h":${tensor("[65536]", "[0,131072]", "F16")}}`, 131072);
  for (let i = 0; i < 65536; i++) bytes.writeUInt16LE(i, bytes.length - 131072 + 2 * i);
  const got = decodeSafetensors(bytes, "x").tensors.h?.data as Float32Array;
  const wrong = Array.from(got).flatMap((value, i) => (Object.is(value, half(i)) ? [] : [[i, value, half(i)]]));
  expect(wrong).toEqual([]);
});

/** IEEE 754's own words. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, (bits & 1023) / 1024];
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

describe("refused", () => {
  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /too short/],
    ["seven bytes", new Uint8Array(7), /too short/],
    ["a header past the file", file("{}", 0, 3n), /truncated: its header has 3 bytes/],
    ["a header of 2^63 bytes", file("{}", 0, 2n ** 63n), /truncated: its header has 9223372036854775808/],
    ["an empty header", file("", 0), /does not begin with \{/],
    ["a space first", file(" {}", 0), /does not begin with \{/],
    ["an array", file("[]", 0), /does not begin with \{/],
    ["bad JSON", file('{"a":', 0), /its header is not JSON/],
    ["two values", file("{}{}", 0), /its header is not JSON/],
    ["bad UTF-8", file(Buffer.from('{"\xff":0}', "latin1"), 0), /its header is not UTF-8/],
    ["a byte order mark", file("\ufeff{}", 0), /does not begin with \{/],
    ["a key twice", file(`{"a":${pair},"a":${pair}}`), /the key "a" is repeated/],
    ["a key twice, once escaped", file(`{"a":${pair},"\\u0061" :${pair}}`), /the key "\\u0061" is repeated/],
    [
      "a field twice",
      file(`{"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}`),
      /the key "shape" is repeated/,
    ],
    ["metadata twice", file('{"__metadata__":{},"__metadata__":{}}', 0), /is repeated/],
    ["a text of quotes without an end", file(`{"a":"${'\\"'.repeat(100_000)}`, 0), /its header is not JSON/],
    ["deep nesting", file(`{"a":${"[".repeat(100_000)}`, 0), /nested deeper than 3/],
    ["a gap at the begin", file(`{"a":${tensor("[1]", "[4,8]")}}`), /"a" leaves a gap/],
    ["a gap between", file(`{"a":${pair},"b":${tensor("[1]", "[12,16]")}}`, 16), /"b" leaves a gap/],
    ["a gap at the end", file(`{"a":${pair}}`, 9), /1 bytes follow its last tensor/],
    ["an overlap", file(`{"a":${pair},"b":${tensor("[1]", "[4,8]")}}`), /"b" overlaps/],
    ["the same place twice", file(`{"a":${pair},"b":${pair}}`), /"b" overlaps/],
    ["data past the file", file(`{"a":${tensor("[4]", "[0,16]")}}`), /truncated: its tensors end at/],
    ["2^50 elements", file(`{"a":${tensor("[1125899906842624]", "[0,8]")}}`), /length of 1125899906842624/],
    ["a product past 2^53", file(`{"a":${tensor("[2147483647,2147483647]", "[0,8]")}}`), /impossible shape/],
    [
      "a product that wraps in 64 bits",
      file(`{"a":${tensor("[65536,65536,65536,65536,2]", "[0,8]")}}`),
      /impossible shape/,
    ],
    [
      "a shape larger than its bytes",
      file(`{"a":${tensor("[3]", "[0,8]")}}`),
      /expected 12 bytes for \[3\] in F32, got 8/,
    ],
    ["a negative length", file(`{"a":${tensor("[-2]", "[0,8]")}}`), /length of -2/],
    ["half a length", file(`{"a":${tensor("[0.5]", "[0,2]")}}`), /length of 0\.5/],
    ["a length that is a text", file(`{"a":${tensor('["2"]', "[0,8]")}}`), /"a"\."shape"\."0"/],
    ["65 axes", file(`{"a":${tensor(`[2${",1".repeat(64)}]`, "[0,8]")}}`), /65 axes/],
    ["offsets backwards", file(`{"a":${tensor("[2]", "[8,0]")}}`), /got -8/],
    ["negative offsets", file(`{"a":${tensor("[2]", "[-8,0]")}}`), /"a"\."data_offsets"/],
    ["one offset", file(`{"a":${tensor("[2]", "[0]")}}`), /"a"\."data_offsets"/],
    ["offsets past 2^53", file(`{"a":${tensor("[2]", "[9007199254740992,9007199254741000]")}}`), /"a"\."data_offsets"/],
    ["an unknown type", file(`{"a":${tensor("[8]", "[0,8]", "F8_E4M3")}}`), /"a" is of type "F8_E4M3"; only F32/],
    ["an unknown field", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`), /"a": /],
    ["a missing field", file(`{"a":{"dtype":"F32","shape":[2]}}`), /"a"\."data_offsets"/],
    ["a tensor that is null", file('{"a":null}'), /"a": /],
    ["metadata that is no text", file('{"__metadata__":{"k":1}}', 0), /"__metadata__"\."k"/],
    ["metadata that is an array", file('{"__metadata__":[]}', 0), /"__metadata__"/],
  ])("%s", (_, bytes, reason) => {
    expect(refusal(bytes)).toMatch(reason);
  });
});

test("the order of places need not be that of the keys", () => {
  const bytes = file(`{"b":${tensor("[1]", "[4,8]")},"a":${tensor("[1]", "[0,4]")},"none":${tensor("[0]", "[4,4]")}}`);
  expect(Object.keys(decodeSafetensors(bytes, "x").tensors)).toEqual(["b", "a", "none"]);
});

test("names and texts that no reader would accept are not written", () => {
  const tensors = { a: new Tensor(Float32Array.of(1), [1]), n: new LongTensor(BigInt64Array.of(1n), [1]) };
  expect(() => encodeSafetensors(tensors, { note: "x".repeat(100_000_000) })).toThrow(
    /tensors: expected names and texts of at most 100000000 bytes/,
  );
  const note = "x".repeat(2 ** 24);
  expect(decodeSafetensors(encodeSafetensors(tensors, { note }), "x").metadata.note).toBe(note);
});
