// Loaded into the process of a run: after its first line, and a step more, it waits for the signal that `?` names. With
// `?stop`, compare's processes wait after their first step for the order to stop. So what a test sends comes in mid-run.
// A process that waits prints `held`.
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers/promises";

const until = new URL(import.meta.url).search.slice(1);
const { setImmediate, setTimeout } = timers;
let isHeld = false;
let steps = 0;
const release = () => {
  isHeld = false;
};

if (until === "stop") isHeld = process.send !== undefined;
else {
  const { stdout } = process;
  const { write } = stdout;
  stdout.write = (...args) => {
    isHeld = true;
    stdout.write = write;
    return stdout.write(...args);
  };
  process.once(until, release);
}

// A training run calls it between its steps.
timers.setImmediate = async (...args) => {
  if (isHeld) steps++;
  // Not before: an order that comes earlier is not this listener's.
  if (isHeld && steps === 1 && until === "stop") process.on("message", ({ kind }) => kind === "stop" && release());
  if (isHeld && steps === 2) process.stdout.write("held\n");
  while (isHeld && steps > 1) await setTimeout(5);
  return setImmediate(...args);
};
syncBuiltinESMExports();
