import { createServer } from "node:http";
import { expect, test } from "vitest";
import { listen } from "../src/listen.js";

test("errors of a server that listens, as of a connection with too many files open, end nothing", async () => {
  const server = createServer((_, response) => response.end("here"));
  const port = await listen(server, 0, "127.0.0.1");
  for (const code of ["EMFILE", "ENFILE"]) server.emit("error", Object.assign(new Error("accept"), { code }));
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("here");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
