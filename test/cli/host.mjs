// Runs command lines one after another in this process: each as in a new one, but for what Node.js has compiled
// already.
import { run } from "../../dist/cli/program.js";
import { getNumThreads, manualSeed, setNumThreads } from "../../dist/index.js";

/** The seed that PyTorch starts from without `manual_seed`. */
const DEFAULT_SEED = 67280421310721n;
const THREADS = getNumThreads();
/** How many turns of 10 ms or more what a command leaves may take to close. */
const CLOSING_TURNS = 200;

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
  answer({ code: 1, ends: true }, () => process.exit(1));
});
process.on("disconnect", () => process.exit());
process.on("message", async ({ argv, cwd }) => {
  if (printed.stdout.length + printed.stderr.length > 0) {
    answer({ code: 1, failure: "printed after the end of a command" });
    return;
  }
  const before = process.getActiveResourcesInfo();
  process.chdir(cwd);
  process.argv = argv;
  process.exitCode = undefined;
  setNumThreads(THREADS);
  manualSeed(DEFAULT_SEED);
  await run();
  // Rejections that nobody caught are told before.
  await new Promise(setImmediate);
  const open = await leftOpen(before);
  const failure = open.length === 0 ? undefined : `the command leaves its process open: ${open.join(", ")}`;
  answer({ code: process.exitCode ?? 0, failure });
});

/** What a command leaves that would keep a process of its own from ending. The pipe to the parent was there before. */
async function leftOpen(before) {
  for (let turn = 0; ; await new Promise((done) => setTimeout(done, 10).unref())) {
    const open = process.getActiveResourcesInfo();
    for (const resource of before) if (open.includes(resource)) open.splice(open.indexOf(resource), 1);
    if (open.length === 0 || turn++ === CLOSING_TURNS) return open;
  }
}

function answer(end, sent) {
  const [stdout, stderr] = [printed.stdout, printed.stderr].map((parts) => Buffer.concat(parts.splice(0)).toString());
  process.send({ ...end, stdout, stderr }, sent);
}
