import { constants, type FileHandle, lstat, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import type { ErrorCode } from "../../errors.js";
import { hashFile, ioError } from "../../files/index.js";
import type { PublicFile } from "./catalog.js";

/** How a file is downloaded. */
export interface FetchOptions {
  readonly signal: AbortSignal | undefined;
  /** How long a server may send nothing, in milliseconds. */
  readonly stallMs: number;
  /** How long to wait before the request is repeated; twice as long each time that nothing came. */
  readonly retryMs: number;
  /** Called with the number of bytes that are there. */
  readonly onBytes: (received: number) => void;
}

/** How many requests in a row may bring no byte. */
const RETRIES = 3;

/**
 * Downloads a file to `target`, from the first address that has it. Until it is whole and its hash is right it is
 * `target.part`, which a later call continues; a connection that breaks off or stalls is made again. Does nothing
 * if the file is there.
 *
 * {@link ServerFailure} if no address has it, an `AbortError` by the signal, `IO_ERROR` of the disk.
 */
export async function fetchFile(
  urls: readonly string[],
  file: PublicFile,
  target: string,
  options: FetchOptions,
): Promise<void> {
  const failures: ServerFailure[] = [];
  if (await isWhole(target, file)) return;
  for (const url of urls) {
    try {
      return await fetchFrom(url, file, target, options);
    } catch (error) {
      if (!(error instanceof ServerFailure)) throw error;
      failures.push(new ServerFailure(error.code, `${publicAddress(url)}: ${error.message}`, null, error));
    }
  }
  const text = failures.map(({ message }) => message).join("; ");
  throw new ServerFailure(failures[0]?.code ?? "IO_ERROR", text, null, failures[0]);
}

async function fetchFrom(url: string, file: PublicFile, target: string, options: FetchOptions): Promise<void> {
  const part = new Part(`${target}.part`, file);
  for (let failures = 0, hasRestarted = false; ; ) {
    const before = await part.length();
    try {
      await part.complete(url, before, options);
      return await part.finish(target);
    } catch (error) {
      if (!(error instanceof ServerFailure)) throw error;
      if (error.again === "start") {
        await part.remove();
        // Starting again once more would fail in the same way.
        if (before === 0 || hasRestarted) throw error;
        hasRestarted = true;
        continue;
      }
      failures = (await part.length()) > before ? 0 : failures + 1;
      if (error.again === null || failures > RETRIES) throw error;
      await wait(options.retryMs * 2 ** failures, undefined, { signal: options.signal });
    }
  }
}

async function isWhole(path: string, { bytes, sha256 }: PublicFile): Promise<boolean> {
  const there = await stat(path).then(
    ({ size }) => size === bytes,
    () => false,
  );
  return there && (await hashFile(path)) === sha256;
}

/** The part of a file that was received, and the tag of its version. */
class Part {
  readonly #tagPath: string;
  readonly #refused = (error: unknown): never => {
    throw ioError("write", this.path, error);
  };

  constructor(
    readonly path: string,
    readonly file: PublicFile,
  ) {
    this.#tagPath = `${path}.etag`;
  }

  /** How much of the file is there; 0 if it is more than the whole file. A link is removed, not followed. */
  async length(): Promise<number> {
    const status = await lstat(this.path).catch(() => null);
    if (status === null || status.isDirectory()) return 0;
    if (!status.isFile()) {
      await this.remove();
      return 0;
    }
    return status.size > this.file.bytes ? 0 : status.size;
  }

  async remove(): Promise<void> {
    await Promise.all([this.path, this.#tagPath].map((path) => rm(path, { force: true })));
  }

  /** Asks for what is missing, and makes sure that it is the file. */
  async complete(url: string, from: number, { signal, stallMs, onBytes }: FetchOptions): Promise<void> {
    const { bytes, sha256 } = this.file;
    onBytes(from);
    if (from < bytes) {
      // A tag is of use only with the part that it belongs to.
      const tag = from === 0 ? null : await readFile(this.#tagPath, "utf8").catch(() => null);
      const rest = await requestRest({ url, from, bytes, tag, signal, stallMs });
      try {
        await this.#append(rest, onBytes);
      } finally {
        rest.close();
      }
    }
    const got = await hashFile(this.path);
    if (got === sha256) return await rm(this.#tagPath, { force: true });
    const text = `expected the SHA-256 ${sha256}, got ${got}: it is another file`;
    await this.remove();
    // The part that was there before may have been the wrong one.
    throw new ServerFailure("BAD_DATA", text, from > 0 ? "start" : null);
  }

  async finish(target: string): Promise<void> {
    await rename(this.path, target).catch(this.#refused);
  }

  async #append({ start, tag, body }: Rest, onBytes: (received: number) => void): Promise<void> {
    const handle = await this.#open(start, tag);
    try {
      let at = start;
      for await (const chunk of body) {
        at += chunk.length;
        if (at > this.file.bytes) {
          await handle.truncate();
          throw new ServerFailure("BAD_DATA", `sends more than the ${this.file.bytes} bytes of the file`);
        }
        await handle.appendFile(chunk).catch(this.#refused);
        onBytes(at);
      }
      if (at === this.file.bytes) return await handle.sync().catch(this.#refused);
      throw new ServerFailure("IO_ERROR", `broke off after ${at} of ${this.file.bytes} bytes`, "rest");
    } finally {
      await handle.close();
    }
  }

  async #open(start: number, tag: string | null): Promise<FileHandle> {
    await rm(this.#tagPath, { force: true }).catch(this.#refused);
    if (tag !== null) await writeFile(this.#tagPath, tag, { flag: "wx" }).catch(this.#refused);
    const mode = start === 0 ? constants.O_TRUNC : constants.O_APPEND;
    const flags = constants.O_WRONLY | constants.O_CREAT | mode | (constants.O_NOFOLLOW ?? 0);
    return await open(this.path, flags).catch(this.#refused);
  }
}

/** A failure of a server, or of the connection to it. */
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
interface Rest {
  readonly start: number;
  /** The name of this version. */
  readonly tag: string | null;
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the connection. */
  close(): void;
}

/**
 * Errors of a connection that breaks, which may succeed at the next try. Other errors, such as a circular redirect,
 * would occur again.
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
async function requestRest(request: RestRequest): Promise<Rest> {
  const { url, from, tag, signal, stallMs } = request;
  const connection = new AbortController();
  const late = () => connection.abort(new ServerFailure("IO_ERROR", `sent nothing for ${stallMs / 1000} s`, "rest"));
  const timer = setTimeout(late, stallMs);
  const close = () => {
    clearTimeout(timer);
    // An unread response would keep the process from ending.
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
