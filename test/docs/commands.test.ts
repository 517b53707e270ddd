import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { givenFlags } from "../../src/cli/flags.js";
import { wholeProgram } from "../../src/cli/program.js";
import { settingsFrom } from "../../src/cli/settings.js";
import { type ConfigName, readUserOptions, SCHEMAS } from "../../src/config/index.js";
import { MANIFEST } from "../../src/package.js";
import { shellLines } from "../cli/documented_commands.js";
import { temporaryFolder } from "../support.js";
import { blocksOf, pages, textOf } from "./markdown.js";

/** Lines whose programs are not there, or would take too long, by how they begin: why no test reads them. */
const OTHER_PROGRAMS: Readonly<Record<string, string>> = {
  ".ci/run": "is what runs these tests",
  RUSTC_BOOTSTRAP: "needs the sanitizer of a nightly Rust",
  DISTILLERY_PYTHON: "needs PyTorch; .ci/run does it",
  cd: "goes to the reader's folder",
  curl: "the server is asked in test/cli/documented.test.ts",
  docker: "needs Docker",
  node: "needs the package installed, as examples.test.ts has it",
  python: "needs scikit-learn",
  "npm pack": "is tried by npm run pack:trial",
  "npm install": "needs what npm pack makes",
};

/** Every line of a shell block of the documentation, by its page. `command && command` is two. */
const LINES = pages().flatMap((page) =>
  shellLines(textOf(page)).map((words) => ({ page, words, line: words.join(" ") })),
);
const isOurs = (words: readonly string[]) => words.includes("distillery") && !["cd", "docker"].includes(words[0] ?? "");
const ours = LINES.filter(({ words }) => isOurs(words));
const others = LINES.filter(({ words }) => !isOurs(words));

/** The options of a command line, checked as the command checks them before it reads any file. */
async function check(name: string, words: readonly string[]): Promise<object> {
  let flags: object | undefined;
  const command = (await wholeProgram()).commands.find((one) => one.name() === name);
  if (command === undefined) throw new Error(`distillery has no command ${name}`);
  command.action(() => {
    flags = givenFlags(command);
  });
  command.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  await command.parseAsync(words, { from: "user" });
  if (flags === undefined) throw new Error(`${name} was not run`);
  if (!(name in SCHEMAS)) return flags;
  const { entries } = SCHEMAS[name as ConfigName];
  const options = Object.fromEntries(Object.entries(flags).filter(([option]) => option in entries));
  return settingsFrom(name as ConfigName, options as Parameters<typeof settingsFrom>[1]).config;
}

describe("every command of the documentation is one, with options that it takes", () => {
  test.each(ours)("$page: $line", async ({ words }) => {
    const [name = "", ...rest] = words.slice(words.indexOf("distillery") + 1);
    await check(name, rest);
  });
});

test("a mistake in one would be found", async () => {
  await expect(check("compare", ["--data", "x.csv", "--sedes", "3"])).rejects.toThrow("--sedes");
  await expect(check("compare", ["--data", "x.csv", "--seeds", "0"])).rejects.toThrow("seeds");
});

test("every other line is a script of package.json, or why it is not tried is known", () => {
  const { scripts } = MANIFEST as unknown as { scripts: Record<string, string> };
  const unknown = others.filter(({ words: [program = "", name = "", script = ""], line }) => {
    if (program === "npm" && ["start", "test"].includes(name)) return false;
    if (program === "npm" && name === "run") return !(script in scripts);
    return !Object.keys(OTHER_PROGRAMS).some((start) => line.startsWith(start));
  });
  expect(unknown).toEqual([]);
  const unneeded = Object.keys(OTHER_PROGRAMS).filter((start) => !others.some(({ line }) => line.startsWith(start)));
  expect(unneeded).toEqual([]);
});

test("every configuration file of the documentation is read by the command that it names", async () => {
  const folder = temporaryFolder();
  const files = pages().flatMap((page) => blocksOf(page, "yaml"));
  expect(files.length).toBeGreaterThan(0);
  for (const text of files) {
    const [, file = "", command = ""] = /^# (\S+): distillery (\S+)/.exec(text) ?? [];
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    const name = command as ConfigName;
    settingsFrom(name, await readUserOptions(name, path));
  }
});
