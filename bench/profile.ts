import { type Binding, libraryKernels } from "./library.js";
import type { ProfileEntry, StepProfile } from "./results.js";
import { PacedRun } from "./steps/paced_run.js";
import { type Mode, scriptSetup } from "./steps/setup.js";

type Kernel = (...args: unknown[]) => unknown;

interface Sum {
  calls: number;
  ms: number;
  bytes: number;
  flops: number;
  /** Spent on bytes and FLOP themselves, which is no part of a step. */
  countingMs: number;
}

/** The FLOP of the matrix products, from their arguments. Other kernels are rated in bytes. */
const PRODUCTS: Readonly<Record<string, (args: readonly unknown[]) => number>> = {
  linearForward: flops,
  linearNormReluDropoutForward: ([call]) => {
    const { rows, inputs, features } = call as Record<"rows" | "inputs" | "features", number>;
    return flops([rows, inputs, features]);
  },
  linearBackward: (args) => {
    const [gradX, gradWeight] = args.slice(3);
    return [gradX, gradWeight].filter((into) => into !== null).length * flops(args);
  },
  batchedMatmul: flops,
};

/** Kernels that enqueue or await work on other threads: their arguments do not measure it. */
const ELSEWHERE = new Set(["inferenceEnqueue", "inferenceTake"]);

/** Where a step's time goes, on all threads: each kernel that the library calls is timed over a number of epochs. */
export async function profileStep(mode: Mode, epochs: number): Promise<StepProfile> {
  const run = await PacedRun.start(scriptSetup(mode));
  const sums = new Map<string, Sum>();
  const restore = timeKernels(await libraryKernels(), sums);
  const timedMs = await run.epoch(epochs).finally(restore);
  await run.stop();
  const stepMs = timedMs - countingMs(sums) / (epochs * run.stepsPerEpoch);
  return { mode, stepMs, entries: entriesOf(sums, stepMs, epochs * run.stepsPerEpoch) };
}

/** Replaces each kernel by a timed function; returns the function that restores them. */
export function timeKernels(kernels: Binding, sums: Map<string, Sum>): () => void {
  const originals = Object.entries(kernels).filter(([, value]) => typeof value === "function") as [string, Kernel][];
  const timed = originals.map(([name, kernel]) => [name, timedKernel(name, kernel, sums)]);
  Object.assign(kernels, Object.fromEntries(timed));
  return () => void Object.assign(kernels, Object.fromEntries(originals));
}

function timedKernel(name: string, kernel: Kernel, sums: Map<string, Sum>): Kernel {
  const sum: Sum = { calls: 0, ms: 0, bytes: 0, flops: 0, countingMs: 0 };
  return (...args) => {
    const begun = performance.now();
    try {
      return kernel(...args);
    } finally {
      const ended = performance.now();
      sum.ms += ended - begun;
      sum.calls += 1;
      sum.bytes += sizeOf(args);
      sum.flops += PRODUCTS[name]?.(args) ?? 0;
      sums.set(name, sum);
      sum.countingMs += performance.now() - ended;
    }
  };
}

function countingMs(sums: ReadonlyMap<string, Sum>): number {
  return [...sums.values()].reduce((total, { countingMs }) => total + countingMs, 0);
}

function entriesOf(sums: ReadonlyMap<string, Sum>, stepMs: number, steps: number): ProfileEntry[] {
  const entries = [...sums].map(([kernel, { calls, ms, bytes, flops }]) => ({
    kernel,
    calls: calls / steps,
    ms: ms / steps,
    share: ms / steps / stepMs,
    gigabytesPerSecond: ELSEWHERE.has(kernel) ? 0 : bytes / ms / 1e6,
    gflops: kernel in PRODUCTS ? flops / ms / 1e6 : null,
  }));
  const around = stepMs - entries.reduce((total, { ms }) => total + ms, 0);
  const rest = { kernel: "around the kernels", calls: 1, ms: around, share: around / stepMs };
  return [...entries.sort((a, b) => b.ms - a.ms), { ...rest, gigabytesPerSecond: 0, gflops: null }];
}

/** Of a product, whose lengths are the only numbers among the arguments. */
function flops(args: readonly unknown[]): number {
  return 2 * args.filter((x) => typeof x === "number").reduce((product, x) => product * x, 1);
}

/** The bytes of all arrays, by themselves or inside lists and objects. */
function sizeOf(args: readonly unknown[]): number {
  const arrays = new Set(args.flatMap(arraysIn));
  return [...arrays].reduce((total, { byteLength }) => total + byteLength, 0);
}

function arraysIn(value: unknown): ArrayBufferView[] {
  if (ArrayBuffer.isView(value)) return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(arraysIn) : [];
}
