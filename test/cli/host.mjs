// Runs command lines one after another in this process: each as in a new one, but for what Node.js has compiled already.
import { run } from "../../dist/cli/program.js";
import { getNumThreads, manualSeed, setNumThreads } from "../../dist/index.js";

/** The seed that PyTorch starts from without `manual_seed`. */
const DEFAULT_SEED = 67280421310721n;
const THREADS = getNumThreads();

const printed = { stdout: [], stderr: [] };
for (const [name, parts] of Object.entries(printed)) {
  process[name].write = (chunk, encoding, done) => {
    parts.push(Buffer.from(chunk, typeof encoding === "string" ? encoding : "utf8"));
    const written = typeof encoding === "function" ? encoding : done;
    if (written !== undefined) process.nextTick(written);
    return true;
  };
}
process.on("warning", ({ name, message }) => printed.stderr.push(Buffer.from(`${name}: ${message}\n`)));
// What nobody catches ends a process.
process.on("uncaughtException", (error) => {
  printed.stderr.push(Buffer.from(`${error?.stack ?? error}\n`));
  answer(1, () => process.exit(1));
});
process.on("disconnect", () => process.exit());
process.on("message", async ({ argv, cwd }) => {
  process.chdir(cwd);
  process.argv = argv;
  process.exitCode = undefined;
  setNumThreads(THREADS);
  manualSeed(DEFAULT_SEED);
  await run();
  // Rejections that nobody caught are told before.
  setImmediate(() => answer(process.exitCode ?? 0));
});

function answer(code, sent) {
  const [stdout, stderr] = [printed.stdout, printed.stderr].map((parts) => Buffer.concat(parts.splice(0)).toString());
  process.send({ code, stdout, stderr }, sent);
}
