import { getNumThreads } from "distillery";
import { compareResults } from "./agreement.js";
import { type Case, rateOf } from "./cases/case.js";
import { hiddenCases, layerCases, randomCases } from "./cases/layers.js";
import { matmulCases } from "./cases/matmul.js";
import { trainingCases } from "./cases/training.js";
import { withThreads } from "./library.js";
import { type Limits, shareOf } from "./machine.js";
import { type Budget, callTime } from "./measure.js";
import type { Row } from "./results.js";

/** The kernels at the script's shapes, by group. */
export const GROUPS = {
  products: matmulCases,
  layers: () => [...hiddenCases(), ...layerCases()],
  "random stream": randomCases,
  "losses and optimizer": trainingCases,
} as const;

/** Every kernel at the script's shapes. */
export function* kernelCases(): Generator<Case> {
  for (const cases of Object.values(GROUPS)) yield* cases();
}

/** Measures kernels, each once it and plain TypeScript gave the same values. */
export function* measureKernels(
  budget: Budget,
  limits: Limits,
  groups: Record<keyof typeof GROUPS, () => Iterable<Case>> = GROUPS,
): Generator<Row> {
  for (const [group, cases] of Object.entries(groups)) {
    for (const each of cases()) yield measureCase(group as keyof typeof GROUPS, each, budget, limits);
  }
}

function measureCase(group: Row["group"], each: Case, budget: Budget, limits: Limits): Row {
  compareResults(each);
  const { name, shape, work, kernel } = each;
  const oneThread = withThreads(1, () => callTime(kernel, budget));
  const allThreads = getNumThreads() === 1 ? oneThread : callTime(kernel, budget);
  const [oneThreadMs, allThreadsMs] = [oneThread.median, allThreads.median];
  const plainMs = callTime(each.plain, budget).median;
  return {
    group,
    name,
    shape,
    work,
    oneThreadMs,
    allThreadsMs,
    speedUp: oneThreadMs / allThreadsMs,
    plainMs,
    ratio: plainMs / allThreadsMs,
    rate: rateOf(work, allThreadsMs),
    share: shareOf(work, allThreadsMs, limits.all),
    shareOneThread: shareOf(work, oneThreadMs, limits.one),
    estimates: { oneThread, allThreads },
  };
}
