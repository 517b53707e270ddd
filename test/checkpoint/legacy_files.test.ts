import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectCheckpoint, load, loadCheckpoint, loadNetwork } from "../../src/checkpoint/index.js";
import { failure, temporaryFolder } from "../support.js";
import { dictOf, fixture, legacy, legacyStorageOps, op, refusal, tensorOps } from "./support.js";

const folder = temporaryFolder();
const loose = { allowNonFinite: true };
const old = (name: string) => fixture(`legacy/${name}`);
/** Where torch.save's default wrote the same values. */
const zipped = (name: string) =>
  fixture(/^(data|lightning|trained|protocol5|tagged)[_.]/.test(name) ? `found/${name}` : name);

/** What reading gives; the text of an error without names and places that differ. */
async function outcome(reading: Promise<unknown>, file: string): Promise<unknown> {
  return reading.catch(({ message }: Error) =>
    message.replaceAll(file, "FILE").replace(/(data\.pkl|its pickle) at byte \d+/, "PLACE"),
  );
}

describe("PyTorch's format before 1.6 gives what its archives give", () => {
  test.each([
    "bfloat16.pth",
    "columns.pth",
    "complex.pth",
    "data_parallel.pth",
    "double.pth",
    "empty.pth",
    "expanded.pth",
    "foreign_weights.pth",
    "half.pth",
    "hostile.pth",
    "integers.pth",
    "lightning.ckpt",
    "module.pth",
    "narrow.pth",
    "nested.pth",
    "non_finite.pth",
    "numpy.pth",
    "others.pth",
    "parameter.pth",
    "plain_dict.pth",
    "plain_values.pth",
    "state_dict.pth",
    "strided.pth",
    "tagged.pth",
    "tensor.pth",
    "trained.pth",
    "two_models.pth",
    "zero_size.pth",
  ])("%s, as weights and as a whole checkpoint", async (name) => {
    const read = async (file: string) => {
      const notes: string[] = [];
      const onNote = (text: string) => notes.push(text.replaceAll(file, "FILE"));
      const weights = await outcome(load(file, { ...loose, onNote }), file);
      const summary = await outcome(inspectCheckpoint(file), file);
      const whole = await outcome(loadCheckpoint(file, loose), file);
      const finite = await outcome(load(file), file);
      return {
        weights,
        notes,
        whole,
        finite,
        summary: typeof summary === "string" ? summary : { ...(summary as object), bytes: 0 },
      };
    };
    expect(await read(old(name))).toEqual(await read(zipped(name)));
  });

  test("nothing of a file is run", () => expect(existsSync("pwned.txt")).toBe(false));

  test("tensors that share a storage share memory", async () => {
    const { row, flat } = await load(old("strided.pth"));
    expect(row?.data.buffer).toBe(flat?.data.buffer);
  });

  test("{ epoch, model, best_acc } of RepDistiller and mdistiller is a network", async () => {
    const notes: string[] = [];
    const options = { network: "mlp(hidden=[4])", onNote: (text: string) => notes.push(text) };
    const [network, expected] = await Promise.all(
      ["ckpt_epoch_240.pth", "ckpt_epoch_240.zip.pth"].map((name) => loadNetwork(old(name), options)),
    );
    expect(network?.stateDict()).toEqual(expected?.stateDict());
    expect(notes).toContain(`${old("ckpt_epoch_240.pth")}: left out "best_acc" (a tensor)`);
    expect(await loadCheckpoint(old("ckpt_epoch_240.pth"))).toMatchObject({
      epoch: 240,
      best_acc: { data: Float32Array.of(72.34) },
    });
  });
});

test("tensors of PyTorch before 0.4, and parts of storages", async () => {
  const { all, part, other } = await load(old("views.pth"));
  expect(all?.data).toEqual(Float32Array.from({ length: 12 }, (_, i) => i));
  expect(part?.toArray()).toEqual([
    [5, 7],
    [6, 8],
  ]);
  expect(other?.data).toEqual(Float32Array.of(0, 1));
  expect(all?.shape).toEqual([3, 4]);
});

