import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { load } from "../../src/checkpoint/index.js";
import { zipStored } from "../../src/checkpoint/zip_writer.js";
import { failure } from "../support.js";

/** A file that PyTorch made with make_fixtures.py. */
export const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

/** The message with which loading these bytes is refused; it names the file. */
export async function refusal(folder: string, bytes: Uint8Array): Promise<string> {
  const file = join(folder, "hostile.bin");
  writeFileSync(file, bytes);
  const { message } = await failure(load(file), "BAD_CHECKPOINT");
  expect(message.startsWith(`${file}: `), message).toBe(true);
  return message.slice(file.length + 2);
}

export const bytesOfFixture = (name: string): Uint8Array => new Uint8Array(readFileSync(fixture(name)));

/** An archive as PyTorch writes it around a pickle, with the given storages. */
export function archive(pickle: string, storages: Record<string, Uint8Array> = { 0: new Uint8Array(16) }): Uint8Array {
  const file = (name: string, data: Uint8Array | string) => ({ name: `a/${name}`, data: Buffer.from(data) });
  return zipStored([
    { name: "a/data.pkl", data: Buffer.from(pickle, "latin1") },
    file("byteorder", "little"),
    ...Object.entries(storages).map(([key, data]) => file(`data/${key}`, data)),
    file("version", "3\n"),
  ]);
}

const little = (value: number, width: number) =>
  String.fromCharCode(...Array.from({ length: width }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256));

/** Instructions of a pickle, in latin1. */
export const op = {
  proto: "\x80\x02",
  text: (text: string) => `X${little(Buffer.byteLength(text), 4)}${Buffer.from(text).toString("latin1")}`,
  int: (value: number) => `\x8a\x08${little(value, 8)}`,
  global: (module: string, name: string) => `c${module}\n${name}\n`,
  tuple: (...items: string[]) => `(${items.join("")}t`,
  ordered: "ccollections\nOrderedDict\n)R",
};

/** A tensor's instructions; parts can be replaced by others. */
export function tensorOps(
  parts: Partial<Record<"storage" | "offset" | "shape" | "strides" | "requiresGrad" | "hooks" | "more", string>> = {},
): string {
  return (
    op.global("torch._utils", "_rebuild_tensor_v2") +
    op.tuple(
      parts.storage ?? storageOps(),
      parts.offset ?? op.int(0),
      parts.shape ?? op.tuple(op.int(4)),
      parts.strides ?? op.tuple(op.int(1)),
      parts.requiresGrad ?? "\x89",
      parts.hooks ?? op.ordered,
      parts.more ?? "",
    ) +
    "R"
  );
}

/** A storage's instructions; `part`: the last item of its id in the format before 1.6. */
export function storageOps(key = "0", count = 4, type = "FloatStorage", part = ""): string {
  const items = [op.text("storage"), op.global("torch", type), op.text(key), op.text("cpu"), op.int(count), part];
  return `${op.tuple(...items)}Q`;
}

/** The instructions of a storage in the format before 1.6. */
export const legacyStorageOps = (key = "0", count = 4, type = "FloatStorage", part = "N"): string =>
  storageOps(key, count, type, part);

/** A file of PyTorch's format before 1.6 around a pickle, with storages of 4 bytes an element; parts can be replaced. */
export function legacy(
  pickle: string,
  storages: Record<string, Uint8Array> = { 0: new Uint8Array(16) },
  parts: Partial<Record<"version" | "machine" | "keys" | "rest", string>> = {},
): Uint8Array {
  const { version = op.int(1001), machine = `}${op.text("little_endian")}\x88s`, rest = "" } = parts;
  const keys = parts.keys ?? `](${Object.keys(storages).map(op.text).join("")}e`;
  const head = `${op.proto}\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.${op.proto}${version}.${op.proto}${machine}.`;
  const contents = Object.values(storages).map(
    (data) => little(data.length / 4, 8) + Buffer.from(data).toString("latin1"),
  );
  return Uint8Array.from(Buffer.from(`${head}${pickle}${op.proto}${keys}.${contents.join("")}${rest}`, "latin1"));
}

/** The pickle of a dict with one tensor under "w". */
export const dictOf = (value: string): string => `${op.proto}}(${op.text("w")}${value}u.`;
