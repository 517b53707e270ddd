/** Serves a student over HTTP: `node serve.js FILE [PORT]`, then POST rows of inputs as JSON. */
import { createServer, type IncomingMessage } from "node:http";
import { argmax, DistilleryError, load, networkFrom, noGrad, type Tensor, tensor } from "distillery";

const MOST_BYTES = 1_000_000;
const [file = "student.pth", port = "8080"] = process.argv.slice(2);
const student = networkFrom(await load(file)).eval();

class TooLarge extends Error {
  readonly code = "TOO_LARGE";
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = Number(request.headers["content-length"] ?? 0);
  // An iterator that destroys the request would take the answer's connection with it.
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    if (bytes > MOST_BYTES) break;
    parts.push(part as Buffer);
    bytes = parts.reduce((sum, { length }) => sum + length, 0);
  }
  if (bytes > MOST_BYTES) throw new TooLarge(`body: expected at most ${MOST_BYTES} bytes, got more`);
  return Buffer.concat(parts).toString();
}

/** JSON has numbers that single precision has not: a network makes NaN of them. */
function expectFinite(name: string, { data }: Tensor): void {
  const wrong = data.find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw new DistilleryError("NON_FINITE", `${name}: expected finite numbers, got ${wrong}`);
}

async function classify(request: IncomingMessage): Promise<object> {
  const rows = tensor(JSON.parse(await read(request)));
  expectFinite("rows", rows);
  const logits = noGrad(() => student.forward(rows));
  expectFinite("the logits of these rows", logits);
  return { classes: argmax(logits).toArray(), probabilities: logits.softmax().toArray() };
}

const server = createServer(async (request, response) => {
  response.setHeader("content-type", "application/json");
  try {
    response.end(JSON.stringify(await classify(request)));
  } catch (error) {
    const { code = "BAD_REQUEST", message } = error as Error & { code?: string };
    // What is left of a body is read and dropped: a client that sends sees no answer before.
    response.writeHead(error instanceof TooLarge ? 413 : 400).end(JSON.stringify({ code, message }));
  }
});
server.listen(Number(port), "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  console.log(`http://127.0.0.1:${port}`);
});
