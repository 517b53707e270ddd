import { setNumThreads } from "distillery";
import { type BenchOptions, NoOptions, readOptions } from "./options.js";
import { chartFiles, expectOutputs, write } from "./outputs.js";

// Measuring and drawing are imported late: --soak watches the memory without them.

/** Does what the command line says; gives the exit code. */
async function run(args: readonly string[]): Promise<number> {
  try {
    const options = readOptions(args);
    if (options.threads !== null) setNumThreads(options.threads);
    if (options.soak === null) await expectOutputs(options);
    if (options.soak !== null) await watchMemory(options.soak);
    else if (options.against !== null) await compare(options.against, options);
    else await measure(options);
    return 0;
  } catch (error) {
    if (error instanceof NoOptions) {
      (error.exitCode === 0 ? console.log : console.error)(error.message);
      return error.exitCode;
    }
    console.error((error as Error).message);
    return 1;
  }
}

async function measure({ json, draw, quick, peers }: BenchOptions): Promise<void> {
  const { benchmark } = await import("./benchmark.js");
  const results = await benchmark({ quick, peers }, printer(json));
  await give(results, json);
  if (draw === null) return;
  const { drawRoofline } = await import("./draw/roofline.js");
  const { drawScaling } = await import("./draw/scaling.js");
  const { roofline, scaling } = chartFiles(draw);
  await write(roofline, drawRoofline(results));
  await write(scaling, drawScaling(results));
}

async function compare(against: string, { json, quick }: BenchOptions): Promise<void> {
  const { comparison } = await import("./benchmark.js");
  await give(await comparison({ against, quick }, printer(json)), json);
}

/** Prints the tables, unless standard output is for the JSON. */
function printer(json: BenchOptions["json"]): (text: string) => void {
  return json === true ? () => {} : (text) => console.log(text);
}

async function give(results: object, json: BenchOptions["json"]): Promise<void> {
  const text = JSON.stringify(results, null, 2);
  if (json === true) console.log(text);
  else if (json !== null) await write(json, `${text}\n`);
}

async function watchMemory(steps: number): Promise<void> {
  const { formatSoak, soak } = await import("./soak.js");
  let start: Parameters<typeof formatSoak>[1] | null = null;
  for await (const point of soak(steps)) {
    start ??= point;
    console.log(formatSoak(point, start));
  }
}

process.exitCode = await run(process.argv.slice(2));
