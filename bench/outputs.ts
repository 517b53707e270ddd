import { mkdir, open, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BenchOptions } from "./options.js";

/** The charts' files in a folder. */
export function chartFiles(folder: string): { roofline: string; scaling: string } {
  return { roofline: join(folder, "roofline.svg"), scaling: join(folder, "scaling.svg") };
}

/** Refuses files that can't be written: before the measurements, which take minutes and would be lost. */
export async function expectOutputs({ json, draw }: Pick<BenchOptions, "json" | "draw">): Promise<void> {
  if (typeof json === "string") await expectWritable("--json", json);
  if (draw !== null) for (const file of Object.values(chartFiles(draw))) await expectWritable("--draw", file);
}

/** Writes a file, and its folder if that is missing. */
export async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

async function expectWritable(flag: string, file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    const isNew = await stat(file).then(
      () => false,
      () => true,
    );
    await (await open(file, "a")).close();
    if (isNew) await rm(file);
  } catch (error) {
    throw new Error(`${flag}: ${file} can't be written: ${(error as Error).message}`);
  }
}
