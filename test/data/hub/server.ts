import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterFile } from "../../helpers/after_file.js";

/** What a server does with a request. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on this machine. */
interface Served {
  url: string;
  /** What each request asked for. */
  ranges: (string | undefined)[];
  stop(): Promise<void>;
}

/** A server that answers as the list says, the last one for good; it goes when the test file is done. */
export async function serve(...answers: Answer[]): Promise<Served> {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    const answer = answers[Math.min(ranges.length, answers.length) - 1];
    answer?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  afterFile(stop);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ranges, stop };
}

/** Serves files by the last part of their path, whole or from where they are asked for. */
export function files(content: Readonly<Record<string, Uint8Array>>, etag?: string): Answer {
  return (request, response) => {
    const bytes = content[request.url?.split("/").at(-1) ?? ""];
    if (bytes === undefined) return void response.writeHead(404).end("no such file");
    if (etag !== undefined) response.setHeader("etag", etag);
    const { range, "if-range": only } = request.headers;
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    if (from === 0 || (only !== undefined && only !== etag)) {
      response.writeHead(200, { "content-length": bytes.length }).end(bytes);
    } else if (from >= bytes.length) response.writeHead(416).end();
    else {
      response.setHeader("content-range", `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
      response.writeHead(206, { "content-length": bytes.length - from }).end(bytes.subarray(from));
    }
  };
}

/** Announces all of it, sends the first bytes, and hangs up: in turns of the event loop, a client's too, after them. */
export function breakOff(bytes: Uint8Array, after: number, headers: Record<string, string> = {}): Answer {
  return (_, response) => {
    response.writeHead(200, { "content-length": bytes.length, ...headers });
    response.write(bytes.subarray(0, after), async () => {
      for (let turn = 0; turn < 20; turn++) await setTimeout(5);
      response.destroy();
    });
  };
}

/** Sends the first bytes, and then nothing more. */
export function stall(bytes: Uint8Array, after: number): Answer {
  return (_, response) => {
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, after));
  };
}

/** Answers with nothing but a status. */
export function status(code: number, headers: Record<string, string> = {}): Answer {
  return (_, response) => void response.writeHead(code, headers).end();
}
