import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Tests that mock modules, or measure their process's memory or threads. */
const OWN_PROCESS = [
  "test/data/hub/load_by_name.test.ts",
  "test/data/formats/npy.test.ts",
  "test/checkpoint/hostile_zip.test.ts",
  "test/checkpoint/refusing_disks.test.ts",
  "test/tensor/memory.test.ts",
  "test/train/estimate.test.ts",
  "test/train/workers.test.ts",
];

/** Files that start programs of their own, and take longest for their size, come first: no worker is left with one at the end. */
class ProgramsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isFirst = ({ moduleId }: TestSpecification) => /\/test\/(cli|cluster|compare)\//.test(moduleId);
    return [...sorted.filter(isFirst), ...sorted.filter((file) => !isFirst(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: ProgramsFirst },
    // Long enough for whole runs on slow, busy machines.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Processes, not threads: the kernels' thread count and the random stream belong to the process.
    pool: "forks",
    // One more than cores: tests also wait, for timers, kills and programs of one thread.
    maxWorkers: availableParallelism() + 1,
    // The user's settings and downloads must not matter.
    env: { DISTILLERY_DATA: "", DISTILLERY_CACHE: join(tmpdir(), "distillery-no-cache"), DISTILLERY_MIRROR: "" },
    projects: [
      {
        // Importing the library costs more than most files' tests: the files of a worker share its modules.
        extends: true,
        test: {
          name: "shared",
          include: ["test/**/*.test.ts"],
          exclude: OWN_PROCESS,
          isolate: false,
          setupFiles: ["test/helpers/fresh_state.ts", "test/helpers/end_file.ts"],
        },
      },
      {
        extends: true,
        test: { name: "own process", include: OWN_PROCESS, setupFiles: "test/helpers/end_file.ts" },
      },
    ],
  },
});
