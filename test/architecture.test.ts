import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SRC = join(ROOT, "src");

/** What each folder of src/ may import beside itself and the files at the top. */
const ALLOWED: Record<string, string[]> = {
  registry: [],
  files: [],
  tensor: [],
  ops: ["tensor"],
  data: ["files", "registry", "tensor"],
  nn: ["ops", "tensor"],
  models: ["nn", "registry", "tensor"],
  losses: ["ops", "registry", "tensor"],
  optim: ["nn", "registry", "tensor"],
  checkpoint: ["files", "models", "nn", "tensor"],
  log: ["files"],
  export: ["files", "nn", "ops", "tensor"],
  train: ["checkpoint", "data", "log", "losses", "models", "nn", "ops", "optim", "registry", "tensor"],
  compare: ["checkpoint", "data", "files", "log", "models", "nn", "ops", "tensor", "train"],
  report: ["checkpoint", "compare", "data", "files", "log", "losses", "models", "nn", "ops", "tensor", "train"],
  config: ["compare", "files", "models", "registry", "train"],
  cli: [
    "checkpoint",
    "compare",
    "config",
    "data",
    "export",
    "files",
    "log",
    "models",
    "nn",
    "registry",
    "report",
    "tensor",
    "train",
  ],
};

const files = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

test("a folder imports only from those that it may", () => {
  const wrong = files(SRC).flatMap((name) => {
    const [folder, rest] = name.split("/");
    if (rest === undefined || folder === undefined) return [];
    const imports = readFileSync(join(SRC, name), "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g);
    return [...imports].flatMap(([, path]) => {
      const target = relative(SRC, resolve(SRC, dirname(name), path as string)).split("/");
      const ok = target.length === 1 || target[0] === folder || ALLOWED[folder]?.includes(target[0] as string);
      return ok ? [] : [`${name} imports ${target.join("/")}`];
    });
  });
  expect(wrong).toEqual([]);
  expect(Object.keys(ALLOWED).sort()).toEqual(
    readdirSync(SRC, { withFileTypes: true })
      .flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
      .sort(),
  );
});

test("only native.ts loads the binding", () => {
  const loading = files(SRC).filter((name) =>
    /["']\.\.?\/(\.\.\/)*index\.js["']\)/.test(readFileSync(join(SRC, name), "utf8")),
  );
  expect(loading).toEqual(["native.ts"]);
});

test("ARCHITECTURE.md names every folder of src/ and crates/", () => {
  const text = readFileSync(join(ROOT, "ARCHITECTURE.md"), "utf8");
  for (const folder of Object.keys(ALLOWED)) expect(text).toMatch(new RegExp(`^ *${folder}/`, "m"));
});
