import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { DatasetInfo, PublicFile } from "../../../src/data/hub/catalog.js";
import { download } from "../../../src/data/hub/download.js";
import { type DownloadOptions, type DownloadProgress, downloadData } from "../../../src/data/index.js";
import { native } from "../../../src/native.js";
import { folderOf, refusal } from "../support.js";
import { breakOff, files, serve, stall, status } from "./server.js";

const noise = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * i * seed + 7 * i) % 251);
const content = { "a.bin": noise(100_000, 3), "b.bin": noise(5000, 5) };
const [a, b] = [content["a.bin"], content["b.bin"]];
const described = (name: string, bytes: Uint8Array): PublicFile => ({
  name,
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});
const info: DatasetInfo = {
  title: "two files",
  parts: "two files",
  format: "idx",
  files: [["a.bin"], ["b.bin"]],
  mirrors: [],
  downloads: [described("a.bin", a), described("b.bin", b)],
};

let cache = "";
beforeEach(() => {
  cache = folderOf({}, "cache");
  vi.stubEnv("DISTILLERY_CACHE", cache);
  vi.stubEnv("DISTILLERY_DATA", "");
  vi.stubEnv("DISTILLERY_MIRROR", "");
});
afterEach(() => vi.unstubAllEnvs());

const folder = () => join(cache, "pair");
/** What waits for a stall gives it less: a busy machine must not seem to have one. */
const fetchPair = (options: DownloadOptions, of = info, stallMs = 60_000) =>
  download("pair", of, options, { stallMs, retryMs: 1 });
const onDisk = (name: string) => new Uint8Array(readFileSync(join(folder(), name)));

function expectWhole(): void {
  expect(readdirSync(folder()).sort()).toEqual(["a.bin", "b.bin"]);
  // Not toEqual: it takes seconds for so many.
  expect(Buffer.compare(onDisk("a.bin"), a)).toBe(0);
  expect(Buffer.compare(onDisk("b.bin"), b)).toBe(0);
}

describe("a server that does its work", () => {
  test("brings all files, and tells how far it is", async () => {
    const { url } = await serve(files(content));
    const reported: DownloadProgress[] = [];
    const found = await fetchPair({ from: `${url}/some/folder//`, onProgress: (progress) => reported.push(progress) });
    expect(found).toEqual({ name: "pair", folder: folder(), files: ["a.bin", "b.bin"], bytes: 105_000 });
    expectWhole();
    expect(reported[0]).toEqual({ file: "a.bin", received: 0, bytes: 100_000, allReceived: 0, allBytes: 105_000 });
    const last = { file: "b.bin", received: 5000, bytes: 5000, allReceived: 105_000, allBytes: 105_000 };
    expect(reported.at(-1)).toEqual(last);
    const ofA = reported.flatMap(({ file, received }) => (file === "a.bin" ? [received] : []));
    expect(ofA).toEqual(ofA.toSorted((x, y) => x - y));
  });

  test("gets no request for files that exist", async () => {
    const { url, ranges } = await serve(files(content));
    await fetchPair({ from: url });
    await fetchPair({ from: url });
    expect(ranges.length).toBe(2);
  });

  test("gets a request for the missing file alone", async () => {
    mkdirSync(folder());
    writeFileSync(join(folder(), "a.bin"), a);
    const { url, ranges } = await serve(files(content));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges.length).toBe(1);
  });

  test("may send on to another address", async () => {
    const { url } = await serve(files(content));
    const from = await serve((request, response) => {
      response.writeHead(302, { location: `${url}${request.url}` }).end();
    });
    await fetchPair({ from: from.url });
    expectWhole();
  });

  test("is DISTILLERY_MIRROR's subfolder", async () => {
    const paths: (string | undefined)[] = [];
    const { url } = await serve((request, response) => {
      paths.push(request.url);
      files(content)(request, response);
    });
    vi.stubEnv("DISTILLERY_MIRROR", url);
    await fetchPair({});
    expect(paths).toEqual(["/pair/a.bin", "/pair/b.bin"]);
  });

  test("is the second where the first has nothing", async () => {
    const [first, second] = [await serve(status(404)), await serve(files(content))];
    await fetchPair({}, { ...info, mirrors: [first.url, second.url] });
    expectWhole();
  });
});

