import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  DistilleryError,
  Linear,
  loadNetwork,
  Module,
  manualSeed,
  type Prediction,
  predict,
  randn,
  type ServedNetwork,
  type ServeOptions,
  StudentNet,
  serveNetwork,
  TableDataset,
  Tensor,
  tensor,
  trainTeacher,
} from "../../src/index.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();
let served: ServedNetwork | null = null;
afterEach(async () => {
  await served?.close();
  served = null;
});

async function serve(network: Module, options: ServeOptions = {}): Promise<string> {
  served = await serveNetwork(network, { port: 0, timeout: 60_000, ...options });
  return served.url;
}

const small = () => {
  manualSeed(2);
  return new StudentNet({ inFeatures: 6, hidden: [5, 4], classes: 3 }).eval();
};

async function post(url: string, body: unknown): Promise<{ status: number; json: Record<string, never> }> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${url}predict`, { method: "POST", body: text });
  return { status: response.status, json: (await response.json()) as Record<string, never> };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}metrics`)).text();
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.split(" ")[1]);
}

test("what it says is what predict says", async () => {
  const network = small();
  const url = await serve(network);
  const rows = randn([4, 6]);
  const { status, json } = await post(url, rows.toArray());
  expect([status, json]).toEqual([200, { predictions: predict(network, rows) }]);
});

test("samples of the first shape by the network as it was then, others and those of an untraceable one by the network as it is", async () => {
  class Scaled extends Module {
    readonly fc = new Linear(1, 2);
    constructor(readonly isTraceable: boolean) {
      super();
    }
    override forward(x: Tensor) {
      const scale = this.isTraceable ? 1 : (x.data[0] as number);
      return this.fc.forward(x.mean(1, true).mul(scale));
    }
  }
  for (const isTraceable of [true, false]) {
    const network = new Scaled(isTraceable).eval();
    const url = await serve(network);
    const first = await post(url, [[1, 2]]);
    for (const { data } of network.parameters()) data.fill(0);
    const now = { predictions: predict(network, tensor([[1, 2]])) };
    expect((await post(url, [[1, 2]])).json).toEqual(isTraceable ? first.json : now);
    expect((await post(url, [[1, 2, 3]])).json).toEqual(now);
    await served?.close();
  }
});

test("an error of another kind while it freezes is not passed over", async () => {
  class Failing extends Module {
    passes = 0;
    override forward(x: Tensor) {
      this.passes += 1;
      if (this.passes > 1) throw new DistilleryError("IO_ERROR", "x.csv: can't be read");
      return x;
    }
  }
  expect((await post(await serve(new Failing()), [[1, 2]])).json).toMatchObject({ code: "IO_ERROR" });
});

test("rows of a table by the names of their columns, classes by name", async () => {
  const table = {
    columns: [
      { name: "a", mean: 100, std: 50 },
      { name: "b", categories: ["x", "y"] },
    ],
    label: { name: "kind", index: 2 },
    header: true,
  };
  const data = new TableDataset(randn([6, 3]), Int32Array.of(0, 1, 0, 1, 0, 1), { table, classNames: ["ant", "bee"] });
  const model = new StudentNet({ inFeatures: 3, hidden: [5, 4], classes: 2 });
  await trainTeacher({ model, data, epochs: 1, batchSize: 3, out: folder });
  const url = await serve(await loadNetwork(join(folder, "teacher.safetensors")));
  const { json } = await post(url, [{ b: "y", a: 150 }]);
  const [expected] = predict(model, new Tensor(Float32Array.of(1, 0, 1), [1, 3]), { classNames: ["ant", "bee"] });
  expect(json).toEqual({ predictions: [expected] });
  expect(["ant", "bee"]).toContain((json.predictions as Prediction[])[0]?.className);
  expect(await post(url, [{ a: 1, b: "z" }])).toEqual({
    status: 400,
    json: { code: "BAD_ARGUMENT", message: 'samples[0], "b": expected one of "x", "y", got "z"' },
  });
  expect((await post(url, [{ a: 1 }])).json).toMatchObject({
    message: 'samples[0], "b": expected a cell, got nothing',
  });
  expect((await post(url, [[150, "y"]])).json).toMatchObject({
    message: 'samples[0]: expected cells by the names of columns, as {"a": 100, "b": "x"}, got [150, "y"]',
  });
  expect((await post(url, { instances: [{ a: 1, b: "x" }] })).json).toMatchObject({
    message: 'body: expected a list of samples, as [{"a": 100, "b": "x"}], got an object with "instances"',
  });
});

