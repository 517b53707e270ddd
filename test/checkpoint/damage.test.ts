import { describe, expect, test } from "vitest";
import { decodePth, encodePth } from "../../src/checkpoint/pth.js";
import { decodeSafetensors } from "../../src/checkpoint/safetensors.js";
import { encodeSafetensors } from "../../src/checkpoint/save.js";
import { DistilleryError, LongTensor, Tensor } from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import { archive, bytesOfFixture, dictOf, op, refusal, tensorOps } from "./support.js";

const folder = temporaryFolder();
const state = {
  w: new Tensor(Float32Array.of(1, 2, 3), [3]),
  n: new LongTensor(BigInt64Array.of(5n), []),
};
const files: [string, Uint8Array, (bytes: Uint8Array) => Promise<unknown>][] = [
  [".pth", encodePth(state, { ordered: true }), (bytes) => decodePth(bytes, "x")],
  ["PyTorch's .pth", bytesOfFixture("plain_dict.pth"), (bytes) => decodePth(bytes, "x")],
  ["PyTorch's .pth before 1.6", bytesOfFixture("legacy/ckpt_epoch_240.pth"), (bytes) => decodePth(bytes, "x")],
  [".safetensors", encodeSafetensors(state, { k: "v" }), async (bytes) => decodeSafetensors(bytes, "x")],
];

/** "read", the code of a DistilleryError, or any other error as it is. */
async function outcome(reading: Promise<unknown>): Promise<unknown> {
  return reading.then(
    () => "read",
    (error: unknown) => (error instanceof DistilleryError ? error.code : error),
  );
}

describe.each(files)("%s", (_, whole, decode) => {
  test("cut at every length it is BAD_CHECKPOINT, never another error", async () => {
    const outcomes = new Set<unknown>();
    for (let length = 0; length < whole.length; length++) outcomes.add(await outcome(decode(whole.slice(0, length))));
    expect([...outcomes]).toEqual(["BAD_CHECKPOINT"]);
    expect(await outcome(decode(whole))).toBe("read");
  });

  test("with any byte changed it is read or BAD_CHECKPOINT, never another error", async () => {
    const outcomes = new Set<unknown>();
    for (let at = 0; at < whole.length; at++) {
      const damaged = whole.slice();
      damaged[at] ^= [0x01, 0x80, 0xff][at % 3] as number;
      outcomes.add(await outcome(decode(damaged)));
    }
    expect([...outcomes].filter((one) => one !== "read")).toEqual(["BAD_CHECKPOINT"]);
  });
});

test("a pickle with any byte changed, its checksum made right again, is read or BAD_CHECKPOINT", async () => {
  const pickle = dictOf(`${tensorOps()}${op.text("v")}${tensorOps({ shape: "K\x02\x85" })}`);
  // The instructions that are understood, and a few that are not.
  const codes = "()GJKMNQRX]abcehjqrstu}.\x80\x81\x85\x86\x87\x88\x89\x8a\x00\x01\xff";
  const outcomes = new Set<unknown>();
  for (let at = 0; at < pickle.length; at++) {
    // A third of them in each byte: all of them in three bytes in a row.
    for (const code of [...codes].filter((_, i) => i % 3 === at % 3)) {
      outcomes.add(await outcome(decodePth(archive(pickle.slice(0, at) + code + pickle.slice(at + 1)), "x")));
    }
  }
  expect([...outcomes].sort()).toEqual(["BAD_CHECKPOINT", "read"]);
});

test("a changed byte of the weights in a .pth file is always noticed", async () => {
  const whole = encodePth(state, { ordered: true });
  const at = Buffer.from(whole).indexOf(Buffer.from(Float32Array.of(1, 2, 3).buffer));
  for (let i = 0; i < 12; i++) {
    const damaged = whole.slice();
    damaged[at + i] ^= 1;
    expect(await refusal(folder, damaged)).toContain("its checksum is wrong");
  }
});

test.each<[string, Uint8Array, RegExp]>([
  ["empty", new Uint8Array(0), /is empty/],
  ["one byte", Uint8Array.of(0x50), /is neither a \.pth file of PyTorch nor a \.safetensors/],
  ["text", Buffer.from("Epoch [1/150] | KD Loss: 0.9846 | LR: 0.000031\n"), /is neither/],
  ["zeros", new Uint8Array(1000), /is neither/],
  ["gzip", Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0), /is compressed by gzip/],
  ["PK and nothing else", Buffer.from("PK"), /its zip archive is damaged/],
  ["a bare pickle", Buffer.from("\x80\x02}q\x00.", "latin1"), /a bare pickle/],
])("a foreign file: %s", async (_, bytes, reason) => {
  expect(await refusal(folder, bytes)).toMatch(reason);
});
