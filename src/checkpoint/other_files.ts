import { basename } from "node:path";
import { show } from "../checks.js";
import { shellQuoted } from "../shell_quoted.js";
import { SAFE, saveAgain, TRUSTED } from "./bad_checkpoint.js";

/** The number at the start of PyTorch's format before 1.6, which is read if it is pickled by protocol 2. */
const LEGACY = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/** Its position: after the protocol and, from protocol 4 on, after the frame's length. */
const LEGACY_AT = [2, 11];
const HEAD = 512;
const TAR_AT = 257;

/** A kind of file that people pass instead of weights: how to recognise it, what it is, and how to fix it. */
type Kind = readonly [is: (head: string) => boolean, text: (file: string) => string];

const begins =
  (...starts: readonly string[]) =>
  (head: string) =>
    starts.some((start) => head.startsWith(start));
const beginsAsMarkup = (...starts: readonly string[]) => {
  const isMarkup = begins(...starts);
  return (head: string) => isMarkup(head.trimStart().toLowerCase());
};

const KINDS: readonly Kind[] = [
  [
    begins("version https://git-lfs"),
    (file) =>
      `a pointer of Git LFS, not the weights: git lfs pull --include=${shellQuoted(basename(file))} fetches them, in its folder`,
  ],
  [beginsAsMarkup("<!doctype html", "<html", "<head", "<body"), () => `an HTML page, not weights${DOWNLOAD}`],
  [beginsAsMarkup("<?xml"), () => `an XML text, not weights${DOWNLOAD}`],
  [begins("\x89HDF\r\n\x1a\n"), (file) => `an HDF5 file (.h5)${keras(file)}`],
  [
    isOnnx,
    (file) =>
      "an ONNX graph, which is not read: in Python, import onnx, onnx.numpy_helper as h, safetensors.numpy as s; " +
      `s.save_file({t.name: h.to_array(t) for t in onnx.load(${python(file)}).graph.initializer}, "weights.safetensors") writes its weights`,
  ],
  [
    begins("\x93NUMPY"),
    (file) => `a .npy file, one array of NumPy without a key: in Python, numpy.load(${python(file)}) reads it`,
  ],
  [
    isLegacy,
    (file) =>
      `PyTorch's format before 1.6, cut off or with another pickle protocol than 2, torch.save's default: ${saveAgain(file, TRUSTED)}`,
  ],
  [
    begins("\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"),
    (file) =>
      "a bare pickle, as pickle.dump writes it, which is not read: in Python, import pickle, torch; " +
      `torch.save(pickle.load(open(${python(file)}, "rb")), "weights.pth") mends it (it runs the file's code: only if you trust it)`,
  ],
  [begins("\x1f\x8b"), (file) => `compressed by gzip: gunzip ${shellQuoted(file)} unpacks it`],
  [begins("BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "7z\xbc\xaf", "Rar!"), () => "a compressed archive: unpack it first"],
  [
    (head) => head.trimStart().startsWith("{") && head.includes('"weight_map"'),
    (file) => {
      const all = `for f in set(json.load(open(${python(basename(file))}))["weight_map"].values())`;
      const line = (read: string) => `{k: v ${all} for k, v in ${read}.items()}`;
      return (
        "the index of weights in several files: in Python, in its folder, import json, torch, safetensors.torch as s; " +
        (/\.bin\./.test(file)
          ? `torch.save(${line("torch.load(f, weights_only=True)")}, "weights.pth")`
          : `s.save_file(${line("s.load_file(f)")}, "weights.safetensors")`) +
        " joins them"
      );
    },
  ],
  [begins("GGUF"), () => "a GGUF file of llama.cpp, whose quantized weights are not read"],
];

function isLegacy(head: string): boolean {
  return head.startsWith("\x80") && LEGACY_AT.some((at) => head.startsWith(LEGACY, at));
}

/** An ONNX protobuf begins with its version, followed by the producer, the domain or the graph. */
function isOnnx(head: string): boolean {
  const [first, version, field] = [0, 1, 2].map((at) => head.charCodeAt(at));
  return first === 0x08 && version > 0 && version < 0x20 && [0x12, 0x1a, 0x22, 0x3a, 0x42].includes(field);
}

const DOWNLOAD = ": a download got it in the place of the file: get the file itself, as curl -fLO URL does";

/** What a file is that is neither a `.pth` nor a `.safetensors` file, by its bytes, and how to fix it. */
export function otherFile(bytes: Uint8Array, file: string): string {
  if (bytes.length === 0) return "is empty";
  const head = Buffer.from(bytes.subarray(0, HEAD)).toString("latin1");
  const known = KINDS.find(([is]) => is(head));
  if (known !== undefined) return `is ${known[1](file)}`;
  if (head.startsWith("ustar", TAR_AT)) {
    return `is a tar archive: unpack it; if it is of PyTorch before 0.1.10, ${saveAgain(file, SAFE)}`;
  }
  const neither = "is neither a .pth file of PyTorch nor a .safetensors file";
  // Printable text: a server's response, or an index of other files.
  return /^[\s!-~]+$/.test(head) ? `${neither}, but a text: ${show(head.trim())}` : neither;
}

/** What a zip archive is that `torch.save` did not write, by the names of its entries. */
export function otherArchive(paths: readonly string[], file: string): string {
  if (paths.some((path) => path.endsWith(".weights.h5"))) return `a .keras file${keras(file)}`;
  if (paths.some((path) => path.endsWith(".npy"))) {
    const line = `torch.save({k: torch.from_numpy(z[k]) for k in z}, "weights.pth")`;
    return `a .npz file, arrays of NumPy: in Python, import numpy, torch; z = numpy.load(${python(file)}); ${line} converts it`;
  }
  if (paths.some((path) => /(^|\/)(models\/model|serialized_exported_program)\.json$/.test(path))) {
    const line = `torch.save(torch.export.load(${python(file)}).state_dict, "weights.pth")`;
    return `a program of torch.export: in PyTorch, ${line} writes its weights`;
  }
  const inner = paths.find((path) => /\.(pth?|ckpt|bin|safetensors)$/.test(path));
  if (inner !== undefined) return `a zip archive around ${show(inner)}: unzip ${shellQuoted(file)} unpacks it`;
  return "a zip archive, but not one of PyTorch: it has no data.pkl";
}

/** Keras stores a layer's weights as inputs x outputs, PyTorch as outputs x inputs. */
function keras(file: string): string {
  return (
    ", Keras's weights, which are not read: in Python, import keras, safetensors.numpy as s; " +
    `d = [l for l in keras.models.load_model(${python(file)}).layers if l.get_weights()]; ` +
    's.save_file({f"fc{i}.{n}": w.T.copy() for i, l in enumerate(d, 1) for n, w in zip(("weight", "bias"), l.get_weights())}, ' +
    '"weights.safetensors") writes those of its dense layers'
  );
}

function python(text: string): string {
  return JSON.stringify(text);
}
