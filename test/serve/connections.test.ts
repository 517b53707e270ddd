import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Linear, type ServedNetwork, serveNetwork } from "../../src/index.js";

/** Longer than anything here takes. */
const TIMEOUT = 60_000;
let served: ServedNetwork | null = null;
afterEach(async () => {
  await served?.close();
  served = null;
});

async function serve(timeout: number): Promise<{ url: string; port: number }> {
  served = await serveNetwork(new Linear(2, 2).eval(), { port: 0, timeout });
  return { url: served.url, port: Number(new URL(served.url).port) };
}

async function metric(url: string, name: string): Promise<string | undefined> {
  const text = await (await fetch(`${url}metrics`)).text();
  return text.split("\n").find((line) => line.startsWith(`${name} `));
}

test("a late client that keeps its half of the connection open is neither waited for nor counted", async () => {
  const { url, port } = await serve(1000);
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
  try {
    socket.write("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[[");
    const parts: Buffer[] = [];
    socket.on("data", (part) => parts.push(part));
    await once(socket, "end");
    expect(Buffer.concat(parts).toString()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n.*\{"code":"TIMEOUT"/s);
    const inFlight = () => metric(url, "distillery_requests_in_flight");
    await expect.poll(inFlight).toBe("distillery_requests_in_flight 0");
    const counted = 'distillery_requests_total{status="408"}';
    expect(await metric(url, counted)).toBe(`${counted} 1`);
    expect(socket.writable).toBe(true);
  } finally {
    socket.destroy();
  }
});

test("a connection that is kept ends with the answer to what came before the server closed", async () => {
  const { url, port } = await serve(TIMEOUT);
  const socket = connect(port, "127.0.0.1");
  socket.write("POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n[[1");
  await expect.poll(() => metric(url, "distillery_requests_in_flight")).toBe("distillery_requests_in_flight 1");
  const start = performance.now();
  const closed = served?.close();
  served = null;
  socket.write(",2]]");
  const text = Buffer.concat(await socket.toArray()).toString();
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n.*"predictions"/s);
  await closed;
  expect(performance.now() - start).toBeLessThan(TIMEOUT);
});

test("closing answers requests whose connections are not accepted yet", async () => {
  const { port } = await serve(TIMEOUT);
  const body = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n[[1,2]]";
  const sockets = Array.from({ length: 10 }, () => connect(port, "127.0.0.1").on("error", () => {}));
  for (const socket of sockets) socket.write(body);
  await served?.close();
  served = null;
  const texts = await Promise.all(sockets.map(async (socket) => Buffer.concat(await socket.toArray()).toString()));
  expect(texts.map((text) => text.slice(0, 15))).toEqual(texts.map(() => "HTTP/1.1 200 OK"));
});

test("a client that does not read its answer is disconnected", async () => {
  const network = new Linear(1, 2000).eval();
  served = await serveNetwork(network, { port: 0, timeout: 500 });
  const socket = connect(Number(new URL(served.url).port), "127.0.0.1").on("error", () => {});
  const body = JSON.stringify(Array.from({ length: 500 }, () => [1]));
  socket.write(`POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const answered = () => metric(served?.url ?? "", 'distillery_requests_total{status="200"}');
  await expect.poll(answered).toMatch(/ 1$/);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  let last = "";
  socket.on("data", (part) => {
    last = part.toString().slice(-20);
  });
  await once(socket, "close");
  expect(last).not.toMatch(/\]\}\]\}\r\n0\r\n\r\n$/);
});

test("headers that are too large", async () => {
  const { port } = await serve(TIMEOUT);
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(17_000)}\r\n\r\n`);
  const [head, body] = Buffer.concat(await socket.toArray())
    .toString()
    .split("\r\n\r\n");
  expect(head).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
  const message = "headers: expected at most 16384 bytes, got more";
  expect(JSON.parse(body ?? "")).toEqual({ code: "TOO_LARGE", message });
});

test.each<[string, string, number?]>([
  ["is too long and does not arrive", "Content-Length: 99999999999\r\n\r\n["],
  ["has a bad chunk after what is too long", `Transfer-Encoding: chunked\r\n\r\n10\r\n${" ".repeat(16)}\r\nzz\r\n`],
  ["does not arrive after an Expect", "Expect: 200-ok\r\nContent-Length: 5\r\n\r\n[", 417],
])("a request whose body %s is answered once", async (_, rest, status = 413) => {
  served = await serveNetwork(new Linear(2, 2).eval(), { port: 0, timeout: 500, maxBody: 8 });
  const socket = connect(Number(new URL(served.url).port), "127.0.0.1").on("error", () => {});
  const [head, body] = rest.split(/(?<=\n10\r\n {16}\r\n)/);
  socket.write(`POST /predict HTTP/1.1\r\nHost: x\r\n${head}`);
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part));
  await once(socket, "data");
  if (body !== undefined) socket.write(body);
  await once(socket, "close");
  const statuses = Buffer.concat(parts)
    .toString()
    .match(/HTTP\/1\.1 \d+/g);
  expect(statuses).toEqual([`HTTP/1.1 ${status}`]);
});