describe("going on", () => {
  test("within a call, where the connection broke off", async () => {
    const { url, ranges } = await serve(breakOff(a, 30_000), files(content));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges).toEqual([undefined, "bytes=30000-", undefined]);
  });

  test("in a later call, from what is there", async () => {
    const gone = await serve(breakOff(a, 40_000), status(503));
    expect(await refusal("IO_ERROR", () => fetchPair({ from: gone.url }))).toMatch(
      `${gone.url}/a.bin: 503 Service Unavailable: if it can't be reached, put a.bin, b.bin into ${folder()} by hand`,
    );
    expect(gone.ranges).toEqual([undefined, ...Array(4).fill("bytes=40000-")]);
    expect(readdirSync(folder())).toEqual(["a.bin.part"]);
    const { url, ranges } = await serve(files(content));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges).toEqual(["bytes=40000-", undefined]);
  });

  test("only with the same version", async () => {
    const old = await serve(breakOff(noise(100_000, 11), 40_000, { etag: '"old"' }), status(404));
    await refusal("NOT_FOUND", () => fetchPair({ from: old.url }));
    expect(readFileSync(join(folder(), "a.bin.part.etag"), "utf8")).toBe('"old"');
    const { url, ranges } = await serve(files(content, '"new"'));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges).toEqual(["bytes=40000-", undefined]);
  });

  test("from the start where the part turns out to be another file's", async () => {
    mkdirSync(folder());
    writeFileSync(join(folder(), "a.bin.part"), noise(40_000, 13));
    const { url, ranges } = await serve(files(content));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges).toEqual(["bytes=40000-", undefined, undefined]);
  });

  test("from the start where the server sends no parts", async () => {
    const whole = breakOff(a, a.length);
    const { url } = await serve(breakOff(a, 30_000), whole, breakOff(b, b.length));
    await fetchPair({ from: url });
    expectWhole();
  });

  test("from the start where it sends another part", async () => {
    const wrong = (_: unknown, response: import("node:http").ServerResponse) => {
      response.writeHead(206, { "content-range": "bytes 5-99999/100000" }).end(a.subarray(5));
    };
    const { url, ranges } = await serve(breakOff(a, 30_000), wrong, files(content));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges).toEqual([undefined, "bytes=30000-", undefined, undefined]);
  });

  test("a part that is longer than the file is thrown away", async () => {
    mkdirSync(folder());
    writeFileSync(join(folder(), "a.bin.part"), new Uint8Array(100_001));
    const { url, ranges } = await serve(files(content));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges).toEqual([undefined, undefined]);
  });

  test("a complete part is not requested again", async () => {
    mkdirSync(folder());
    writeFileSync(join(folder(), "a.bin.part"), a);
    const { url, ranges } = await serve(files(content));
    await fetchPair({ from: url });
    expectWhole();
    expect(ranges).toEqual([undefined]);
  });
});

test.skipIf(process.platform === "win32")("links in the place of a part are not followed", async () => {
  const outside = join(cache, "outside");
  writeFileSync(outside, "mine");
  mkdirSync(folder());
  for (const name of ["a.bin.part", "a.bin.part.etag", "b.bin.part"]) symlinkSync(outside, join(folder(), name));
  const { url } = await serve(files(content, '"v"'));
  await fetchPair({ from: url });
  expectWhole();
  expect(readFileSync(outside, "utf8")).toBe("mine");
});

