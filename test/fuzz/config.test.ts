import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type DistillConfig, defineConfig, type ResolvedConfig, readConfig } from "../../src/config/index.js";
import { temporaryFolder } from "../support.js";
import { check, readOr, TIMEOUT } from "./support.js";

const folder = temporaryFolder();
const NAMES = ["data", "epochs", "lr", "augment", "shift", "checkpointEvery", "steps", "labelColumn", "imageSize"];

/** What is taken has defaults in their places; all else is BAD_CONFIG. */
async function survives(body: () => ResolvedConfig<"distill"> | Promise<ResolvedConfig<"distill">>): Promise<void> {
  const config = await readOr("BAD_CONFIG", body);
  if (config === null) return;
  expect(config.epochs).toBeGreaterThanOrEqual(1);
  expect(config.lr).toBeGreaterThan(0);
  expect(["train", "eval"]).toContain(config.teacherMode);
}

const objects = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), fc.string()), fc.jsonValue({ maxDepth: 2 }));

test(
  "any object as a configuration",
  () =>
    check([fc.oneof(objects, fc.anything())], (value) =>
      survives(() => defineConfig("distill", value as DistillConfig)),
    ),
  TIMEOUT,
);

test(
  "any text as a configuration's file",
  () => {
    const parts = fc.constantFrom(...NAMES, ": ", "\n", "  ", "- ", "[", "}", "&a ", "*a ", '"', "1", "!!x ", "? ");
    const yaml = fc.array(fc.oneof(parts, fc.string())).map((texts) => texts.join(""));
    const json = objects.map((value) => JSON.stringify(value));
    return check([fc.oneof(yaml, json, fc.string()), fc.constantFrom("yaml", "json")], (text, extension) => {
      const file = join(folder, `any.${extension}`);
      writeFileSync(file, text);
      return survives(() => readConfig("distill", file));
    });
  },
  TIMEOUT,
);
