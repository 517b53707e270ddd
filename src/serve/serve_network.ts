import { createServer, type IncomingMessage, maxHeaderSize, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { badArgument, expectInteger, expectLength, optionsOf, show } from "../checks.js";
import { expectPreprocessing, type Preprocessing } from "../data/preprocessing/spec.js";
import { DistilleryError } from "../errors.js";
import { listen } from "../listen.js";
import { recordOf } from "../models/training_record.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { cat } from "../ops/cat.js";
import type { Tensor } from "../tensor/tensor.js";
import { Batcher } from "./batcher.js";
import { Predictor } from "./predictor.js";
import { RequestMetrics } from "./request_metrics.js";
import { samplesOf } from "./samples.js";

/** How a network is served, and the limits of a request. */
export interface ServeOptions {
  /** Default 8080; 0 takes any free port. */
  port?: number;
  /** The address to listen on; default 127.0.0.1, this machine only. */
  host?: string;
  /** The maximum size of a request's body in bytes; default 10 MB. */
  maxBody?: number;
  /** The maximum number of samples in a request, and in a batch; default 1000. */
  maxSamples?: number;
  /**
   * The milliseconds within which a request has to arrive, a client has to read some of its response, and a closing
   * server has to send its responses; default 10 s.
   */
  timeout?: number;
  /** How samples become inputs; default: the network's preprocessing; null: samples are the inputs. */
  preprocessing?: Preprocessing | null;
}

/** The defaults of {@link ServeOptions}. */
export const SERVE_DEFAULTS = {
  port: 8080,
  host: "127.0.0.1",
  maxBody: 10_000_000,
  maxSamples: 1000,
  timeout: 10_000,
} as const;

/** How often late requests are looked for. */
const CHECK_MS = 500;
/** What nginx reports for a request whose client left before the response. */
const CLIENT_LEFT = 499;

/** A network that is being served. */
export interface ServedNetwork {
  /** Ends in a slash: `${url}predict`. */
  readonly url: string;
  /** Accepts no more requests, answers those that have arrived, and ends. */
  close(): Promise<void>;
}

/** Why a request is refused: a status and a code. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Serves a network over HTTP. `POST /predict` takes a list of samples as JSON and returns `{ predictions }`, in the
 * form of {@link predict}; `GET /healthz` says whether it accepts requests, and `GET /metrics` returns metrics for
 * Prometheus. Requests that arrive together are computed as one batch. From the second batch on, samples of the shape
 * that came first are computed by {@link freezeGraph} of the network, so its weights must not change; other samples,
 * and those of a network that can't be frozen, are computed by the network itself. Errors are JSON, `{ code, message
 * }`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a wrong option, `SHAPE_MISMATCH` for a preprocessing of another network,
 * `IN_USE` if the port is taken, `IO_ERROR`.
 * @example
 * ```ts
 * const { url, close } = await serveNetwork(await loadNetwork("student.safetensors"), { port: 8080 });
 * ```
 */
export async function serveNetwork(network: Module, options: ServeOptions = {}): Promise<ServedNetwork> {
  expectModule("network", network);
  const given = optionsOf("options", SERVE_DEFAULTS, options, ["preprocessing"]);
  const { port, host, maxBody, maxSamples, timeout, preprocessing = recordOf(network)?.preprocessing ?? null } = given;
  if (typeof host !== "string" || host === "") throw badArgument("host", "an address", host);
  expectInteger("port", port, 0, 65_535);
  expectInteger("maxBody", maxBody, 1, 2 ** 30);
  expectLength("maxSamples", maxSamples);
  expectInteger("timeout", timeout, 1, 2 ** 31 - 1);
  if (preprocessing !== null) expectPreprocessing(preprocessing);
  const metrics = new RequestMetrics();
  const predictor = new Predictor(network, preprocessing);
  predictor.expectFit();
  const compute = (samples: Tensor) => {
    const predictions = predictor.predict(samples);
    // Samples of a refused batch do not count: the valid ones are computed again, each request by itself.
    metrics.batch(samples.shape[0]);
    return predictions;
  };
  const batcher = new Batcher(compute, cat, maxSamples);
  const late = new WeakSet<Duplex>();
  const latest = new WeakMap<Duplex, ServerResponse>();
  const inFlight = new Set<ServerResponse>();
  let isClosing = false;

  const answerPredict = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const start = performance.now();
    const { socket } = request;
    inFlight.add(response);
    try {
      const body = parsed(await bodyOf(request, maxBody));
      if (Array.isArray(body) && body.length > maxSamples) {
        throw new Refusal(413, "TOO_LARGE", `body: expected at most ${maxSamples} samples, got ${body.length}`);
      }
      send(response, 200, { predictions: await batcher.add(samplesOf(body, preprocessing, predictor.features)) });
    } catch (error) {
      if (!socket.destroyed) refuse(response, error);
    } finally {
      inFlight.delete(response);
      const status = late.has(socket) ? 408 : socket.destroyed ? CLIENT_LEFT : response.statusCode;
      metrics.request(status, (performance.now() - start) / 1000);
    }
  };
  const routes: Route[] = [
    { method: "POST", path: "/predict", answer: answerPredict },
    {
      method: "GET",
      path: "/healthz",
      answer: (_, response) => send(response, isClosing ? 503 : 200, { status: isClosing ? "closing" : "ok" }),
    },
    {
      method: "GET",
      path: "/metrics",
      answer(_, response) {
        response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
        response.end(metrics.text(inFlight.size));
      },
    },
  ];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (isClosing) endConnection(response);
    const { method = "", url = "/", headers, httpVersion } = request;
    if (headers.host === undefined && httpVersion === "1.1") {
      return refuse(response, new Refusal(400, "BAD_REQUEST", "headers: expected a Host, got none"));
    }
    // A proxy sends the whole address.
    const path = url.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1)[0];
    const route = routes.find((one) => one.path === path);
    if (route === undefined) {
      const known = routes.map((one) => `${one.method} ${one.path}`).join(", ");
      return refuse(response, new Refusal(404, "NOT_FOUND", `${path}: no such path, expected one of ${known}`));
    }
    // Node.js leaves out the body of a response to HEAD.
    if ((method === "HEAD" ? "GET" : method) !== route.method) {
      response.setHeader("Allow", route.method === "GET" ? "GET, HEAD" : route.method);
      return refuse(response, new Refusal(405, "BAD_METHOD", `${path}: expected ${route.method}, got ${method}`));
    }
    return route.answer(request, response);
  };

  const limits = {
    requestTimeout: timeout,
    headersTimeout: timeout,
    connectionsCheckingInterval: CHECK_MS,
    // Node.js would respond with the status only.
    requireHostHeader: false,
  };
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    latest.set(request.socket, response);
    void answer(request, response)
      .catch(() => response.destroy())
      // A client that does not read its response would keep it in memory.
      .finally(() => response.setTimeout(timeout));
  };
  const server = createServer(limits, handle);
  server.on("checkContinue", (request, response) => {
    if (!isTooLong(request, maxBody)) response.writeContinue();
    handle(request, response);
  });
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    const text = `Expect: expected 100-continue, got ${show(request.headers.expect)}`;
    latest.set(request.socket, response);
    refuse(response, new Refusal(417, "BAD_EXPECTATION", text));
  });
  let connections = 0;
  server.on("connection", () => connections++);
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const response = latest.get(socket);
    // A request has one answer: what is wrong with the rest of one that was refused gets none.
    const isAnswered = response?.headersSent === true && !response.req.complete;
    if (isAnswered || !socket.writable) return void socket.destroy();
    const { status, code, message } = CLIENT_ERRORS[error.code ?? ""] ?? NO_HTTP;
    if (status === 408) late.add(socket);
    endWith(socket, status, { code, message: message(timeout) });
  });
  const taken = await listen(server, port, host);
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}/`,
    async close() {
      isClosing = true;
      for (const response of inFlight) endConnection(response);
      await acceptWaiting(() => connections);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const patience = setTimeout(() => server.closeAllConnections(), timeout);
      await closed;
      clearTimeout(patience);
    },
  };
}

/** The maximum number of connections that wait to be accepted, as in Node.js. */
const BACKLOG = 511;

/** Accepts the connections that wait: one comes a turn of the event loop, of which the first may have begun. */
async function acceptWaiting(connections: () => number): Promise<void> {
  await setImmediate();
  for (let i = 0, before = -1; i < BACKLOG && connections() > before; i++) {
    before = connections();
    await setImmediate();
  }
}

/** Handles the requests of a path. */
interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
}

/** A request that Node.js can't parse. */
interface ClientError {
  readonly status: number;
  readonly code: string;
  readonly message: (timeout: number) => string;
}

const NO_HTTP: ClientError = { status: 400, code: "BAD_REQUEST", message: () => "expected a request of HTTP/1.1" };
/** By Node.js's codes; {@link NO_HTTP} for all others. */
const CLIENT_ERRORS: Readonly<Record<string, ClientError>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: "TIMEOUT",
    message: (timeout) => `expected the whole request within ${timeout} ms`,
  },
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: "TOO_LARGE",
    message: () => `headers: expected at most ${maxHeaderSize} bytes, got more`,
  },
};

/** Responds when no request could be read, and closes the connection. */
function endWith(socket: Duplex, status: number, value: object): void {
  const body = JSON.stringify(value);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json`;
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  // A client that keeps its side half open would keep the connection forever.
  socket.end(`${head}\r\n${length}\r\nConnection: close\r\n\r\n${body}`, () => socket.destroy());
}