describe("a server that stalls or lies", () => {
  const advice = () =>
    `: if it can't be reached, put a.bin, b.bin into ${folder()} by hand, or take a mirror (--from, DISTILLERY_MIRROR)`;

  test("a request to one that sends nothing for a while is repeated", async () => {
    const { url, ranges } = await serve(stall(a, 20_000), files(content));
    await fetchPair({ from: url }, info, 1000);
    expectWhole();
    expect(ranges).toEqual([undefined, "bytes=20000-", undefined]);
  });

  test("one that never answers", async () => {
    const { url, ranges } = await serve(() => {});
    expect(await refusal("IO_ERROR", () => fetchPair({ from: url }, info, 300))).toBe(
      `${url}/a.bin: sent nothing for 0.3 s${advice()}`,
    );
    expect(ranges.length).toBe(4);
  });

  test.each<[string, ReturnType<typeof status>, string, string, boolean]>([
    ["that is not there", status(404), "NOT_FOUND", "404 Not Found", true],
    ["that may not be read", status(403), "IO_ERROR", "403 Forbidden", true],
    [
      "of another size",
      files({ "a.bin": a.subarray(1) }),
      "BAD_DATA",
      "expected a file of 100000 bytes, the server has one of 99999",
      false,
    ],
    [
      "that is longer than announced",
      (_, response) => response.end(Buffer.concat([a, a])),
      "BAD_DATA",
      "expected a file of 100000 bytes, the server has one of 200000",
      false,
    ],
    [
      "that goes on for ever",
      (_, response) => void response.writeHead(200, { "transfer-encoding": "chunked" }).end(Buffer.concat([a, a])),
      "BAD_DATA",
      "sends more than the 100000 bytes of the file",
      false,
    ],
    [
      "that is shorter, and does not say so",
      (_, response) => void response.writeHead(200, { "transfer-encoding": "chunked" }).end(a.subarray(0, 1000)),
      "IO_ERROR",
      "broke off after 1000 of 100000 bytes",
      true,
    ],
    [
      "that is encoded",
      (_, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(a)),
      "BAD_DATA",
      "sends the file encoded as gzip",
      false,
    ],
    [
      "that is sent round in circles",
      (_, response) => void response.writeHead(302, { location: "/a.bin" }).end(),
      "IO_ERROR",
      "redirect count exceeded",
      true,
    ],
  ])("a file %s", async (_, answer, code, problem, isAdvised) => {
    const { url } = await serve(answer);
    const text = `${url}/a.bin: ${problem}${isAdvised ? advice() : ""}`;
    expect(await refusal(code, () => fetchPair({ from: url }))).toBe(text);
    expect(readdirSync(folder()).filter((name) => name.endsWith(".bin"))).toEqual([]);
  });

  test.each<[string, ReturnType<typeof status>, string, string]>([
    [
      "a redirect to a file",
      (_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end(),
      "IO_ERROR",
      "URL scheme",
    ],
    [
      "a redirect in circles",
      (_, response) => void response.writeHead(302, { location: "/a.bin" }).end(),
      "IO_ERROR",
      "redirect count",
    ],
    [
      "a redirect to no address",
      (_, response) => void response.writeHead(302, { location: "http://" }).end(),
      "IO_ERROR",
      "Invalid URL",
    ],
    [
      "a part that nobody asked for",
      (_, response) => void response.writeHead(206, { "content-range": "bytes 5-99999/100000" }).end(a.subarray(5)),
      "BAD_DATA",
      "was asked for the bytes from 0 on, sends those from 5 on",
    ],
    [
      "a part without its range",
      (_, response) => void response.writeHead(206).end(a),
      "BAD_DATA",
      "content-range: expected",
    ],
    ["no range at all", status(416), "BAD_DATA", "it has no bytes from 0 on"],
  ])("what will not pass is reported at once: %s", async (_, answer, code, problem) => {
    const { url } = await serve(answer);
    const start = performance.now();
    const retryMs = 60_000;
    const call = () => download("pair", info, { from: url }, { stallMs: 60_000, retryMs });
    expect(await refusal(code, call)).toContain(problem);
    expect(performance.now() - start).toBeLessThan(retryMs);
  });

  test("one that sends the same part for ever is given up", async () => {
    const range = { "content-range": "bytes 0-39999/100000", etag: '"x"' };
    const { url, ranges } = await serve(
      (_, response) => void response.writeHead(206, range).end(a.subarray(0, 40_000)),
    );
    expect(await refusal("BAD_DATA", () => fetchPair({ from: url }))).toContain(
      "was asked for the bytes from 40000 on, sends those from 0 on",
    );
    expect(ranges).toEqual([undefined, "bytes=40000-", undefined, "bytes=40000-"]);
  });

  test("a resumed part that lies in its bytes: from the start, once", async () => {
    mkdirSync(folder());
    writeFileSync(join(folder(), "a.bin.part"), a.subarray(0, 40_000));
    const lie = (request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => {
      const from = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
      const head = from === 0 ? {} : { "content-range": `bytes ${from}-99999/100000` };
      response.writeHead(from === 0 ? 200 : 206, head).end(noise(100_000, 17).subarray(from));
    };
    const { url, ranges } = await serve(lie);
    expect(await refusal("BAD_DATA", () => fetchPair({ from: url }))).toContain("it is another file");
    expect([ranges, readdirSync(folder())]).toEqual([["bytes=40000-", undefined], []]);
  });

  test("a password in its address is sent, and not shown", async () => {
    const seen: (string | undefined)[] = [];
    const { url } = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(403).end();
    });
    const text = await refusal("IO_ERROR", () => fetchPair({ from: url.replace("//", "//me:s%40cret@") }));
    expect(text).toBe(`${url}/a.bin: 403 Forbidden${advice()}`);
    expect(seen).toEqual([`Basic ${Buffer.from("me:s@cret").toString("base64")}`]);
  });

  test("other bytes: a wrong checksum", async () => {
    const { url, ranges } = await serve(files({ "a.bin": noise(100_000, 9) }));
    const [wanted, got] = [described("", a).sha256, described("", noise(100_000, 9)).sha256];
    expect(await refusal("BAD_DATA", () => fetchPair({ from: url }))).toBe(
      `${url}/a.bin: expected the SHA-256 ${wanted}, got ${got}: it is another file`,
    );
    expect([ranges, readdirSync(folder())]).toEqual([[undefined], []]);
  });

  test("nobody there", async () => {
    const { url, stop } = await serve();
    await stop();
    const text = await refusal("IO_ERROR", () => fetchPair({ from: url }));
    expect(text).toBe(`${url}/a.bin: connect ECONNREFUSED ${url.slice("http://".length)}${advice()}`);
  });

  test("each address is named with what it did", async () => {
    const [first, second] = [await serve(status(404)), await serve(status(403))];
    const text = await refusal("NOT_FOUND", () => fetchPair({}, { ...info, mirrors: [first.url, second.url] }));
    expect(text).toBe(`${first.url}/a.bin: 404 Not Found; ${second.url}/a.bin: 403 Forbidden${advice()}`);
  });
});

