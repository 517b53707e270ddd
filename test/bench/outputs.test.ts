import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chartFiles, expectOutputs, write } from "../../bench/outputs.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();

test("what can be written is not touched before it is", async () => {
  const [json, draw] = [join(folder, "new", "results.json"), join(folder, "charts")];
  mkdirSync(draw);
  writeFileSync(chartFiles(draw).roofline, "of before");
  await expectOutputs({ json, draw });
  expect(readdirSync(join(folder, "new"))).toEqual([]);
  expect(readdirSync(draw)).toEqual(["roofline.svg"]);
  expect(readFileSync(chartFiles(draw).roofline, "utf8")).toBe("of before");
  await write(json, "{}\n");
  expect(readFileSync(json, "utf8")).toBe("{}\n");
});

test("what can't be written is refused before anything is measured", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  await expect(expectOutputs({ json: folder, draw: null })).rejects.toThrow(
    `--json: ${folder} can't be written: EISDIR`,
  );
  await expect(expectOutputs({ json: null, draw: file })).rejects.toThrow(
    `--draw: ${join(file, "roofline.svg")} can't be written: EEXIST`,
  );
  await expect(expectOutputs({ json: true, draw: null })).resolves.toBeUndefined();
});
