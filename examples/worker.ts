/**
 * Distills in a worker thread and streams its progress to a web page: `node examples/worker.ts [PORT]`, then open the
 * page.
 */
import { createServer } from "node:http";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { distill, manualSeed, StudentNet, synthetic, TeacherNet } from "distillery";

const PAGE = `<!doctype html><title>Distillation</title><pre id="log"></pre><script>
new EventSource("/events").onmessage = ({ data }) => {
  const { epoch, epochs, metrics } = JSON.parse(data);
  log.textContent += "epoch " + epoch + " of " + epochs + ": loss " + metrics.loss.toFixed(4) + "\\n";
};
</script>`;

if (isMainThread) serve(Number(process.argv[2] ?? "8080"));
else await train();

async function train(): Promise<void> {
  manualSeed(0);
  const [teacher, student] = [new TeacherNet().freeze(), new StudentNet()];
  const onEpoch = (record: object) => parentPort?.postMessage(record);
  await distill({ teacher, student, data: synthetic(), epochs: 20, onEpoch });
}

function serve(port: number): void {
  const records: string[] = [];
  const worker = new Worker(new URL(import.meta.url));
  worker.on("message", (record) => records.push(`data: ${JSON.stringify(record)}\n\n`));
  const server = createServer(({ url }, response) => {
    if (url !== "/events") return response.setHeader("content-type", "text/html").end(PAGE);
    response.writeHead(200, { "content-type": "text/event-stream" }).write(records.join(""));
    const send = () => response.write(records.at(-1));
    worker.on("message", send);
    response.on("close", () => worker.off("message", send));
    return response;
  });
  server.listen(port, "127.0.0.1", () => {
    const { port } = server.address() as { port: number };
    console.log(`http://127.0.0.1:${port}`);
  });
}
