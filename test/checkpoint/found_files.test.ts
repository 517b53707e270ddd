import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fingerprint, inspectCheckpoint, load, loadCheckpoint, loadNetwork, save } from "../../src/checkpoint/index.js";
import { zipStored } from "../../src/checkpoint/zip_writer.js";
import {
  BatchNorm1d,
  Linear,
  Module,
  networkFrom,
  Sequential,
  type StateDict,
  StudentNet,
  TeacherNet,
  Tensor,
} from "../../src/index.js";
import { cpuTime } from "../helpers/cpu_time.js";
import { failure, temporaryFolder } from "../support.js";
import { archive, fixture, op, tensorOps } from "./support.js";

const found = (name: string) => fixture(`found/${name}`);
const folder = temporaryFolder();
const plain = (): Promise<StateDict> => load(found("plain.pth"));
const plainHash = async () => fingerprint(await plain());
const student = () => new StudentNet({ inFeatures: 2, hidden: [3, 3], classes: 2 });

describe("what wrappers put before all keys", () => {
  test.each([
    ["data_parallel.pth", "module."],
    ["compiled.pth", "_orig_mod."],
    ["compiled_parallel.pth", "_orig_mod.module."],
    ["averaged.pth", "module."],
    ["averaged_parallel.pth", "module.module."],
    ["net.pth", "net."],
    ["student.pth", "student."],
    ["ema.pth", "ema."],
    ["model._orig_mod.pth", "model._orig_mod."],
    ["student.model.net.pth", "student.model.net."],
  ])("%s: %s is taken off and told in one note", async (name, prefix) => {
    const notes: string[] = [];
    const network = await loadNetwork(found(name), { onNote: (text) => notes.push(text) });
    expect(network).toBeInstanceOf(StudentNet);
    expect(fingerprint(network.stateDict())).toBe(await plainHash());
    expect(notes).toEqual([`${found(name)}: took "${prefix}" off all keys`]);
    expect(
      fingerprint(
        student()
          .loadStateDict(await load(found(name)))
          .stateDict(),
      ),
    ).toBe(await plainHash());
    const named = await loadNetwork(found(name), { network: "student(hidden=[3, 3])" });
    expect(fingerprint(named.stateDict())).toBe(await plainHash());
    expect((await inspectCheckpoint(found(name))).tensors.at(-1)?.key, "as they are in the file").toContain(prefix);
  });

  test("stays where the network's own keys have it", async () => {
    class Wrapped extends Module {
      model = new Sequential(new Linear(2, 2), new BatchNorm1d(2));
      override forward(x: Parameters<Sequential["forward"]>[0]) {
        return this.model.forward(x);
      }
    }
    const [from, to] = [new Wrapped(), new Wrapped()];
    expect(to.loadStateDict(from.stateDict()).stateDict()).toEqual(from.stateDict());
  });

  test("is not taken off if the rest does not fit: the error has the file's keys", async () => {
    const state = await load(found("data_parallel.pth"));
    const network = student();
    const { "module.fc1.bias": bias, ...rest } = state;
    expect(() => network.loadStateDict({ ...rest, "module.other": bias })).toThrow(
      /Missing key\(s\) in state_dict: "fc1\.weight".*\n.*Unexpected key\(s\) in state_dict: "module\.fc1\.weight"/,
    );
  });

  test("others by stripPrefix, which the error names", async () => {
    const notes: string[] = [];
    const onNote = (text: string) => notes.push(text);
    const options = { stripPrefix: "backbone.", onNote };
    const backbone = await loadNetwork(found("backbone.pth"), options);
    expect(fingerprint(backbone.stateDict())).toBe(await plainHash());
    expect(await load(found("distiller.pth"), { stripPrefix: "student.", onNote })).toEqual(await plain());
    expect(notes).toEqual([`${found("distiller.pth")}: left out 23 tensors whose keys do not begin with "student."`]);
    expect(await loadNetwork(found("distiller.pth"), { stripPrefix: "teacher." })).toBeInstanceOf(TeacherNet);
    const { message } = await failure(loadNetwork(found("distiller.pth")), "BAD_CHECKPOINT");
    expect(message).toContain(
      'those under "student." are: --strip-prefix student. reads them, in a program { stripPrefix',
    );
    const none = await failure(load(found("plain.pth"), { stripPrefix: "net." }), "BAD_CHECKPOINT");
    expect(none.message).toContain('no key begins with "net.", which was to be taken off: "fc1.weight"');
    await failure(load(found("plain.pth"), { stripPrefix: "" }), "BAD_ARGUMENT");
  });
});

