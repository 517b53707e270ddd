import { arch, availableParallelism, cpus, platform } from "node:os";
import { getNumThreads } from "distillery";
import { native } from "./native.js";

/** What the numbers were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** What the kernels use; plain TypeScript uses one. */
  readonly threads: number;
  readonly platform: string;
  readonly node: string;
  /** Measured: fused multiply-adds in registers on all threads. */
  readonly peakGflops: number;
}

/** Describes this machine, and measures its arithmetic peak. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    threads: getNumThreads(),
    platform: `${platform()}-${arch()}`,
    node: process.version,
    peakGflops: native.peakRate(),
  };
}