test("a signal stops it, and a later call continues", async () => {
  const controller = new AbortController();
  const { url } = await serve(stall(a, 50_000));
  const onProgress = ({ received }: DownloadProgress) => void (received === 50_000 && controller.abort("SIGINT"));
  expect(await refusal("ABORTED", () => fetchPair({ from: url, signal: controller.signal, onProgress }))).toBe(
    `a.bin: stopped; what has come is kept in ${folder()}: the same call continues from there`,
  );
  const good = await serve(files(content));
  await fetchPair({ from: good.url });
  expectWhole();
  expect(good.ranges).toEqual(["bytes=50000-", undefined]);
});

test("what a callback throws is its caller's own", async () => {
  const { url, ranges } = await serve(files(content));
  const onProgress = ({ received }: DownloadProgress) => {
    if (received > 0) throw new RangeError("no more");
  };
  await expect(fetchPair({ from: url, onProgress })).rejects.toThrow(new RangeError("no more"));
  expect(ranges.length).toBe(1);
});

test("one process at a time", async () => {
  mkdirSync(folder());
  const lock = native.lockFile(join(folder(), "download.lock"));
  expect(await refusal("IN_USE", () => fetchPair({ from: "http://127.0.0.1:1" }))).toBe(
    `${folder()}: another process downloads it: wait for its end, then try again`,
  );
  lock?.release();
});