test("a file of very many prefixes is refused at once", async () => {
  const names = Array.from({ length: 50_000 }, (_, i) => `k${i}.${"net.".repeat(i === 0 ? 20_000 : 1)}w`);
  const state = Object.fromEntries(names.map((name) => [name, new Tensor(new Float32Array(0), [0])]));
  const start = cpuTime();
  expect(() => networkFrom(state)).toThrow(expect.objectContaining({ code: "BAD_CHECKPOINT" }));
  expect(() => student().loadStateDict(state)).toThrow(expect.objectContaining({ code: "STATE_DICT_MISMATCH" }));
  // Each prefix by itself takes minutes.
  expect(cpuTime() - start).toBeLessThan(10_000);
});

test("BatchNorm of PyTorch before 0.4.1, without num_batches_tracked", async () => {
  const network = (await loadNetwork(found("batch_norm_0.4.0.pth"))) as TeacherNet;
  expect(network).toBeInstanceOf(TeacherNet);
  expect(network.bn1.numBatchesTracked).toBe(0);
  const state = await load(found("batch_norm_0.4.0.pth"));
  expect(Object.keys(state)).toHaveLength(20);
  const { "bn1.running_mean": _, ...rest } = state;
  expect(() => network.loadStateDict(rest)).toThrow('Missing key(s) in state_dict: "bn1.running_mean".');
});

describe("one state dict among other values", () => {
  test.each<[string, RegExp | null]>([
    ["lightning.ckpt", /left out "hyper_parameters" \(a value of "argparse\.Namespace"\)$/],
    [
      "trained.pth",
      /left out "args" .*"seed" \(a value of "int"\), "huge" .*"history" .*"file" \(a value of "str"\), \.\.\.$/,
    ],
    [
      "numbers_among.pth",
      /left out "epoch" \(a number\), "config" \(a value of "argparse\.Namespace"\), "name" \(a str\)$/,
    ],
    ["best_beside.pth", /left out "mean" \(a tensor\)$/],
    ["attributes.pth", null],
    ["parameters.pth", null],
    ["tagged.pth", null],
    ["deep.pth", null],
    ["pair.pth", null],
  ])("%s", async (name, note) => {
    const notes: string[] = [];
    const state = await load(found(name), { onNote: (text) => notes.push(text) });
    const keys = Object.entries(state).map(([key, tensor]): [string, typeof tensor] => [
      key.replace("model.", ""),
      tensor,
    ]);
    expect(Object.fromEntries(keys)).toEqual(await plain());
    if (note === null) expect(notes).toEqual([]);
    else expect(notes).toEqual([expect.stringMatching(note)]);
  });

  test("two are listed, keys joined by points reach further down", async () => {
    const { message } = await failure(load(found("two.pth")), "BAD_CHECKPOINT");
    expect(message).toContain(
      'state dicts are under "model", "model_ema": choose one, as in load(file, { key: "model" })',
    );
    expect(await load(found("two.pth"), { key: "model_ema" })).toEqual(await plain());
    expect(await load(found("deep.pth"), { key: "checkpoint.network" })).toEqual(await plain());
  });

  test.each([
    ["optimizer.pth", "holds an optimizer's state and no weights"],
    ["module_inside.pth", 'weights_only=False)["model"].state_dict(), "weights.pth")'],
    ["numpy_weights.pth", "holds NumPy arrays and no tensors: in Python, torch.save({k: torch.from_numpy(v)"],
    ["protocol5.pth", "pickle protocol 5: only 2 is read, torch.save's default: in Python, torch.save(torch.load("],
  ])("%s has none", async (name, text) => {
    expect((await failure(load(found(name)), "BAD_CHECKPOINT")).message).toContain(text);
  });
});

