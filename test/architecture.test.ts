import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import {
  type Graph,
  importedNames,
  rustImports,
  stronglyConnected,
  typescriptImports,
  userFiles,
} from "./helpers/imports.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SRC = join(ROOT, "src");

/** The folders of src/: each imports only from itself and those before it, and from the files at the top. */
const LAYERS = [
  "registry",
  "files",
  "page",
  "tensor",
  "ops",
  "nn",
  "data",
  "graph",
  "models",
  "losses",
  "optim",
  "tasks",
  "checkpoint",
  "export",
  "log",
  "teachers",
  "train",
  "serve",
  "compare",
  "report",
  "watch",
  "config",
  "cli",
];

/** The lists of what is registered, in folders where an entry may be as short as it is. */
const REGISTRIES = [
  ...["ops", "losses", "tasks", "models", "teachers", "optim", "data/formats"].map((folder) => `${folder}/index.ts`),
  "cli/program.ts",
];

/** Files that a program starts from or loads by name, so that none imports them. */
const ENTRIES = ["cli/main.ts", "watch/page/main.ts", "export/page/main.ts", "compare/worker.ts"];

const imports = typescriptImports(SRC);
const crates = readdirSync(join(ROOT, "crates"));

test("a folder imports only from those before it, a file at the top only from the others", () => {
  const layer = (file: string) => (file.includes("/") ? LAYERS.indexOf(file.split("/")[0]) : -1);
  const wrong = [...imports].flatMap(([file, targets]) => {
    if (file === "index.ts") return [];
    return targets.filter((target) => layer(target) > layer(file)).map((target) => `${file} imports ${target}`);
  });
  expect(wrong).toEqual([]);
  expect(folders(SRC).filter((folder) => !LAYERS.includes(folder))).toEqual([]);
});

test("no files import each other in a circle", () => {
  const circles = (graph: Graph) => stronglyConnected(graph).map(String);
  const found = [imports, ...crates.map((crate) => rustImports(join(ROOT, "crates", crate, "src")))].flatMap(circles);
  expect(found).toEqual([]);
});

test("the code of a page reaches nothing of Node.js", () => {
  const pages = ENTRIES.filter((file) => file.endsWith("page/main.ts"));
  const reached = new Set(pages);
  for (const file of reached) for (const target of valueImports(file)) if (target.endsWith(".ts")) reached.add(target);
  const wrong = [...reached].flatMap((file) =>
    valueImports(file).flatMap((target) => (target.startsWith("node:") ? [`${file} imports ${target}`] : [])),
  );
  expect(wrong).toEqual([]);
});

/** What a file imports of values: files of src/ by their paths, packages by their names. */
function valueImports(file: string): string[] {
  const text = readFileSync(join(SRC, file), "utf8");
  return [...text.matchAll(/^(?:import|export)(?! type)[^;"]*"([^"]+)"/gm)].map(([, path]) =>
    path.startsWith(".") ? posix.join(dirname(file), path.replace(/\.js$/, ".ts")) : path,
  );
}

test("a file of fewer than 40 lines has a second importer", () => {
  const importers = importersOf(imports);
  const short = [...imports.keys()].filter((file) => {
    if (posix.basename(file) === "index.ts" || ENTRIES.includes(file)) return false;
    const [importer, second] = importers.get(file) ?? [];
    if (second !== undefined || REGISTRIES.includes(importer)) return false;
    return read(join(SRC, file)).trimEnd().split("\n").length < 40;
  });
  expect(short).toEqual([]);
});

test("an exported function, class, constant or type has a user", () => {
  const users = userFiles(ROOT).map((file): [string, Set<string>] => [file, importedNames(read(file))]);
  const unused = [...imports.keys()].flatMap((file) => {
    const path = join(SRC, file);
    const declared = read(path).matchAll(
      /^export (?:abstract )?(?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm,
    );
    return [...declared]
      .filter(([, name]) => !users.some(([user, names]) => user !== path && names.has(name)))
      .map(([, name]) => `${file}: ${name}`);
  });
  expect(unused).toEqual([]);
});

test("the package exports what the index of these folders does, so that an addition has one line", () => {
  for (const folder of ["nn", "models", "losses", "teachers", "optim"]) {
    expect(read(join(SRC, "index.ts"))).toContain(`export * from "./${folder}/index.js";`);
  }
});

test("all that the library prints goes where a terminal's commands are shown", () => {
  const printing = [...imports.keys()].filter((file) =>
    /^(?! *(\*|\/\/)).*(\bconsole\.\w+\(|std(out|err)\.write\()/m.test(read(join(SRC, file))),
  );
  // The command's start has a text of its own where nothing can be imported; the log file copies what is printed.
  expect(printing.sort()).toEqual(["cli/main.ts", "cli/terminal.ts", "log/log_file.ts"]);
});

test("what reports a failure loads without the binding, whose absence it reports", () => {
  const seen = new Set<string>();
  const follow = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    // Only what is imported at once, and not only for its types.
    const targets = read(join(SRC, file)).matchAll(/^(?:import|export)(?! type)[^;]*? from "(\.[^"]+)\.js";/gm);
    for (const [, target] of targets) follow(posix.join(posix.dirname(file), `${target}.ts`));
  };
  follow("cli/error_boundary.ts");
  expect([...seen]).toContain("cli/terminal.ts");
  expect([...seen]).not.toContain("native.ts");
});

test("only native.ts loads the binding", () => {
  const loading = [...imports.keys()].filter((file) =>
    /["']\.\.?\/(\.\.\/)*index\.js["']\)/.test(read(join(SRC, file))),
  );
  expect(loading).toEqual(["native.ts"]);
});

test("comments are as wide as code, but for tables and examples", () => {
  const isWide = (line: string) => line.length > 120 && /^ *(\/\/|\/?\*)(?! *\|)/.test(line);
  const wide = [...imports.keys()].filter((file) => {
    const prose = read(join(SRC, file)).replaceAll(/```.*?```/gs, "");
    return prose.split("\n").some(isWide);
  });
  expect(wide).toEqual([]);
});

test("every file of a crate's tests is named in its main.rs, which is what cargo builds", () => {
  for (const tests of crates.map((crate) => join(ROOT, "crates", crate, "tests")).filter(existsSync)) {
    const modules = [...read(join(tests, "main.rs")).matchAll(/^mod (\w+);/gm)].map(([, name]) => `${name}.rs`);
    const files = readdirSync(tests).filter((name) => name.endsWith(".rs") && name !== "main.rs");
    expect(modules.filter((name) => name !== "common.rs").sort()).toEqual(files.sort());
  }
});

test("ARCHITECTURE.md names every folder of src/ and crates/", () => {
  const text = read(join(ROOT, "ARCHITECTURE.md"));
  for (const folder of [...folders(SRC), ...crates]) expect(text).toMatch(new RegExp(`^ *${folder}/`, "m"));
});

function read(file: string): string {
  return readFileSync(file, "utf8");
}

function folders(path: string): string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

/** The importers of each file; what a folder's index gives on has the index's importers too. */
function importersOf(graph: Graph): Map<string, Set<string>> {
  const importers = new Map<string, Set<string>>();
  for (const [file, targets] of graph) {
    for (const target of targets) importers.set(target, (importers.get(target) ?? new Set()).add(file));
  }
  for (const [file, direct] of importers) {
    const index = `${dirname(file)}/index.ts`;
    if (direct.has(index)) for (const importer of importers.get(index) ?? []) direct.add(importer);
  }
  return importers;
}
