import { once } from "node:events";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type WatchServer, watchServer } from "../../src/watch/watch_server.js";
import { newFolder } from "../cli/support.js";
import { temporaryFolder } from "../support.js";

const temporary = temporaryFolder();
let server: WatchServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

async function answerTo(url: string, path = ""): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url);
  const [response] = (await once(get({ hostname, port, path }), "response")) as [IncomingMessage];
  return response;
}

test.each(["//", "//x:y/", "/runs/%", "/%ff"])("%s is no page", async (path) => {
  server = await watchServer(newFolder(temporary), { port: 0 });
  const response = await answerTo(server.url, path);
  expect([response.statusCode, Buffer.concat(await response.toArray()).toString()]).toEqual([404, "no such page\n"]);
});

test.skipIf(process.platform === "win32")(
  "the report of a run whose folder has a newline in its name is a page",
  async () => {
    const root = newFolder(temporary);
    mkdirSync(join(root, "a\nb"));
    writeFileSync(join(root, "a\nb", "config.json"), JSON.stringify({ command: "distill" }));
    writeFileSync(join(root, "a\nb", "report.html"), "the report");
    server = await watchServer(root, { port: 0 });
    const response = await answerTo(server.url, "/runs/a%0Ab/report.html");
    expect([response.statusCode, Buffer.concat(await response.toArray()).toString()]).toEqual([200, "the report"]);
  },
);

test("a slow reader gets the whole state, however long that is; one that reads no more is dropped", async () => {
  const root = newFolder(temporary);
  mkdirSync(join(root, "a"));
  writeFileSync(join(root, "a", "config.json"), JSON.stringify({ command: "distill", epochs: 3 }));
  // Few and long: they are quick to read.
  const epoch = {
    epoch: 1,
    epochs: 3,
    loss: 1 / 3,
    lr: 0.1,
    seconds: 1,
    samplesPerSecond: 9,
    note: "x".repeat(2 ** 20),
  };
  const row = `${JSON.stringify(epoch)}\n`;
  const grow = async (rows: number) => {
    appendFileSync(join(root, "a", "metrics.jsonl"), row.repeat(rows));
    // The server, which is in this process, looks at the files every 500 ms.
    await new Promise((resolve) => setTimeout(resolve, 700));
  };
  writeFileSync(join(root, "a", "metrics.jsonl"), row.repeat(26));
  server = await watchServer(root, { port: 0 });
  const response = await answerTo(server.url, "/events");
  await grow(1);
  let end = "";
  await new Promise<void>((resolve) => {
    response.setEncoding("utf8").on("data", (text: string) => {
      if (`${end}${text}`.includes("event: changes")) resolve();
      end = text.slice(-20);
    });
  });
  response.pause();
  await grow(30);
  const dropped = once(response, "error");
  await grow(1);
  response.resume();
  expect((await dropped)[0]).toMatchObject({ code: "ECONNRESET" });
});
