import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { manualSeed, noGrad, randn, StudentNet, save, TableDataset, tensor, trainTeacher } from "../src/index.js";
import { temporaryFolder } from "./checkpoint/support.js";
import { compiledExamples } from "./cli/examples.js";

const folder = temporaryFolder();
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

test("serve: a student over HTTP answers as it does in a program; nonsense is 400 with a code", async () => {
  manualSeed(2);
  const student = new StudentNet({ inFeatures: 6, hidden: [5, 4], classes: 3 });
  const file = join(folder, "student.pth");
  await save(student.stateDict(), file);
  const address = await listening("serve", file);
  const rows = randn([4, 6]);
  const post = (body: string) => fetch(address, { method: "POST", body });
  const answer = (await (await post(JSON.stringify(rows.toArray()))).json()) as Record<string, number[][]>;
  const expected = noGrad(() => student.forward(rows).softmax()).toArray() as number[][];
  expect(answer.probabilities).toEqual(expected);
  expect(answer.classes).toEqual(expected.map((row) => row.indexOf(Math.max(...row))));
  const refused = await post("[[1, 2]]");
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([400, "SHAPE_MISMATCH"]);
  expect((await post("{")).status).toBe(400);
  // Numbers that JSON has and single precision has not.
  for (const value of ["1e999", "-1e39"]) {
    const answer = await post(`[[${Array(6).fill(value).join(", ")}]]`);
    expect([answer.status, ((await answer.json()) as { code: string }).code], value).toEqual([400, "NON_FINITE"]);
  }
  for (const chunked of [false, true]) expect(await tooLarge(address, chunked)).toEqual([413, "TOO_LARGE"]);
  expect((await post(JSON.stringify(rows.toArray()))).status).toBe(200);
});

/** Sends 64 MB, or all that the server takes of it; gives the answer's status and code. */
async function tooLarge(address: string, chunked: boolean): Promise<[status: number | undefined, code: string]> {
  const part = Buffer.alloc(2 ** 20, " ");
  const headers = chunked ? {} : { "content-length": 64 * part.length };
  const sent = request(address, { method: "POST", headers });
  sent.setMaxListeners(0).on("error", () => {});
  const answered = once(sent, "response") as Promise<[IncomingMessage]>;
  for (let i = 0; i < 64 && !sent.destroyed; i++) {
    if (!sent.write(part)) await Promise.race([once(sent, "drain").catch(() => {}), answered]);
  }
  const [response] = await answered;
  const body = Buffer.concat(await response.toArray()).toString();
  sent.destroy();
  return [response.statusCode, (JSON.parse(body) as { code: string }).code];
}

test("serve: rows of a table by the names of their columns", async () => {
  const table = {
    columns: [
      { name: "a", mean: 100, std: 50 },
      { name: "b", categories: ["x", "y"] },
    ],
    ...{ label: { name: "kind", index: 2 }, header: true },
  };
  const data = new TableDataset(randn([6, 3]), Int32Array.of(0, 1, 0, 1, 0, 1), { table, classNames: ["ant", "bee"] });
  const model = new StudentNet({ inFeatures: 3, hidden: [5, 4], classes: 2 });
  await trainTeacher({ model, data, epochs: 1, batchSize: 3, out: join(folder, "table") });
  const address = await listening("serve", join(folder, "table", "teacher.safetensors"));
  const body = JSON.stringify([{ b: "y", a: 150 }]);
  const answer = (await (await fetch(address, { method: "POST", body })).json()) as Record<string, unknown[]>;
  const [[first, second]] = noGrad(() =>
    model
      .eval()
      .forward(tensor([[1, 0, 1]]))
      .softmax(),
  ).toArray() as number[][];
  expect(answer.probabilities).toEqual([[first, second]]);
  expect(answer.names).toEqual([first > second ? "ant" : "bee"]);
  const refused = await fetch(address, { method: "POST", body: '[{"a": 1, "b": "z"}]' });
  expect(await refused.json()).toMatchObject({ message: 'rows[0], "b": expected one of "x", "y", got "z"' });
});

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
