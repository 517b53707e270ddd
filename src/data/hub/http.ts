import type { ErrorCode } from "../../errors.js";

/** What a server or the way to it is the cause of. */
export class ServerFailure extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    /** Whether to repeat the request: for the rest, from the start, or not at all. */
    readonly again: "rest" | "start" | null = null,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** A request: the bytes of a file of `bytes` from `from` on, of the version `tag` if that is known. */
interface RestRequest {
  readonly url: string;
  readonly from: number;
  readonly bytes: number;
  readonly tag: string | null;
  readonly signal: AbortSignal | undefined;
  /** How long the server may send nothing, in milliseconds. */
  readonly stallMs: number;
}

/** What came: the bytes from `start` on, which is 0 if the server does not send parts or has another version. */
export interface Rest {
  readonly start: number;
  /** The name of this version. */
  readonly tag: string | null;
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the connection. */
  close(): void;
}

/**
 * A connection that breaks, which may hold the next time. All else, as a redirect in circles or no way, would be the
 * same.
 */
const PASSING = /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|UND_ERR_(SOCKET|ABORTED|\w+_TIMEOUT))$/;

/** An address without the user's name and password in it. */
export function publicAddress(address: string): string {
  return address.replace(/^([a-z][\w+.-]*:[\\/]*)[^/?#\\]*@/i, "$1");
}

/** An address as it is requested, and its name and password as a header. */
function withoutPassword(address: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(address);
  const { username, password } = url;
  Object.assign(url, { username: "", password: "" });
  if (username === "" && password === "") return { url, headers: {} };
  const pair = [username, password].map(decodeURIComponent).join(":");
  return { url, headers: { authorization: `Basic ${Buffer.from(pair).toString("base64")}` } };
}

/** Asks a server for the rest of a file (RFC 9110, range requests); {@link ServerFailure} if that fails. */
export async function requestRest(request: RestRequest): Promise<Rest> {
  const { url, from, tag, signal, stallMs } = request;
  const connection = new AbortController();
  const late = () => connection.abort(new ServerFailure("IO_ERROR", `sent nothing for ${stallMs / 1000} s`, "rest"));
  const timer = setTimeout(late, stallMs);
  const close = () => {
    clearTimeout(timer);
    // What is not read any more would keep the process from ending.
    connection.abort();
  };
  const signals = signal === undefined ? [connection.signal] : [signal, connection.signal];
  // Compressed files come as they are: what is on the disk is what the range counts.
  const address = withoutPassword(url);
  const headers: Record<string, string> = { "accept-encoding": "identity", ...address.headers };
  if (from > 0) Object.assign(headers, { range: `bytes=${from}-` }, tag && { "if-range": tag });
  try {
    const response = await fetch(address.url, { headers, signal: AbortSignal.any(signals) });
    const start = startOf(response, request);
    return { start, tag: strongTag(response), body: chunks(response, timer, signal), close };
  } catch (error) {
    close();
    throw signal?.aborted ? error : failureOf(error);
  }
}

async function* chunks(
  { body }: Response,
  timer: NodeJS.Timeout,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body ?? []) {
      timer.refresh();
      yield chunk;
    }
  } catch (error) {
    throw signal?.aborted ? error : failureOf(error);
  }
}

/** Where the bytes of a response begin; refuses a response that is not the file. */
function startOf({ status, statusText, headers }: Response, { from, bytes }: RestRequest): number {
  const statusLine = `${status} ${statusText}`.trim();
  if (status === 404 || status === 410) throw new ServerFailure("NOT_FOUND", statusLine);
  if (status === 429 || status >= 500) throw new ServerFailure("IO_ERROR", statusLine, "rest");
  if (status === 416) throw new ServerFailure("BAD_DATA", `${statusLine}: it has no bytes from ${from} on`, "start");
  if (status !== 200 && status !== 206) throw new ServerFailure("IO_ERROR", statusLine);
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") throw new ServerFailure("BAD_DATA", `sends the file encoded as ${encoding}`);
  const [start, total] = status === 200 ? [0, headers.get("content-length")] : rangeOf(headers);
  if (total !== null && total !== "*" && Number(total) !== bytes) {
    throw new ServerFailure("BAD_DATA", `expected a file of ${bytes} bytes, the server has one of ${total}`);
  }
  if (start === (status === 200 ? 0 : from)) return start;
  throw new ServerFailure("BAD_DATA", `was asked for the bytes from ${from} on, sends those from ${start} on`, "start");
}

/** The first byte and the file's length in a partial response. */
function rangeOf(headers: Headers): [start: number, total: string] {
  const range = headers.get("content-range") ?? "";
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
  if (start !== undefined && total !== undefined) return [Number(start), total];
  throw new ServerFailure("BAD_DATA", `content-range: expected "bytes FROM-TO/LENGTH", got "${range}"`, "start");
}

/** Only a strong one says that two responses have the same bytes. */
function strongTag({ headers }: Response): string | null {
  const tag = headers.get("etag");
  return tag?.startsWith('"') ? tag : null;
}

function failureOf(error: unknown): ServerFailure {
  if (error instanceof ServerFailure) return error;
  const cause = ((error as Error).cause ?? error) as { code?: string; message?: string };
  const { code = "", message = "" } = cause;
  const text = message.includes(code) ? message : `${code}: ${message}`;
  return new ServerFailure("IO_ERROR", text, PASSING.test(code) ? "rest" : null, error);
}
