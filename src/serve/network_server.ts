import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { show } from "../checks.js";
import { listen } from "../listen.js";
import { cat } from "../ops/cat.js";
import type { TaskPrediction } from "../tasks/prediction.js";
import type { Tensor } from "../tensor/tensor.js";
import { Batcher } from "./batcher.js";
import {
  bodyOf,
  CLIENT_ERRORS,
  endConnection,
  endWith,
  isTooLong,
  NO_HTTP,
  parsed,
  Refusal,
  refuse,
  send,
} from "./messages.js";
import type { Predictor } from "./predictor.js";
import { RequestMetrics } from "./request_metrics.js";
import { samplesOf } from "./samples.js";

/** How often late requests are looked for. */
const CHECK_MS = 500;
/** What nginx reports for a request whose client left before the response. */
const CLIENT_LEFT = 499;

/** The maximum number of connections that wait to be accepted, as in Node.js. */
const BACKLOG = 511;

/** The limits of a request. */
interface Limits {
  readonly maxBody: number;
  readonly maxSamples: number;
  readonly timeout: number;
}

/** Handles the requests of a path. */
interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
}

/** The HTTP server of a network. */
export class NetworkServer {
  readonly #predictor: Predictor;
  readonly #limits: Limits;
  readonly #server: Server;
  readonly #metrics = new RequestMetrics();
  readonly #batcher: Batcher<TaskPrediction>;
  /** The connections whose request did not arrive in time. */
  readonly #late = new WeakSet<Duplex>();
  /** The response to the latest request of each connection. */
  readonly #latest = new WeakMap<Duplex, ServerResponse>();
  /** The responses to requests for predictions that are not answered yet. */
  readonly #inFlight = new Set<ServerResponse>();
  readonly #routes: readonly Route[] = [
    { method: "POST", path: "/predict", answer: (request, response) => this.#predict(request, response) },
    { method: "GET", path: "/healthz", answer: (_, response) => this.#health(response) },
    { method: "GET", path: "/metrics", answer: (_, response) => this.#showMetrics(response) },
  ];
  #connections = 0;
  #isClosing = false;

  constructor(predictor: Predictor, limits: Limits) {
    const { maxBody, maxSamples, timeout } = limits;
    this.#predictor = predictor;
    this.#limits = limits;
    this.#batcher = new Batcher((samples) => this.#compute(samples), cat, maxSamples);
    const times = { requestTimeout: timeout, headersTimeout: timeout, connectionsCheckingInterval: CHECK_MS };
    // With `requireHostHeader` Node.js would respond with the status only.
    this.#server = createServer({ ...times, requireHostHeader: false }, (request, response) =>
      this.#handle(request, response),
    );
    this.#server.on("connection", () => this.#connections++);
    this.#server.on("checkContinue", (request, response) => {
      if (!isTooLong(request, maxBody)) response.writeContinue();
      this.#handle(request, response);
    });
    this.#server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
      const text = `Expect: expected 100-continue, got ${show(request.headers.expect)}`;
      this.#latest.set(request.socket, response);
      refuse(response, new Refusal(417, "BAD_EXPECTATION", text));
    });
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) => this.#refuseUnread(error, socket));
  }

  /** Begins to answer requests; returns the port. */
  listen(port: number, host: string): Promise<number> {
    return listen(this.#server, port, host);
  }

  /** Accepts no more requests, answers those that have arrived, and ends. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const response of this.#inFlight) endConnection(response);
    await this.#acceptWaiting();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    const patience = setTimeout(() => this.#server.closeAllConnections(), this.#limits.timeout);
    await closed;
    clearTimeout(patience);
  }

  /** Accepts the connections that wait: one comes a turn of the event loop, of which the first may have begun. */
  async #acceptWaiting(): Promise<void> {
    await setImmediate();
    for (let i = 0, before = -1; i < BACKLOG && this.#connections > before; i++) {
      before = this.#connections;
      await setImmediate();
    }
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    this.#latest.set(request.socket, response);
    void this.#answer(request, response)
      .catch(() => response.destroy())
      // A client that does not read its response would keep it in memory.
      .finally(() => response.setTimeout(this.#limits.timeout));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#isClosing) endConnection(response);
    const { method = "", url = "/", headers, httpVersion } = request;
    if (headers.host === undefined && httpVersion === "1.1") {
      return refuse(response, new Refusal(400, "BAD_REQUEST", "headers: expected a Host, got none"));
    }
    // A proxy sends the whole address.
    const path = url.replace(/^https?:\/\/[^/?]*/i, "").split("?", 1)[0];
    const route = this.#routes.find((one) => one.path === path);
    if (route === undefined) {
      const known = this.#routes.map((one) => `${one.method} ${one.path}`).join(", ");
      return refuse(response, new Refusal(404, "NOT_FOUND", `${path}: no such path, expected one of ${known}`));
    }
    // Node.js leaves out the body of a response to HEAD.
    if ((method === "HEAD" ? "GET" : method) !== route.method) {
      response.setHeader("Allow", route.method === "GET" ? "GET, HEAD" : route.method);
      return refuse(response, new Refusal(405, "BAD_METHOD", `${path}: expected ${route.method}, got ${method}`));
    }
    return route.answer(request, response);
  }

  async #predict(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const start = performance.now();
    const { socket } = request;
    const { maxBody, maxSamples } = this.#limits;
    const { preprocessing, features } = this.#predictor;
    this.#inFlight.add(response);
    try {
      const body = parsed(await bodyOf(request, maxBody));
      if (Array.isArray(body) && body.length > maxSamples) {
        throw new Refusal(413, "TOO_LARGE", `body: expected at most ${maxSamples} samples, got ${body.length}`);
      }
      send(response, 200, { predictions: await this.#batcher.add(samplesOf(body, preprocessing, features)) });
    } catch (error) {
      if (!socket.destroyed) refuse(response, error);
    } finally {
      this.#inFlight.delete(response);
      const status = this.#late.has(socket) ? 408 : socket.destroyed ? CLIENT_LEFT : response.statusCode;
      this.#metrics.request(status, (performance.now() - start) / 1000);
    }
  }

  #compute(samples: Tensor): TaskPrediction[] {
    const predictions = this.#predictor.predict(samples);
    // Samples of a refused batch do not count: the valid ones are computed again, each request by itself.
    this.#metrics.batch(samples.shape[0]);
    return predictions;
  }

  #health(response: ServerResponse): void {
    send(response, this.#isClosing ? 503 : 200, { status: this.#isClosing ? "closing" : "ok" });
  }

  #showMetrics(response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
    response.end(this.#metrics.text(this.#inFlight.size));
  }

  /** Answers a request that Node.js could not read, and closes its connection. */
  #refuseUnread(error: NodeJS.ErrnoException, socket: Duplex): void {
    const response = this.#latest.get(socket);
    // A request has one answer: what is wrong with the rest of one that was refused gets none.
    const isAnswered = response?.headersSent === true && !response.req.complete;
    if (isAnswered || !socket.writable) return void socket.destroy();
    const { status, code, message } = CLIENT_ERRORS[error.code ?? ""] ?? NO_HTTP;
    if (status === 408) this.#late.add(socket);
    endWith(socket, status, { code, message: message(this.#limits.timeout) });
  }
}