describe("what is no checkpoint says what it is, and the line that mends it", () => {
  const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 123456\n";
  const zip = (...names: string[]) => zipStored(names.map((name) => ({ name, data: Buffer.from("x") })));
  test.each<[string, Uint8Array | string, string]>([
    ["pointer.pth", lfs, "is a pointer of Git LFS, not the weights: git lfs pull --include="],
    ["page.pth", "<!DOCTYPE html>\n<html><head>", "is an HTML page, not weights: a download got it"],
    ["page.safetensors", "\n  <html lang=en>", "is an HTML page"],
    ["denied.pth", '<?xml version="1.0"?><Error>', "is an XML text, not weights"],
    [
      "answer.pth",
      "Entry not found",
      'is neither a .pth file of PyTorch nor a .safetensors file, but a text: "Entry not found"',
    ],
    ["error.json", '{"error":{"a":1}}', "but a text:"],
    ["keras.h5", "\x89HDF\r\n\x1a\n\0\0\0\0", "is an HDF5 file (.h5), Keras's weights"],
    ["net.keras", zip("metadata.json", "model.weights.h5"), "a .keras file, Keras's weights"],
    ["net.onnx", "\x08\x0a\x12\x07pytorch\x1a", "is an ONNX graph, which is not read: in Python, import onnx"],
    ["arrays.npz", zip("a.npy"), "a .npz file, arrays of NumPy: in Python"],
    ["array.npy", "\x93NUMPY\x01\0", "is a .npy file, one array of NumPy"],
    ["outer.zip", zip("net/model.pth"), 'a zip archive around "net/model.pth": unzip '],
    ["other.zip", zip("a.txt"), "a zip archive, but not one of PyTorch"],
    [
      "old.pth",
      "\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
      "is PyTorch's format before 1.6, cut off or with another pickle protocol than 2",
    ],
    [
      "program.pt2",
      zip("p/data/sample_inputs/model.pt", "p/models/model.json"),
      'program.pt2").state_dict, "weights.pth") writes its weights',
    ],
    [
      "model.safetensors.index.json",
      '{"metadata": {"total_size": 8}, "weight_map": {"w": "model-00001-of-00001.safetensors"}}',
      "is the index of weights in several files: in Python, in its folder, import json, torch, safetensors.torch as s; s.save_file({k: v for f in set(",
    ],
    ["pytorch_model.bin.index.json", '{"weight_map": {}}', 'torch.load(f, weights_only=True).items()}, "weights.pth")'],
    ["net.pkl", "\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.", "is a bare pickle, as pickle.dump writes it"],
    ["net.pth.gz", "\x1f\x8b\x08\0\0\0", "is compressed by gzip: gunzip "],
    ["empty.pth", "", "is empty"],
  ])("%s", async (name, content, text) => {
    const file = join(folder, name);
    writeFileSync(file, typeof content === "string" ? Buffer.from(content, "latin1") : content);
    const { message } = await failure(load(file), "BAD_CHECKPOINT");
    expect(message).toContain(text);
    expect(message).not.toContain("\n");
  });
});

describe("values beside the weights, and around them", () => {
  const written = (name: string, pickle: string) => {
    const file = join(folder, name);
    writeFileSync(file, archive(op.proto + pickle));
    return file;
  };
  const state = `}${op.text("w")}${tensorOps()}s`;

  test("a tuple of many numbers, and tuples that hold themselves", async () => {
    const key = op.text("more");
    const many = `(${"K\x07".repeat(20_000)}t`;
    // t = ([],); t[0].append(t), and the same with four: the list comes first, then what was begun is given up.
    const small = "]q\x05h\x05\x85q\x06a0h\x06";
    const large = "(]q\x07(h\x07NNNtq\x08aNNN1h\x08";
    for (const value of [many, small, large]) {
      const file = written("beside.pth", `}(${op.text("model")}${state}${key}${value}u.`);
      expect(Object.keys(await load(file))).toEqual(["w"]);
    }
  });

  test.each([
    ["collections", "defaultdict", "dict"],
    ["argparse", "Namespace", "vars"],
  ])("%s.%s around them is named with what takes it off", async (module, name, by) => {
    const foreign = `${op.global(module, name)}${op.global("__builtin__", "list")}\x85R`;
    const file = written("around.pth", `}(${op.text("state_dict")}${foreign}u.`);
    const all = `torch.load(${JSON.stringify(file)}, weights_only=False)`;
    const tail = " mends it (it runs the file's code: only if you trust it)";
    expect((await failure(load(file), "BAD_CHECKPOINT")).message).toBe(
      `${file}: holds under "state_dict" a value of "${module}.${name}", which is not read: in Python, torch.save(${by}(${all}["state_dict"]), "weights.pth")${tail}`,
    );
    expect((await failure(load(written("alone.pth", `${foreign}.`)), "BAD_CHECKPOINT")).message).toContain(
      `alone.pth: is a value of "${module}.${name}", which is not read: in Python, torch.save(${by}(torch.load(`,
    );
    expect((await failure(loadCheckpoint(file), "BAD_CHECKPOINT")).message).toContain(
      "load(file) reads the weights and leaves the rest out",
    );
  });

  test("of several files one does not fit, and says so", async () => {
    const file = join(folder, "model-00001-of-00002.safetensors");
    await save(new Linear(2, 2).stateDict(), file);
    const { message } = await failure(loadNetwork(file, { network: "student(hidden=[3, 3])" }), "STATE_DICT_MISMATCH");
    expect(message).toContain("; it is one of 2 files: ");
  });

  test("a checksum of 0 may be none", async () => {
    const file = join(folder, "unchecked.pth");
    const bytes = archive(`${op.proto}${state}.`);
    const buffer = Buffer.from(bytes);
    for (let at = 0; at < buffer.length - 4; at++) {
      const signature = buffer.toString("latin1", at, at + 4);
      if (signature === "PK\x03\x04") buffer.writeUInt32LE(0, at + 14);
      if (signature === "PK\x01\x02") buffer.writeUInt32LE(0, at + 16);
    }
    writeFileSync(file, buffer);
    expect((await failure(load(file), "BAD_CHECKPOINT")).message).toContain(
      "is damaged: its checksum is wrong, or it was written after set_crc32_options(False): in Python, torch.save(",
    );
  });
});
