import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { importModules } from "../../src/registry/index.js";
import { refusal } from "../data/support.js";

const FOLDER = join(import.meta.dirname, "modules");

test("only the modules that expressions name are imported, each once", async () => {
  const modules = await importModules(["kd + 2*./net.mjs#tiny(a=1)", { name: "./net.mjs" }, "./net.mjs#tiny"], FOLDER);
  expect([...modules.keys()]).toEqual(["./net.mjs#tiny", "./net.mjs"]);
  expect(modules.get("./net.mjs#tiny")).toBeTypeOf("function");
});

test("absolute paths and file addresses need no folder", async () => {
  const file = join(FOLDER, "net.mjs");
  const modules = await importModules([`${file}#Tiny`, `${pathToFileURL(file).href}#Tiny`], "/");
  const [first, second] = modules.values();
  expect(first).toBe(second);
});

test.each([
  ["./none.mjs", "NOT_FOUND", `./none.mjs: no such file: ${join(FOLDER, "none.mjs")}`],
  ["./broken.mjs", "BAD_ARGUMENT", "./broken.mjs: can't be imported: not today"],
  [
    "./net.mjs#Tinny",
    "BAD_ARGUMENT",
    "./net.mjs#Tinny: no export Tinny, did you mean Tiny? (it exports Tiny, default, number, ready, tiny)",
  ],
  [
    "'./no default.mjs'",
    "BAD_ARGUMENT",
    "./no default.mjs: no default export (it exports one): name one, as ./no default.mjs#one",
  ],
  ["./net.mjs(", "BAD_ARGUMENT", "expression: expected a value at character 11, got the end"],
] as const)("%s is refused", async (expression, code, message) => {
  expect(await refusal(code, () => importModules([expression], FOLDER))).toBe(message);
});