/** The server closes only when no connection is left, and clients keep theirs unless told otherwise. */
function endConnection(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader("Connection", "close");
}

function isTooLong({ headers }: IncomingMessage, maxBody: number): boolean {
  return Number(headers["content-length"] ?? 0) > maxBody;
}

async function bodyOf(request: IncomingMessage, maxBody: number): Promise<string> {
  const tooLarge = () => new Refusal(413, "TOO_LARGE", `body: expected at most ${maxBody} bytes, got more`);
  if (isTooLong(request, maxBody)) throw tooLarge();
  const coding = request.headers["content-encoding"] ?? "identity";
  if (coding.toLowerCase() !== "identity") {
    throw new Refusal(415, "BAD_ENCODING", `body: expected no Content-Encoding, got ${show(coding)}`);
  }
  const [, charset = "utf-8"] = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(request.headers["content-type"] ?? "") ?? [];
  if (!/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new Refusal(415, "BAD_ENCODING", `body: expected the charset utf-8, got ${show(charset)}`);
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  // By default, leaving the loop early destroys the request, and with it the connection that the answer needs.
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    parts.push(part);
    bytes += part.length;
    if (bytes > maxBody) throw tooLarge();
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw new Refusal(400, "BAD_JSON", "body: expected UTF-8");
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, "BAD_JSON", `body: expected JSON: ${(error as Error).message}`);
  }
}

function send(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

/** Mistakes of the client are 400 and the like; a defect of the server is 500. */
function refuse(response: ServerResponse, error: unknown): void {
  const { code = "INTERNAL", message } = error as Error & { code?: string };
  const status =
    error instanceof Refusal ? error.status : error instanceof DistilleryError && code !== "INTERNAL" ? 400 : 500;
  // The rest of the body is read and dropped: many clients read no response before they have sent all of it.
  response.req.resume();
  send(response, status, { code, message });
}
