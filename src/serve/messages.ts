import { type IncomingMessage, maxHeaderSize, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";

/** Why a request is refused: a status and a code. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A request that Node.js can't parse. */
interface ClientError {
  readonly status: number;
  readonly code: string;
  readonly message: (timeout: number) => string;
}

/** What is wrong with all other requests that Node.js can't parse. */
export const NO_HTTP: ClientError = {
  status: 400,
  code: "BAD_REQUEST",
  message: () => "expected a request of HTTP/1.1",
};
/** By Node.js's codes; {@link NO_HTTP} for all others. */
export const CLIENT_ERRORS: Readonly<Record<string, ClientError>> = {
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
export function endWith(socket: Duplex, status: number, value: object): void {
  const body = JSON.stringify(value);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json`;
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  // A client that keeps its side half open would keep the connection forever.
  socket.end(`${head}\r\n${length}\r\nConnection: close\r\n\r\n${body}`, () => socket.destroy());
}

/** The server closes only when no connection is left, and clients keep theirs unless told otherwise. */
export function endConnection(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader("Connection", "close");
}

/** Whether a request announces a body that is too long. */
export function isTooLong({ headers }: IncomingMessage, maxBody: number): boolean {
  return Number(headers["content-length"] ?? 0) > maxBody;
}

/** The text of a request's body; a {@link Refusal} if it is too long or not UTF-8. */
export async function bodyOf(request: IncomingMessage, maxBody: number): Promise<string> {
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

/** The JSON of a body. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, "BAD_JSON", `body: expected JSON: ${(error as Error).message}`);
  }
}

/** Answers a request with JSON. */
export function send(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

/** Answers a request with what is wrong: mistakes of the client are 400 and the like, a defect of the server is 500. */
export function refuse(response: ServerResponse, error: unknown): void {
  const { code = "INTERNAL", message } = error as Error & { code?: string };
  const status =
    error instanceof Refusal ? error.status : error instanceof DistilleryError && code !== "INTERNAL" ? 400 : 500;
  // The rest of the body is read and dropped: many clients read no response before they have sent all of it.
  response.req.resume();
  send(response, status, { code, message });
}
