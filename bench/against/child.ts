// One version of the library in a process of its own: does what its parent asks for, one thing at a time.
import { withThreadsAsync } from "../library.js";
import type { Paced } from "../steps/paced_run.js";
import { type Group, workloadsOf } from "./workloads.js";

/** What the parent asks for: the names of a group's workloads, one to be opened, a turn of the open one, its end. */
export type Request =
  | { readonly list: Group }
  | { readonly open: string; readonly group: Group }
  | { readonly turn: number; readonly threads: number }
  | { readonly stop: true };

/** The answer: names for a list, milliseconds for a turn. */
export type Answer = { readonly error: string } | { readonly value: readonly string[] | number | null };

let open: Paced | null = null;
/** Milliseconds that a step took in the last turn. */
let last = Number.NaN;

process.on("message", (request: Request) => {
  answerTo(request).then(
    (value) => process.send?.({ value } satisfies Answer),
    (error: Error) => process.send?.({ error: error.message.split("\n", 1)[0] } satisfies Answer),
  );
});

async function answerTo(request: Request): Promise<readonly string[] | number | null> {
  if ("list" in request) return [...(await workloadsOf(request.list)).keys()];
  if ("open" in request) {
    const start = (await workloadsOf(request.group)).get(request.open);
    if (start === undefined) throw new Error(`no workload ${request.open}`);
    open = await start();
    last = await open.epoch();
    return null;
  }
  if (open === null) throw new Error("expected an open workload");
  if ("turn" in request) {
    const run = open;
    const epochs = Math.max(1, Math.round(request.turn / (last * run.stepsPerEpoch)));
    last = await withThreadsAsync(request.threads, () => run.epoch(epochs));
    return last;
  }
  await open.stop();
  open = null;
  return null;
}
