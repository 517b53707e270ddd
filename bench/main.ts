import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setNumThreads } from "distillery";
import { type BenchOptions, NoOptions, readOptions } from "./options.js";

// Measuring and drawing are imported late: --soak watches the memory without them.

/** Does what the command line says; gives the exit code. */
async function run(args: readonly string[]): Promise<number> {
  try {
    const options = readOptions(args);
    if (options.threads !== null) setNumThreads(options.threads);
    await (options.soak === null ? measure(options) : watchMemory(options.soak));
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
  const print = json === true ? () => {} : (text: string) => console.log(text);
  const results = await benchmark({ quick, peers }, print);
  const text = JSON.stringify(results, null, 2);
  if (json === true) console.log(text);
  else if (json !== null) await write(json, `${text}\n`);
  if (draw === null) return;
  const { drawRoofline } = await import("./draw/roofline.js");
  const { drawScaling } = await import("./draw/scaling.js");
  await write(join(draw, "roofline.svg"), drawRoofline(results));
  await write(join(draw, "scaling.svg"), drawScaling(results));
}

async function watchMemory(steps: number): Promise<void> {
  const { formatSoak, soak } = await import("./soak.js");
  let start: Parameters<typeof formatSoak>[1] | null = null;
  for await (const point of soak(steps)) {
    start ??= point;
    console.log(formatSoak(point, start));
  }
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

process.exitCode = await run(process.argv.slice(2));
