import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Whole runs on machines that are slow and busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A process a file: the kernels' threads, the random stream and the number of threads are the process's own. Half
    // the cores, since the kernels use threads themselves.
    pool: "forks",
    maxWorkers: Math.max(1, Math.floor(availableParallelism() / 2)),
  },
});
