import { getNumThreads, setNumThreads } from "distillery";
import { compareLosses, compareResults } from "./agreement.js";
import { layerCases } from "./cases/layers.js";
import { matmulCases } from "./cases/matmul.js";
import { trainingCases } from "./cases/training.js";
import { describeMachine } from "./machine.js";
import { type Budget, medianTime } from "./measure.js";
import { native } from "./native.js";
import { type BenchOptions, readOptions, USAGE } from "./options.js";
import { formatHeader, formatHeading, formatLosses, formatRow, type Row, row } from "./report.js";
import { bothSteps } from "./whole_step.js";

const FULL: Budget = { milliseconds: 400, leastRuns: 10 };
const QUICK: Budget = { milliseconds: 60, leastRuns: 3 };
/** A whole step is what counts: it is measured longer. */
const WHOLE_STEP = 5;
const COMPARED_STEPS = 3;

/** Measures everything; hands each line to `onRow` as it is known. */
function measureAll(budget: Budget, peakGflops: number, onRow: (row: Row) => void): Row[] {
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    onRow(row);
  };
  for (const cases of [matmulCases, layerCases, trainingCases]) {
    for (const each of cases()) {
      compareResults(each);
      add(row(each, medianTime(each.kernel, budget), medianTime(each.plain, budget), peakGflops));
    }
  }
  wholeStep({ ...budget, milliseconds: budget.milliseconds * WHOLE_STEP }, peakGflops).forEach(add);
  return rows;
}

/** The step on all threads, and on one where that is less; each against the peak of as many threads. */
function wholeStep(budget: Budget, peakGflops: number): Row[] {
  const steps = bothSteps();
  const threads = getNumThreads();
  const step = { shape: "64×784", work: { amount: steps.flops, unit: "FLOP" } } as const;
  const plainMs = medianTime(steps.plain, budget);
  const all = row({ name: "THE WHOLE STEP", ...step }, medianTime(steps.kernels, budget), plainMs, peakGflops);
  if (threads === 1) return [all];
  setNumThreads(1);
  const [aloneMs, alonePeak] = [medianTime(steps.kernels, budget), native.peakRate()];
  setNumThreads(threads);
  return [all, row({ name: "the whole step, kernels on 1 thread", ...step }, aloneMs, plainMs, alonePeak)];
}

function main({ json, quick, threads }: BenchOptions): void {
  if (threads !== null) setNumThreads(threads);
  const print = json ? () => {} : (text: string) => console.log(text);
  const machine = describeMachine();
  print(`${formatHeader(machine)}\n`);
  const losses = compareLosses(bothSteps(), COMPARED_STEPS);
  print(`${formatLosses(losses)}\n\n${formatHeading()}`);
  const rows = measureAll(quick ? QUICK : FULL, machine.peakGflops, (row) => print(formatRow(row)));
  if (json) console.log(JSON.stringify({ machine, losses, rows }, null, 2));
}

function run(args: readonly string[]): number {
  let options: BenchOptions;
  try {
    options = readOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  try {
    main(options);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}

process.exitCode = run(process.argv.slice(2));
