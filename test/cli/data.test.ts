import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CATALOG, type DatasetInfo, type PublicFile } from "../../src/data/hub/catalog.js";
import { serve, stall, status } from "../data/hub/server.js";
import { folderOf, images } from "../data/support.js";
import { ended, launch, refused, SMALL_TEACHER, succeed } from "./support.js";

const FIRST = CATALOG.kmnist?.downloads[0] as PublicFile;
let cache = "";
beforeEach(() => {
  cache = folderOf({}, "cache");
  vi.stubEnv("DISTILLERY_CACHE", cache);
  vi.stubEnv("DISTILLERY_MIRROR", "");
});
afterEach(() => vi.unstubAllEnvs());

describe("a data set that is here", () => {
  beforeEach(() => vi.stubEnv("DISTILLERY_CACHE", dirname(folderOf(images(), "kmnist"))));
  const here = () => join(process.env.DISTILLERY_CACHE as string, "kmnist");

  test("has its place in the list", async () => {
    const lines = (await succeed(["data"], cache)).split("\n");
    expect(lines[2]).toBe(`kmnist          21.2 MB  ${here()}`);
    expect(lines[3]).toBe("cifar-10       170.1 MB  not here");
    expect(lines.at(-2)).toMatch(/^`distillery data \S+` downloads it\.$/);
    const { data } = JSON.parse(await succeed(["data", "--json"], cache)) as { data: Record<string, unknown>[] };
    expect(data.map(({ name }) => name)).toEqual(Object.keys(CATALOG));
    const { title, downloads } = CATALOG["cifar-10"] as DatasetInfo;
    const downloadBytes = downloads[0]?.bytes;
    expect(data[3]).toEqual({ name: "cifar-10", title, downloadBytes, found: null, problem: null });
  });

  test("is not downloaded", async () => {
    const { url, ranges } = await serve(status(500));
    expect(await succeed(["data", "kmnist", "--from", url], cache)).toBe(`kmnist: ${here()}, 0.1 kB\n`);
    expect(JSON.parse(await succeed(["data", "kmnist", "--json"], cache))).toEqual({
      name: "kmnist",
      folder: here(),
      files: Object.keys(images()),
      bytes: Object.values(images()).reduce((sum, { length }) => sum + length, 0),
    });
    expect(ranges).toEqual([]);
  });

  test("is what --data NAME takes", async () => {
    const args = ["train-teacher", "--data", "kmnist", "--validation", "0", "--epochs", "1", ...SMALL_TEACHER];
    expect(await succeed([...args, "--out", "run"], cache)).toContain("Epoch [1/1]");
  });
});

describe("a data set that can't be had", () => {
  const kmnist = () => join(cache, "kmnist");

  test("no way to it: what to place where", async () => {
    const { url, stop } = await serve();
    await stop();
    const text = await refused(["data", "kmnist", "--from", url], cache, 1, "IO_ERROR");
    const names = CATALOG.kmnist?.downloads.map(({ name }) => name).join(", ");
    expect(text).toBe(
      `${url}/${FIRST.name}: connect ECONNREFUSED ${url.slice("http://".length)}: if it can't be reached, put ` +
        `${names} into ${kmnist()} by hand, or take a mirror (--from, DISTILLERY_MIRROR) (IO_ERROR)`,
    );
  });

  test("not at DISTILLERY_MIRROR", async () => {
    const { url } = await serve(status(404));
    vi.stubEnv("DISTILLERY_MIRROR", `${url}/mirror/`);
    const text = await refused(["data", "kmnist"], cache, 1, "NOT_FOUND");
    expect(text).toMatch(`${url}/mirror/kmnist/${FIRST.name}: 404 Not Found: if it`);
  });

  test("other bytes of the right number", async () => {
    const { url } = await serve((_, response) => response.end(Buffer.alloc(FIRST.bytes)));
    const { code, stdout, stderr } = await ended(launch(["data", "kmnist", "--from", url], cache));
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch("kmnist: downloading 21.2 MB\n");
    expect(stderr).toMatch(`distillery: ${url}/${FIRST.name}: expected the SHA-256 ${FIRST.sha256}, got `);
    expect(existsSync(join(kmnist(), FIRST.name))).toBe(false);
  });

  test("interrupted: what has come stays", async () => {
    const { url } = await serve(stall(Buffer.alloc(FIRST.bytes), 1_000_000));
    const child = launch(["data", "kmnist", "--from", url], cache);
    child.stderr?.once("data", () => child.kill("SIGINT"));
    const { code, stderr } = await ended(child);
    expect(code).toBe(130);
    expect(stderr.split("\n").at(-2)).toBe(
      `distillery: ${FIRST.name}: stopped; what has come is kept in ${kmnist()}: the same call continues from there`,
    );
    expect(statSync(join(kmnist(), `${FIRST.name}.part`)).size).toBeGreaterThan(0);
  });
});

describe("refused", () => {
  test.each<[string[], RegExp]>([
    [["data", "imagenet"], /^unknown data set "imagenet", expected one of fashion-mnist, mnist/],
    [["data", "--from", "http://localhost"], /^--from: expected the name of a data set beside it/],
    [["data", "kmnist", "--from", "mirror"], /^--from: expected an http or https address, got "mirror"/],
    [["data", "kmnist", "mnist"], /unexpected argument "mnist"/],
  ])("%j", async (args, problem) => {
    expect(await refused(args, cache, 2, "BAD_ARGUMENT")).toMatch(problem);
  });
});
