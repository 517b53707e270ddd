import type { Paced } from "../steps/paced_run.js";

/** By name; one is started when its turn comes. */
type Workloads = ReadonlyMap<string, () => Promise<Paced>>;

/**
 * What two versions of the library are compared by. A group's modules are loaded with it: another version may lack what
 * they import, and the other groups are still compared.
 */
const GROUPS = { steps, kernels, convolution, transformer, inference } as const;
export type Group = keyof typeof GROUPS;

/** The workloads of a group. */
export function workloadsOf(group: Group): Promise<Workloads> {
  return GROUPS[group]();
}

async function steps(): Promise<Workloads> {
  const { PacedRun } = await import("../steps/paced_run.js");
  const { MODES, scriptSetup, TITLES } = await import("../steps/setup.js");
  return new Map(MODES.map((mode) => [TITLES[mode], () => PacedRun.start(scriptSetup(mode))]));
}

async function kernels(): Promise<Workloads> {
  const { kernelCases } = await import("../kernels.js");
  const { pacedCalls } = await import("../steps/paced_run.js");
  return new Map([...kernelCases()].map(({ name, kernel }) => [name, async () => pacedCalls(kernel)]));
}

async function convolution(): Promise<Workloads> {
  const { startPasses, startTraining, TEACHER, TRAINED } = await import("../convolution.js");
  return new Map([
    ...TRAINED.map((name) => [`step of ${name}`, () => startTraining(name)] as const),
    [`forward of the frozen ${TEACHER}`, startPasses],
  ]);
}

async function transformer(): Promise<Workloads> {
  const { startTransformer } = await import("../transformer.js");
  return new Map([["step of a text transformer", startTransformer]]);
}

async function inference(): Promise<Workloads> {
  const { BATCHES, NETWORKS, prediction } = await import("../inference.js");
  const { pacedCalls } = await import("../steps/paced_run.js");
  const names = Object.keys(NETWORKS) as (keyof typeof NETWORKS)[];
  return new Map(
    names.flatMap((name) =>
      BATCHES.map(
        (rows) => [`predict(), ${name}, batch ${rows}`, async () => pacedCalls(prediction(name, rows))] as const,
      ),
    ),
  );
}
