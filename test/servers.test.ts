import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { compiledExamples } from "./cli/examples.js";

const compiled = compiledExamples();
let child: ChildProcess | null = null;
afterEach(() => void child?.kill("SIGKILL"));

/** Starts a server on a free port, and gives its address once it listens. */
async function listening(name: string, ...args: string[]): Promise<string> {
  const started = spawn(process.execPath, [join(compiled, `${name}.js`), ...args, "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  child = started;
  const line = await new Promise<Buffer>((resolve) => started.stdout.once("data", resolve));
  return line.toString().trim();
}

test("worker: the epochs of a run in a worker thread reach the page, in order", async () => {
  const address = await listening("worker");
  expect(await (await fetch(address)).text()).toContain("EventSource");
  const stream = (await fetch(`${address}/events`)).body as ReadableStream<Uint8Array>;
  let text = "";
  for await (const part of stream) {
    text += Buffer.from(part).toString();
    if (text.split("\n\n").length > 20) break;
  }
  const records = text
    .split("\n\n")
    .slice(0, 20)
    .map((event) => JSON.parse(event.replace(/^data: /, "")));
  expect(records.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect(records.at(-1).metrics.loss).toBeLessThan(records[0].metrics.loss);
});
