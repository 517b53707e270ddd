// Which files of a source tree import which, read from their texts.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

/** The files that each file imports, by paths in the tree. */
export type Graph = ReadonlyMap<string, readonly string[]>;

const filesIn = (folder: string, extension: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => name.endsWith(extension));

/** The files that may use what src/ exports. */
export function userFiles(root: string): string[] {
  const folders = ["src", "bench", "test", "examples", "scripts"].map((name) => join(root, name));
  const files = (folder: string) => [".ts", ".mjs"].flatMap((extension) => filesIn(folder, extension));
  return folders.flatMap((folder) => files(folder).map((name) => join(folder, name)));
}

/** Imports of TypeScript: of values and types, static and dynamic. */
export function typescriptImports(folder: string): Graph {
  return graphOf(folder, ".ts", (file, text, files) => {
    const code = text.replace(/^\s*\/\*\*[\s\S]*?\*\//gm, "");
    return [...code.matchAll(/(?:from|import\(|^import)\s*"(\.[^"]+)\.js"/gm)]
      .map(([, path]) => `${posix.join(dirname(file), path)}.ts`)
      .filter((target) => files.has(target));
  });
}

/** The names that a file imports, exports again or reads of an object, such as a module. */
export function importedNames(text: string): Set<string> {
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  const lists = code.matchAll(/\b(?:import|export)(?: type)?\s*\{([^}]*)\}|\{([^}]*)\} = await import|\b\w+\.(\w+)/g);
  return new Set([...lists].flatMap(([, ...found]) => found.join(" ").match(/\w+/g) ?? []));
}

/** Imports of Rust: paths that begin with `crate` or `super`, in a `use` or an expression. */
export function rustImports(folder: string): Graph {
  return graphOf(folder, ".rs", (file, text, files) => {
    const code = text.replace(/^\s*\/\/.*$/gm, "").replace(/#\[cfg\(test\)\][\s\S]*/, "");
    const here = file.replace(/(\/mod)?\.rs$/, "").split("/");
    return [...code.matchAll(/\b(crate|super)::([\w:]*)(?:\{([^;]*)\})?/g)].flatMap(([, root, path, tree]) => {
      const base = [...(root === "super" ? here.slice(0, -1) : []), ...path.split("::").filter(Boolean)];
      const branches = tree === undefined ? [[]] : tree.split(",").map((branch) => branch.trim().split(/\W+/));
      return branches.flatMap((branch) => moduleOf([...base, ...branch], files) ?? []);
    });
  });
}

/** The file of the longest part of a path that is a module. */
function moduleOf(path: readonly string[], files: ReadonlySet<string>): string | null {
  for (let length = path.length; length > 0; length--) {
    const name = path.slice(0, length).join("/");
    const file = [`${name}.rs`, `${name}/mod.rs`].find((each) => files.has(each));
    if (file !== undefined) return file;
  }
  return null;
}

function graphOf(
  folder: string,
  extension: string,
  targetsOf: (file: string, text: string, files: ReadonlySet<string>) => string[],
): Graph {
  const files = new Set(filesIn(folder, extension));
  return new Map(
    [...files].map((file) => {
      const targets = targetsOf(file, readFileSync(join(folder, file), "utf8"), files);
      return [file, [...new Set(targets)].filter((target) => target !== file)];
    }),
  );
}

/** The sets of files that reach each other, by Tarjan's algorithm; each sorted, those of one file left out. */
export function stronglyConnected(graph: Graph): string[][] {
  const index = new Map<string, number>();
  const [stack, found]: [string[], string[][]] = [[], []];
  const visit = (file: string): number => {
    const order = index.size;
    index.set(file, order);
    let lowest = order;
    stack.push(file);
    for (const target of graph.get(file) ?? []) {
      if (!index.has(target)) lowest = Math.min(lowest, visit(target));
      else if (stack.includes(target)) lowest = Math.min(lowest, index.get(target) ?? order);
    }
    if (lowest === order) {
      const set = stack.splice(stack.indexOf(file));
      if (set.length > 1) found.push(set.sort());
    }
    return lowest;
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return found;
}