describe("refused in one line", () => {
  const weights = (parts: Parameters<typeof tensorOps>[0] = {}) =>
    dictOf(tensorOps({ storage: legacyStorageOps(), ...parts }));
  const storage = (...args: Parameters<typeof legacyStorageOps>) => weights({ storage: legacyStorageOps(...args) });
  const part = (offset: number, count: number) => op.tuple(op.text("1"), op.int(offset), op.int(count));
  const big = { storage: legacyStorageOps("0", 4, "FloatStorage", part(0, 3)) };
  const data = { 0: new Uint8Array(16) };

  test("the builder of these tests makes a file that loads", async () => {
    const file = join(folder, "good.pth");
    writeFileSync(file, legacy(weights(), { 0: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer) }));
    expect((await load(file)).w?.data).toEqual(Float32Array.of(1, 2, 3, 4));
    writeFileSync(file, legacy(weights({ ...big, shape: op.tuple(op.int(2)), offset: op.int(1) }), data));
    expect((await load(file)).w?.shape).toEqual([2]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["another version", legacy(weights(), data, { version: op.int(1002) }), /version is not 1001/],
    [
      "a machine that is no dict",
      legacy(weights(), data, { machine: "N" }),
      /does not say whether it is little-endian/,
    ],
    [
      "a byte order twice",
      legacy(weights(), data, { machine: `}(${`${op.text("little_endian")}\x88`.repeat(2)}u` }),
      /does not say whether/,
    ],
    ["no list of storages", legacy(weights(), data, { keys: "}" }), /the list of its storages is none/],
    ["a list of numbers", legacy(weights(), data, { keys: "]K\x00a" }), /the list of its storages holds a number/],
    [
      "a storage twice",
      legacy(weights(), { ...data, "": new Uint8Array(0) }, { keys: `](${op.text("0")}${op.text("0")}e` }),
      /has "0", twice/,
    ],
    ["a storage of no tensor", legacy(weights(), { ...data, 1: new Uint8Array(4) }), /has "1", of no tensor/],
    ["a storage that is not listed", legacy(weights(), {}), /the storage "0" is missing in the file's list/],
    ["bytes behind the last storage", legacy(weights(), data, { rest: "x" }), /1 bytes follow its last storage/],
    [
      "fewer elements than its tensors say",
      legacy(weights(), { 0: new Uint8Array(12) }),
      /is cut off: the storage "0"/,
    ],
    [
      "a count of fewer elements",
      legacy(weights(), { 0: new Uint8Array(12) }, { rest: "\0\0\0\0" }),
      /the storage "0" has 3 elements, its tensors say 4/,
    ],
    ["a count of -1", legacy(weights(), {}, { keys: `]${op.text("0")}a`, rest: "\xff".repeat(24) }), /has -1 elements/],
    ["2^40 elements", legacy(storage("0", 2 ** 40)), /is cut off: .* of 1099511627776 elements of 4 bytes/],
    ["2^53 - 1 elements", legacy(storage("0", 2 ** 53 - 1)), /is cut off/],
    ["a negative count", legacy(weights().replace(op.int(4), "J\xff\xff\xff\xff")), /a storage with -1 elements/],
    [
      "a storage of two lengths",
      legacy(
        dictOf(
          `${tensorOps({ storage: legacyStorageOps() })}${op.text("v")}${tensorOps({ storage: legacyStorageOps("0", 3) })}`,
        ),
      ),
      /the storage "0" with another length than before/,
    ],
    [
      "a storage of two types",
      legacy(
        dictOf(
          `${tensorOps({ storage: legacyStorageOps() })}${op.text("v")}${tensorOps({ storage: legacyStorageOps("0", 4, "IntStorage") })}`,
        ),
      ),
      /"v" shares a storage with a tensor of another type/,
    ],
    [
      "a type whose length is not known",
      legacy(storage("0", 4, "OddStorage")),
      /"torch\.OddStorage": elements of this type are not read/,
    ],
    ["an id of the archives", legacy(dictOf(tensorOps())), /BINPERSID of something else/],
    [
      "a module that is a text",
      legacy(dictOf(`${op.tuple(op.text("module"), "N", "N", "N")}Q`)),
      /BINPERSID of something else/,
    ],
    ["a part past its storage", legacy(storage("0", 4, "FloatStorage", part(2, 3))), /a part that does not lie in its/],
    ["a part that is a text", legacy(storage("0", 4, "FloatStorage", op.text("x"))), /a part that does not lie in its/],
    ["a tensor past its part", legacy(weights(big)), /"w" reaches element 3 of a storage of 3/],
    ["a tensor past its storage", legacy(weights({ offset: op.int(1) })), /"w" reaches element 4 of a storage of 4/],
    [
      "an old tensor with more arguments",
      legacy(weights().replace("_rebuild_tensor_v2", "_rebuild_tensor")),
      /_rebuild_tensor with other arguments/,
    ],
    [
      "a list that calls",
      legacy(weights(), data, { keys: `${op.global("os", "system")}${op.tuple(op.text("echo"))}R` }),
      /the list of its storages at byte \d+ \(GLOBAL\): GLOBAL "os\.system" is not allowed/,
    ],
    [
      "a huge pickle",
      legacy(`${op.proto}${op.text("a".repeat(2 ** 24))}.`, {}),
      /its pickle, what lies beside the tensors, has more than 16777216 bytes/,
    ],
    ["a lie of 4 GiB", legacy(`${op.proto}X\xff\xff\xff\xffabc.`), /the pickle ends too early/],
  ])("%s", async (_, bytes, reason) => {
    const message = await refusal(folder, bytes);
    expect(message).toMatch(reason);
    expect(message).not.toContain("\n");
  });

  test("a big-endian machine's, and another pickle protocol, with what mends it", async () => {
    for (const [name, reason] of [
      ["big_endian.pth", "of a big-endian machine; only little-endian is read: in Python, torch.save(torch.load("],
      [
        "protocol5.pth",
        "or with another pickle protocol than 2, torch.save's default: in Python, torch.save(torch.load(",
      ],
    ] as const) {
      expect((await failure(load(old(name)), "BAD_CHECKPOINT")).message).toContain(reason);
      await failure(loadCheckpoint(old(name)), "BAD_CHECKPOINT");
    }
  });

  test("one that Python 2 wrote, with what mends it", async () => {
    const message = await refusal(folder, legacy(weights(), data, { machine: "}U\x0dlittle_endian\x88s" }));
    expect(message).toContain(
      "(SHORT_BINSTRING): a text of Python 2, which is not read: in Python, torch.save(torch.load(",
    );
    expect(message).toContain('weights_only=True), "weights.pth") mends it');
  });

  test("a tar archive of PyTorch before 0.1.10, with what mends it", async () => {
    const tar = new Uint8Array(1024);
    tar.set(Buffer.from("sys_info"));
    tar.set(Buffer.from("ustar"), 257);
    expect(await refusal(folder, tar)).toContain(
      "is a tar archive: unpack it; if it is of PyTorch before 0.1.10, in Python, torch.save(torch.load(",
    );
  });

  test("a whole network, with the line that saves its state dict", async () => {
    const { message } = await failure(load(old("module.pth")), "BAD_CHECKPOINT");
    expect(message).toContain('is a whole network, pickled by its class "torch.nn.modules.container.Sequential"');
    expect(message).toContain('weights_only=False).state_dict(), "weights.pth") mends it');
  });
});
