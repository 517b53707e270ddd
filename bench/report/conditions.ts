import type { Ceiling, Limits } from "../limits.js";
import type { Conditions } from "../machine.js";
import { digits } from "./table.js";

/** The lines above the tables. */
export function formatConditions({ machine, threads, commit, versions }: Conditions): string {
  const { cpu, cores, platform, memoryBytes } = machine;
  const rust = versions.rustc === null ? "" : `, ${versions.rustc}`;
  return [
    `${cpu}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB, ${platform}`,
    `distillery ${versions.distillery} (${commit ?? "no checkout"}), Node ${versions.node}${rust}`,
    `kernels: ${threads} ${threads === 1 ? "thread" : "threads"}; plain TypeScript: 1 thread`,
  ].join("\n");
}

/** What the machine can do at most: the shares below are of these. */
export function formatLimits({ one, all }: Limits): string {
  const ceilings = one.threads === all.threads ? [one] : [one, all];
  return ["measured limits:", ...ceilings.map(formatCeiling)].join("\n");
}

function formatCeiling({ threads, gflops, bandwidths }: Ceiling): string {
  const memory = bandwidths.map(({ bytes, gigabytesPerSecond }) => {
    return `${digits(gigabytesPerSecond)} GB/s in ${(bytes / 2 ** 20).toFixed(0)} MiB`;
  });
  return `  ${threads} ${threads === 1 ? "thread " : "threads"}  ${digits(gflops)} GFLOP/s; ${memory.join(", ")}`;
}
