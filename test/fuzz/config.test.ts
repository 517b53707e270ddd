import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type DistillConfig, defineConfig, readConfig } from "../../src/config/index.js";
import { DistilleryError } from "../../src/errors.js";
import { temporaryFolder } from "../checkpoint/support.js";

const folder = temporaryFolder();
const RUNS = Number(process.env.FUZZ_RUNS ?? 300);

/** What is taken is right, and what is not is refused as what it is. */
async function takenOrRefused(body: () => unknown): Promise<void> {
  try {
    const config = (await body()) as { epochs: number; lr: number };
    expect(config.epochs).toBeGreaterThanOrEqual(1);
    expect(config.lr).toBeGreaterThan(0);
  } catch (error) {
    expect(error).toBeInstanceOf(DistilleryError);
    expect((error as DistilleryError).code).toBe("BAD_CONFIG");
    expect((error as DistilleryError).message).not.toContain("undefined");
  }
}

const names = ["data", "epochs", "lr", "augment", "seed", "checkpointEvery", "labelColumn", "imageSize", "teacher"];
const config = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), fc.jsonValue({ maxDepth: 2 }));

test("any object", () =>
  fc.assert(
    fc.asyncProperty(fc.oneof(config, fc.anything()), (value) =>
      takenOrRefused(() => defineConfig("distill", value as DistillConfig)),
    ),
    { numRuns: RUNS },
  ));

test("any text, as YAML and as JSON", () => {
  const yaml = fc.array(
    fc.oneof(fc.constantFrom(...names, ": ", "\n", "  ", "- ", "[", "}", "&a ", "*a ", '"'), fc.string()),
  );
  const text = fc.oneof(
    yaml.map((parts) => parts.join("")),
    config.map((value) => JSON.stringify(value)),
    fc.string(),
  );
  return fc.assert(
    fc.asyncProperty(text, fc.constantFrom("yaml", "json"), async (written, extension) => {
      const file = join(folder, `any.${extension}`);
      writeFileSync(file, written);
      await takenOrRefused(() => readConfig("distill", file));
    }),
    { numRuns: RUNS },
  );
});