describe("an archive", () => {
  const entry = (name: string, body: Uint8Array | string) => ({ header: { name, size: body.length }, body });
  const archiveOf = async (...entries: Parameters<typeof packTar>[0]) => gzipSync(await packTar(entries));
  const packed = async (bytes: Uint8Array): Promise<DatasetInfo> => ({
    ...info,
    extras: ["names.txt"],
    unpacked: "inside",
    downloads: [described("pair.tar.gz", bytes)],
  });
  const bringArchive = async (bytes: Uint8Array) => {
    const { url } = await serve(files({ "pair.tar.gz": bytes }));
    return fetchPair({ from: url }, await packed(bytes));
  };

  test("is unpacked, and goes", async () => {
    const bytes = await archiveOf(
      { header: { name: "inside/", type: "directory", size: 0 } },
      entry("./inside/a.bin", a),
      entry("inside/readme.html", "more"),
      entry("inside/b.bin", b),
      entry("inside/names.txt", "x\ny\n"),
    );
    expect((await bringArchive(bytes)).files).toEqual(["a.bin", "b.bin"]);
    expect(readdirSync(folder()).sort()).toEqual(["a.bin", "b.bin", "names.txt"]);
    expect(Buffer.compare(onDisk("a.bin"), a)).toBe(0);
    expect(readFileSync(join(folder(), "names.txt"), "utf8")).toBe("x\ny\n");
  });

  test("writes nowhere else, whatever its entries are called", async () => {
    const outside = join(cache, "outside");
    const bytes = await archiveOf(
      entry("../outside", "x"),
      entry("inside/../../outside", "x"),
      entry(outside, "x"),
      entry("inside/deep/b.bin", "x"),
      { header: { name: "inside/a.bin", type: "symlink", linkname: outside, size: 0 } },
      { header: { name: "inside/b.bin", type: "link", linkname: outside, size: 0 } },
      entry("inside/a.bin", a),
      entry("inside/b.bin", b),
      entry("inside/b.bin", "the same name again"),
      entry("inside/names.txt", ""),
    );
    await bringArchive(bytes);
    expect([readdirSync(cache), existsSync(outside)]).toEqual([["pair"], false]);
    expect(readdirSync(folder()).sort()).toEqual(["a.bin", "b.bin", "names.txt"]);
    expect(Buffer.compare(onDisk("b.bin"), b)).toBe(0);
  });

  test("that was put there by hand is taken", async () => {
    const bytes = await archiveOf(entry("inside/a.bin", a), entry("inside/b.bin", b), entry("inside/names.txt", ""));
    mkdirSync(folder());
    writeFileSync(join(folder(), "pair.tar.gz"), bytes);
    await fetchPair({ from: "http://127.0.0.1:1" }, await packed(bytes));
    expect(readdirSync(folder()).sort()).toEqual(["a.bin", "b.bin", "names.txt"]);
  });

  test.each<[string, () => Promise<Uint8Array>, string]>([
    ["lacks a file", () => archiveOf(entry("inside/a.bin", a)), "expected b.bin, names.txt in its folder inside"],
    [
      "is a bomb",
      () => archiveOf(entry("inside/a.bin", new Uint8Array(20_000_000)), entry("inside/b.bin", b)),
      "can't be unpacked: unpacks to far more than its size",
    ],
    ["is no gzip", async () => noise(2000, 3), "can't be unpacked: incorrect header check"],
    ["is no tar", async () => gzipSync(noise(2000, 3)), "can't be unpacked: Invalid tar number."],
    [
      "ends early",
      async () => (await archiveOf(entry("inside/a.bin", a))).subarray(0, 700),
      "can't be unpacked: unexpected end of file",
    ],
  ])("that %s is refused", async (_, of, problem) => {
    const text = await refusal("BAD_DATA", async () => bringArchive(await of()));
    expect(text).toBe(`${join(folder(), "pair.tar.gz")}: ${problem}`);
    expect(existsSync(join(folder(), "b.bin"))).toBe(false);
  });
});

describe("refused", () => {
  const address = "expected an http or https address, got";
  test.each<[string, () => unknown, string]>([
    [
      "BAD_ARGUMENT",
      () => downloadData("imagenet"),
      'name: expected one of fashion-mnist, mnist, kmnist, cifar-10, cifar-100, got "imagenet"',
    ],
    [
      "BAD_ARGUMENT",
      () => downloadData("toString"),
      'name: expected one of fashion-mnist, mnist, kmnist, cifar-10, cifar-100, got "toString"',
    ],
    ["BAD_ARGUMENT", () => fetchPair({ from: "ftp://example.org" }), `from: ${address} "ftp://example.org"`],
    [
      "BAD_ARGUMENT",
      () => fetchPair({ from: "ftp://me:secret@example.org/x" }),
      `from: ${address} "ftp://example.org/x"`,
    ],
    ["BAD_ARGUMENT", () => fetchPair({ from: "me:secret@example.org" }), `from: ${address} "me:example.org"`],
    ["BAD_ARGUMENT", () => fetchPair({ from: "example.org" }), `from: ${address} "example.org"`],
    ["BAD_ARGUMENT", () => fetchPair({ from: 7 as never }), `from: ${address} 7`],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
    expect(readdirSync(cache)).toEqual([]);
  });

  test("a mirror that is none", async () => {
    vi.stubEnv("DISTILLERY_MIRROR", "mirror");
    expect(await refusal("BAD_ARGUMENT", () => fetchPair({}))).toBe(`DISTILLERY_MIRROR: ${address} "mirror"`);
  });

  test("a cache folder that can't be made", async () => {
    writeFileSync(join(cache, "file"), "");
    vi.stubEnv("DISTILLERY_CACHE", join(cache, "file"));
    expect(await refusal("IO_ERROR", () => fetchPair({ from: "http://127.0.0.1:1" }))).toBe(
      `${join(cache, "file", "pair")}: can't write it: a part of its path is a file, not a folder`,
    );
  });
});
