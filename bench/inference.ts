import * as library from "distillery";
import { getNumThreads, type Module, predict, randn, StudentNet, TeacherNet } from "distillery";
import { withThreads } from "./library.js";
import type { InferenceRow, Latency } from "./results.js";

/** Samples a call. */
export const BATCHES = [1, 8, 16] as const;
/** The script's networks, as they are and frozen. */
export const NETWORKS = {
  student: () => new StudentNet(),
  "frozen student": () => frozen(new StudentNet()),
  teacher: () => new TeacherNet(),
  "frozen teacher": () => frozen(new TeacherNet()),
} as const;

/** A call of `predict()` for that many samples. */
export function prediction(network: keyof typeof NETWORKS, rows: number): () => unknown {
  const [model, inputs] = [NETWORKS[network](), randn([rows, 784])];
  return () => predict(model, inputs);
}

/** Not imported by its name: another version of the library may lack it. */
function frozen(network: Module): Module {
  return library.freezeGraph(network, [784]);
}

/** Measures calls of the networks, some milliseconds for each number of samples and of threads. */
export function* measureInference(milliseconds: number): Generator<InferenceRow> {
  for (const network of Object.keys(NETWORKS) as (keyof typeof NETWORKS)[]) {
    for (const rows of BATCHES) {
      const call = prediction(network, rows);
      const oneThread = withThreads(1, () => latency(call, milliseconds));
      const allThreads = getNumThreads() === 1 ? oneThread : latency(call, milliseconds);
      yield { network, rows, oneThread, allThreads };
    }
  }
}

/** The median and the 99th percentile of single calls, in milliseconds, once warm. */
export function latency(call: () => unknown, milliseconds: number): Latency {
  timesOf(call, milliseconds / 4);
  const times = timesOf(call, milliseconds).sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * (times.length - 1))];
  return { p50: at(0.5), p99: at(0.99) };
}

function timesOf(call: () => unknown, milliseconds: number): number[] {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  for (let begun = performance.now(); begun < end || times.length === 0; begun = performance.now()) {
    call();
    times.push(performance.now() - begun);
  }
  return times;
}
