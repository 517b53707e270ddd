import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const OWN = "own process";

/** Tests that mock modules, change the working folder, or measure their process's memory or threads. */
const OWN_PROCESS = [
  "test/data/hub/load_by_name.test.ts",
  "test/data/formats/npy.test.ts",
  "test/checkpoint/hostile_zip.test.ts",
  "test/checkpoint/refusing_disks.test.ts",
  "test/docs/doc_examples.test.ts",
  "test/tensor/buffer_pool.test.ts",
  "test/train/estimate.test.ts",
  "test/train/workers.test.ts",
];

/**
 * Files with a process of their own come first: one in between would end the process that others share, which would load the library
 * again. Then those that start programs, and take longest for their size: no worker is left with one at the end.
 */
class OwnThenPrograms extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project, moduleId }: TestSpecification) =>
      project.name === OWN ? 0 : /\/test\/(cli|cluster|compare)\//.test(moduleId) ? 1 : 2;
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: OwnThenPrograms },
    // Long enough for whole runs on slow, busy machines.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
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
        test: { name: OWN, include: OWN_PROCESS, setupFiles: "test/helpers/end_file.ts" },
      },
    ],
  },
});
