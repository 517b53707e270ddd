/** Serves a student over HTTP: `node serve.js FILE [PORT]`, then POST rows of inputs as JSON. */
import { createServer, type IncomingMessage } from "node:http";
import { argmax, DistilleryError, load, networkFrom, noGrad, tensor } from "distillery";

const [file = "student.pth", port = "8080"] = process.argv.slice(2);
const student = networkFrom(await load(file)).eval();

async function classify(request: IncomingMessage): Promise<object> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const rows = tensor(JSON.parse(Buffer.concat(parts).toString()));
  const logits = noGrad(() => student.forward(rows));
  return { classes: argmax(logits).toArray(), probabilities: logits.softmax().toArray() };
}

const server = createServer(async (request, response) => {
  response.setHeader("content-type", "application/json");
  try {
    response.end(JSON.stringify(await classify(request)));
  } catch (error) {
    const code = error instanceof DistilleryError ? error.code : "BAD_REQUEST";
    response.writeHead(400).end(JSON.stringify({ code, message: (error as Error).message }));
  }
});
server.listen(Number(port), "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  console.log(`http://127.0.0.1:${port}`);
});