test("pixels", async () => {
  const image = { channels: 1, height: 2, width: 3, mean: [0.5], std: [0.25] };
  const preprocessing = { kind: "image", ...image, classes: 3, classNames: ["a", "b", "c"] } as const;
  const url = await serve(small(), { preprocessing });
  expect((await post(url, [[0, 255, 1, 2, 3, 4]])).status).toBe(200);
  for (const [sample, code, message] of [
    [[0, 255, 1, 2, 3, 256], "BAD_ARGUMENT", "samples[0][5]: expected a pixel, a whole number from 0 to 255, got 256"],
    [[0, 255, 1, 2, 3], "SHAPE_MISMATCH", "samples[0]: expected 6 numbers, got 5"],
  ] as const) {
    expect(await post(url, [sample])).toEqual({ status: 400, json: { code, message } });
  }
});

/** Sends requests as one packet, and gives the answers' bodies. */
async function together(url: string, samples: readonly (readonly number[])[]): Promise<Record<string, unknown>[]> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const requests = samples.map((sample, i) => {
    const body = JSON.stringify([sample]);
    const connection = i === samples.length - 1 ? "close" : "keep-alive";
    return `POST /predict HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
  socket.write(requests.join(""));
  const text = Buffer.concat(await socket.toArray()).toString();
  return [...text.matchAll(/^\{.*\}(?=HTTP|$)/gm)].map(([body]) => JSON.parse(body));
}

test("what comes at once is computed at once, and gets what it gets alone", async () => {
  const network = small();
  const rows = Array.from({ length: 40 }, (_, i) => Array.from({ length: 6 }, (_, j) => Math.sin(7 * i + j)));
  const url = await serve(network);
  const expected = predict(network, new Tensor(Float32Array.from(rows.flat()), [40, 6]));
  expect(await together(url, rows)).toEqual(expected.map((one) => ({ predictions: [one] })));
  expect(await metric(url, "distillery_samples_total")).toBe(40);
  expect(await metric(url, "distillery_batch_size_count")).toBeLessThan(5);
});

test("no more samples at once than a request may have", async () => {
  const network = small();
  const rows = Array.from({ length: 10 }, (_, i) => Array.from({ length: 6 }, (_, j) => Math.sin(7 * i + j)));
  const url = await serve(network, { maxSamples: 4 });
  const expected = predict(network, new Tensor(Float32Array.from(rows.flat()), [10, 6]));
  expect(await together(url, rows)).toEqual(expected.map((one) => ({ predictions: [one] })));
  expect(await metric(url, "distillery_samples_total")).toBe(10);
  expect(await metric(url, 'distillery_batch_size_bucket{le="4"}')).toBeGreaterThan(2);
  expect(await metric(url, 'distillery_batch_size_bucket{le="+Inf"}')).toBe(
    await metric(url, 'distillery_batch_size_bucket{le="4"}'),
  );
  expect(await post(url, rows.slice(0, 5))).toEqual({
    status: 413,
    json: { code: "TOO_LARGE", message: "body: expected at most 4 samples, got 5" },
  });
});

test("a sample that the network can't compute spoils nobody else's", async () => {
  const network = small();
  network.parameters()[0]?.data.fill(3e38);
  const url = await serve(network);
  const answers = await together(url, [Array(6).fill(0), Array(6).fill(3e38), Array(6).fill(0)]);
  expect(answers.map((answer) => Object.keys(answer))).toEqual([["predictions"], ["code", "message"], ["predictions"]]);
  expect(answers[1]).toMatchObject({ code: "NON_FINITE" });
});

test("samples count as computed that the network could compute, and once", async () => {
  const network = small();
  network.parameters()[0]?.data.fill(3e38);
  const url = await serve(network);
  await together(url, [Array(6).fill(0), Array(6).fill(3e38), Array(6).fill(0)]);
  expect((await post(url, [[1, 2]])).status).toBe(400);
  expect(await metric(url, "distillery_samples_total")).toBe(2);
  expect(await metric(url, "distillery_batch_size_sum")).toBe(2);
});

test("health and metrics, in Prometheus' text format", async () => {
  const url = await serve(small());
  const health = await fetch(`${url}healthz`);
  expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
  await post(url, [Array(6).fill(0), Array(6).fill(1)]);
  await post(url, "{");
  const response = await fetch(`${url}metrics`);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const lines = (await response.text()).trimEnd().split("\n");
  expect(lines.filter((line) => !/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]+"\})? [\d.e+-]+)$/.test(line))).toEqual([]);
  expect(lines).toEqual(
    expect.arrayContaining([
      'distillery_requests_total{status="200"} 1',
      'distillery_requests_total{status="400"} 1',
      "distillery_request_seconds_count 2",
      "distillery_requests_in_flight 0",
      "distillery_samples_total 2",
      'distillery_batch_size_bucket{le="1"} 0',
      'distillery_batch_size_bucket{le="2"} 1',
    ]),
  );
});

describe("refused, as JSON with a code", () => {
  test.each([
    ["no JSON", "{", "BAD_JSON", "body: expected JSON: "],
    [
      "no list",
      { rows: [] },
      "BAD_ARGUMENT",
      'body: expected a list of samples, as [[0, 1, ...]], got an object with "rows"',
    ],
    [
      "a constructor of its own",
      '{"constructor":{"name":{"toString":1}}}',
      "BAD_ARGUMENT",
      'body: expected a list of samples, as [[0, 1, ...]], got an object with "constructor"',
    ],
    ["no samples", [], "BAD_ARGUMENT", "body: expected a list of samples, as [[0, 1, ...]], got an empty one"],
    ["no sample", [1], "BAD_ARGUMENT", "samples[0]: expected a list of numbers, got 1"],
    ["no numbers", [[1, "2", 3, 4, 5, 6]], "BAD_ARGUMENT", 'samples[0][1]: expected a number, got "2"'],
    ["rows of different lengths", [Array(6).fill(0), [1]], "SHAPE_MISMATCH", "samples[1]: expected 6 numbers, got 1"],
    ["another length", [[1, 2]], "SHAPE_MISMATCH", "linear: x: expected shape"],
    ["beyond doubles", `[[${Array(6).fill("1e999")}]]`, "NON_FINITE", "samples[0][0]: expected a finite number"],
    [
      "beyond single precision",
      `[[${Array(6).fill("-1e39")}]]`,
      "NON_FINITE",
      "samples[0][0]: expected a finite number",
    ],
  ])("%s", async (_, body, code, start) => {
    const url = await serve(small());
    const { status, json } = await post(url, body);
    expect([status, json.code]).toEqual([400, code]);
    expect((json.message as string).startsWith(start), json.message).toBe(true);
  });

  test("few short samples behind a long one", async () => {
    const url = await serve(small());
    const body = `[[${"0,".repeat(4_900_000)}0]${",[]".repeat(999)}]`;
    expect(await post(url, body)).toEqual({
      status: 400,
      json: { code: "SHAPE_MISMATCH", message: "samples[1]: expected 4900001 numbers, got 0" },
    });
  });

  test("another path, another method", async () => {
    const url = await serve(small());
    const [path, method] = await Promise.all([fetch(`${url}x`), fetch(`${url}predict`)]);
    expect([path.status, ((await path.json()) as { code: string }).code]).toEqual([404, "NOT_FOUND"]);
    expect([method.status, method.headers.get("allow")]).toEqual([405, "POST"]);
    expect(await method.json()).toEqual({ code: "BAD_METHOD", message: "/predict: expected POST, got GET" });
    const [head, put] = await Promise.all(["HEAD", "PUT"].map((method) => fetch(`${url}healthz`, { method })));
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("a compressed body", async () => {
    const headers = { "content-encoding": "gzip" };
    const response = await fetch(`${await serve(small())}predict`, { method: "POST", headers, body: "[[1]]" });
    const message = 'body: expected no Content-Encoding, got "gzip"';
    expect([response.status, await response.json()]).toEqual([415, { code: "BAD_ENCODING", message }]);
  });

  test.each([
    ["no UTF-8", {}, 400, { code: "BAD_JSON", message: "body: expected UTF-8" }],
    [
      "another charset",
      { "content-type": "application/json; charset=iso-8859-1" },
      415,
      { code: "BAD_ENCODING", message: 'body: expected the charset utf-8, got "iso-8859-1"' },
    ],
  ])("a body in %s", async (_, headers, status, answer) => {
    const body = Buffer.from('["\u00fc"]', "latin1");
    const response = await fetch(`${await serve(small())}predict`, { method: "POST", headers, body });
    expect([response.status, await response.json()]).toEqual([status, answer]);
  });

  test("a byte order mark and a charset in capitals are none of it", async () => {
    const headers = { "content-type": 'application/json;charset="UTF-8"' };
    const response = await fetch(`${await serve(small())}predict`, { method: "POST", headers, body: "\ufeff[]" });
    expect(await response.text()).not.toContain("expected JSON");
  });

  test("a body is asked for unless it is too large", async () => {
    const url = await serve(small(), { maxBody: 100 });
    const first = async (length: number) => {
      const headers = { expect: "100-continue", "content-length": length };
      const sent = request(`${url}predict`, { method: "POST", headers }).on("error", () => {});
      sent.flushHeaders();
      const said = await Promise.race([
        once(sent, "continue").then(() => 100),
        once(sent, "response").then(([response]) => (response as IncomingMessage).statusCode),
      ]);
      sent.destroy();
      return said;
    };
    expect(await Promise.all([first(100), first(101)])).toEqual([100, 413]);
  });

  test.each([false, true])("64 MB, chunked: %s", async (chunked) => {
    const url = await serve(small());
    const part = Buffer.alloc(2 ** 20, " ");
    const headers = chunked ? {} : { "content-length": 64 * part.length };
    const sent = request(`${url}predict`, { method: "POST", headers });
    sent.setMaxListeners(0).on("error", () => {});
    const answered = once(sent, "response") as Promise<[IncomingMessage]>;
    for (let i = 0; i < 64 && !sent.destroyed; i++) {
      if (!sent.write(part)) await Promise.race([once(sent, "drain").catch(() => {}), answered]);
    }
    const [response] = await answered;
    const body = JSON.parse(Buffer.concat(await response.toArray()).toString()) as { code: string };
    sent.destroy();
    expect([response.statusCode, body.code]).toEqual([413, "TOO_LARGE"]);
    expect((await post(url, [Array(6).fill(0)])).status).toBe(200);
  });

  test("a request that does not end, and one that is none", async () => {
    let url = await serve(small(), { timeout: 300 });
    const connected = () => connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {});
    const talk = async (text: string) => {
      const socket = connected();
      socket.write(text);
      return Buffer.concat(await socket.toArray()).toString();
    };
    const counted = (status: number) => metric(url, `distillery_requests_total{status="${status}"}`);
    const late = await talk("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[[");
    expect(late).toMatch(/^HTTP\/1\.1 408 .*\{"code":"TIMEOUT"/s);
    await expect.poll(() => counted(408)).toBeGreaterThan(0);
    await served?.close();
    url = await serve(small());
    const left = connected();
    left.write("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[[");
    await expect.poll(() => metric(url, "distillery_requests_in_flight")).toBe(1);
    left.resetAndDestroy();
    await expect.poll(() => counted(499)).toBe(1);
    expect(await counted(500)).toBe(NaN);
    const none = "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    expect(await talk(none)).toMatch(/^HTTP\/1\.1 400 .*\{"code":"BAD_REQUEST","message":"headers: expected a Host/s);
    const other = "GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: foo\r\nConnection: close\r\n\r\n";
    expect(await talk(other)).toMatch(
      /^HTTP\/1\.1 417 .*\{"code":"BAD_EXPECTATION","message":"Expect: expected 100-con/s,
    );
    const whole = "GET http://x/healthz?a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    expect(await talk(whole)).toMatch(/^HTTP\/1\.1 200 .*\{"status":"ok"\}/s);
    expect(await talk("nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 .*\{"code":"BAD_REQUEST"/s);
    expect((await post(url, [Array(6).fill(0)])).status).toBe(200);
  });
});

test("closing answers what came, and takes nothing more", async () => {
  const url = await serve(small());
  const asked = Array.from({ length: 20 }, () => post(url, [Array(6).fill(0)]));
  await Promise.race(asked);
  const closing = served?.close();
  served = null;
  const answers = await Promise.allSettled(asked);
  expect(answers.filter(({ status }) => status === "fulfilled").length).toBeGreaterThan(0);
  await closing;
  await expect(fetch(`${url}healthz`)).rejects.toThrow();
});

test.each([
  [{ port: 70_000 }, "port: expected"],
  [{ host: "" }, 'host: expected an address, got ""'],
  [{ maxBody: 0 }, "maxBody: expected"],
  [{ maxSamples: 0 }, "maxSamples: expected"],
  [{ timeout: -1 }, "timeout: expected"],
  [{ preprocessing: 1 }, "preprocessing: expected"],
  [{ prot: 1 }, 'options: unknown option "prot", did you mean port?'],
])("a wrong option: %j", async (options, message) => {
  await expect(serveNetwork(small(), options as never)).rejects.toThrow(message);
});

test.each([
  [{ features: 5, classes: 3 }, "linear: x: expected shape"],
  [{ features: 6, classes: 4 }, "logits: expected shape [1, 4], got [1, 3]"],
])("the preprocessing of another network: %j", async (own, problem) => {
  const preprocessing = { kind: "values", classNames: null, ...own } as const;
  const serving = serveNetwork(small(), { port: 0, preprocessing });
  await expect(serving).rejects.toMatchObject({ code: "SHAPE_MISMATCH" });
  await expect(serving).rejects.toThrow(`preprocessing: does not fit the network: ${problem}`);
});

test("a port that is taken", async () => {
  const url = await serve(small());
  const port = Number(new URL(url).port);
  await expect(serveNetwork(small(), { port })).rejects.toMatchObject({ code: "IN_USE" });
});
