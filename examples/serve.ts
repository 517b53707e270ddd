/**
 * Serves a student over HTTP: `node serve.js FILE [PORT]`, then POST samples as JSON: rows of a table by the names of their
 * columns, pixels from 0 to 255, or numbers. The file says how they become inputs; if it does not, they are the inputs.
 */
import { createServer, type IncomingMessage } from "node:http";
import {
  argmax,
  DistilleryError,
  encodeSamples,
  loadNetwork,
  noGrad,
  readPreprocessing,
  type Tensor,
  tensor,
} from "distillery";

const MOST_BYTES = 1_000_000;
const [file = "student.pth", port = "8080"] = process.argv.slice(2);
const student = (await loadNetwork(file)).eval();
const preprocessing = await readPreprocessing(file);

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

/** Samples as the student takes them. */
function inputsOf(samples: unknown): Tensor {
  if (preprocessing?.kind === "table") return encodeSamples(preprocessing, samples as Record<string, string>[]);
  const numbers = tensor(samples as number[][]);
  expectFinite("rows", numbers);
  if (preprocessing === null) return numbers;
  if (preprocessing.kind === "values") return encodeSamples(preprocessing, numbers.data);
  const pixels = Uint8Array.from(numbers.data);
  const wrong = numbers.data.find((value, i) => value !== pixels[i]);
  if (wrong === undefined) return encodeSamples(preprocessing, pixels);
  throw new DistilleryError("BAD_DATA", `pixels: expected whole numbers from 0 to 255, got ${wrong}`);
}

async function classify(request: IncomingMessage): Promise<object> {
  const inputs = inputsOf(JSON.parse(await read(request)));
  const logits = noGrad(() => student.forward(inputs));
  expectFinite("the logits of these rows", logits);
  const classes = [...argmax(logits).data];
  const names = preprocessing?.classNames;
  return { classes, ...(names && { names: classes.map((i) => names[i]) }), probabilities: logits.softmax().toArray() };
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
