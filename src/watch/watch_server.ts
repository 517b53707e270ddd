import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { builtPage, htmlPage } from "../files/html_page.js";
import { readWhole } from "../files/index.js";
import { listen } from "../listen.js";
import { WatchedFolder } from "./watched_folder.js";
import type { Changes } from "./watched_run.js";

const HOST = "127.0.0.1";
const SCAN_MS = 500;
/** How often an empty line is sent, which shows whether the connection still exists. */
const BEAT_MS = 15_000;
/**
 * The most bytes that may wait for a client that does not read, in addition to the initial state. With more it is
 * disconnected; it gets the whole state again when it reconnects.
 */
const MAX_WAITING = 2 ** 24;

/** A page that is being served. */
export interface WatchServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves a page about the runs below a folder, to this machine only. It reads the runs' files and changes nothing. Port
 * 0 means any free port.
 *
 * @throws DistilleryError `IN_USE` if the port is taken; `IO_ERROR`.
 * @example
 * ```ts
 * const { url, close } = await watchServer("runs", { port: 0 });
 * ```
 */
export async function watchServer(folder: string, { port }: { port: number }): Promise<WatchServer> {
  const watched = new WatchedFolder(folder);
  watched.scan();
  const { script, style } = await builtPage("watch");
  const page = htmlPage({
    title: "Runs | Distillery",
    style,
    body: '<noscript><p class="noscript">This page is drawn by its script: allow scripts to see it.</p></noscript>',
    scripts: [{ code: script }],
    policy: ["connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'"],
  });
  const readers: Readers = new Map();
  const server = createServer((request, response) => {
    void answer(request, response, { page, watched, readers }).catch(() => response.destroy());
  });
  const taken = await listen(server, port, HOST);
  const scans = setInterval(() => {
    // Without readers nothing is scanned: the next reader gets everything.
    if (readers.size === 0) return;
    try {
      tell(readers, watched.scan());
    } catch {
      // Clients reconnect, and get the whole state.
      for (const reader of readers.keys()) reader.destroy();
    }
  }, SCAN_MS);
  const beats = setInterval(() => {
    write(readers, ":\n\n");
  }, BEAT_MS);
  return {
    url: `http://${HOST}:${taken}/`,
    async close() {
      clearInterval(scans);
      clearInterval(beats);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Served {
  page: ReturnType<typeof htmlPage>;
  watched: WatchedFolder;
  readers: Readers;
}

/** The connected readers, with the bytes that may wait for each. */
type Readers = Map<ServerResponse, number>;

async function answer(request: IncomingMessage, response: ServerResponse, served: Served): Promise<void> {
  response.setHeader("Cache-Control", "no-store");
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  // Against DNS rebinding: a name that points to this machine would let a foreign page read what is served.
  const port = request.socket.localPort;
  const isOurs = [`${HOST}:${port}`, `localhost:${port}`].includes(request.headers.host ?? "");
  if (!isOurs) return refuse(response, 403, `expected the host ${HOST}:${port}`);
  if (request.method !== "GET") return refuse(response, 405, "expected GET");
  const { page, watched, readers } = served;
  // Not parsed as a URL, because that takes `//name` as a host.
  const [pathname] = (request.url ?? "/").split("?", 1);
  if (pathname === "/") return html(response, page.text, page.rules);
  if (pathname === "/events") return follow(response, watched, readers);
  const [, folder, file] = /^\/runs\/(?:(.*)\/)?(report\.html)?$/s.exec(decoded(pathname)) ?? [];
  const path = folder ?? "";
  if (file !== undefined && watched.reportOf(path) !== null) {
    // A report may come from a stranger, so its script is isolated from this page.
    const rules =
      "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    return html(response, Buffer.from(await readWhole(watched.reportOf(path) as string)), rules);
  }
  // A report's links to its runs.
  if (file === undefined && pathname.startsWith("/runs/") && watched.has(path)) {
    response.writeHead(302, { Location: `/#${encodeURI(path)}` }).end();
    return;
  }
  refuse(response, 404, "no such page");
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}

function html(response: ServerResponse, text: string | Buffer, rules: string): void {
  const headers = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": `${rules}; frame-ancestors 'none'`,
  };
  response.writeHead(200, headers).end(text);
}

/** Sends the whole state, then every change (server-sent events). */
function follow(response: ServerResponse, watched: WatchedFolder, readers: Readers): void {
  response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
  tell(readers, watched.scan());
  const state = event("all", watched.all());
  readers.set(response, MAX_WAITING + Buffer.byteLength(state));
  response.on("close", () => readers.delete(response));
  response.write(state, () => {
    if (readers.has(response)) readers.set(response, MAX_WAITING);
  });
}

function tell(readers: Readers, changes: Changes): void {
  if (changes.changed.length + changes.removed.length > 0) write(readers, event("changes", changes));
}

function event(name: string, changes: Changes): string {
  return `event: ${name}\ndata: ${JSON.stringify(changes)}\n\n`;
}

function write(readers: Readers, text: string): void {
  for (const [response, most] of readers) {
    if (response.writableLength > most) response.destroy();
    else response.write(text);
  }
}
