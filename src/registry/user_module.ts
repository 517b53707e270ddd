import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expectList, suggestion } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { type Expression, formatExpression, parseExpression } from "./expression.js";
import { isModulePath, type Term } from "./parser.js";

/** What modules of the user's own export, by the text that names them: `./net.mjs#Tiny`. */
export type UserModules = ReadonlyMap<string, unknown>;

/**
 * Imports the modules of the user's own that expressions name, and so runs their code: the default export of
 * `./my_loss.mjs`, the named one of `./net.mjs#Tiny`. Pass only what the user wrote, never what a file of weights
 * holds.
 *
 * @param base the folder that relative paths start from; default: the current one.
 * @throws DistilleryError `BAD_ARGUMENT` if an expression is none, a module can't be imported or lacks the export;
 * `NOT_FOUND` if there is no such file.
 * @example
 * ```ts
 * const modules = await importModules(["./net.mjs#Tiny"]);
 * const network = createNetwork("./net.mjs#Tiny", { shape: [4], classes: 3 }, { modules });
 * ```
 */
export async function importModules(expressions: readonly Expression[], base = process.cwd()): Promise<UserModules> {
  const all = expectList("expressions", expressions, "a list of expressions");
  const names = all.flatMap((expression) => parseExpression(expression)).map(({ name }) => name);
  const modules = new Map<string, unknown>();
  for (const name of new Set(names.filter(isModulePath))) modules.set(name, await importOne(name, base));
  return modules;
}

/** The file that a module's name means, and the name of the export. */
function moduleFile(name: string, base = process.cwd()): { file: string; exported: string } {
  const [, path = name, exported = "default"] = /^(.*?)(?:#([A-Za-z_$][\w$]*))?$/s.exec(name) ?? [];
  return { file: path.startsWith("file:") ? fileURLToPath(path) : resolve(base, path), exported };
}

/** SHA-256 of the files of the modules that expressions name, by name; files that these import are not looked at. */
export async function moduleHashes(expressions: readonly Expression[]): Promise<Record<string, string>> {
  const names = expressions.flatMap((expression) => parseExpression(expression)).map(({ name }) => name);
  const hashes: Record<string, string> = {};
  for (const name of new Set(names.filter(isModulePath))) {
    hashes[name] = createHash("sha256")
      .update(await readFile(existingFile(name, process.cwd()).file))
      .digest("hex");
  }
  return hashes;
}

/**
 * The same expression with the relative paths of its modules, which start from `folder`, as seen from the current
 * folder.
 */
export function rebaseModules(expression: Expression, folder: string): string {
  const terms = parseExpression(expression).map((term): Term => {
    if (!isRelative(term.name)) return term;
    const { file, exported } = moduleFile(term.name, folder);
    const path = relative(process.cwd(), file).split(sep).join("/");
    const suffix = exported === "default" ? "" : `#${exported}`;
    return { ...term, name: (isModulePath(path) ? path : `./${path}`) + suffix };
  });
  return formatExpression(terms);
}

function isRelative(name: string): boolean {
  return /^\.{1,2}[\\/]/.test(name);
}

function existingFile(name: string, base: string): { file: string; exported: string } {
  const { file, exported } = moduleFile(name, base);
  if (existsSync(file)) return { file, exported };
  throw new DistilleryError("NOT_FOUND", `${name}: no such file: ${file}`);
}

async function importOne(name: string, base: string): Promise<unknown> {
  const { file, exported } = existingFile(name, base);
  let namespace: Record<string, unknown>;
  try {
    namespace = await import(pathToFileURL(file).href);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new DistilleryError("BAD_ARGUMENT", `${name}: can't be imported: ${text}`, { cause: error });
  }
  if (Object.hasOwn(namespace, exported)) return namespace[exported];
  const names = Object.keys(namespace).sort();
  const has = names.length === 0 ? "it exports nothing" : `it exports ${names.join(", ")}`;
  const what = exported === "default" ? "no default export" : `no export ${exported}${suggestion(exported, names)}`;
  const advice = exported === "default" && names.length > 0 ? `: name one, as ${name}#${names[0]}` : "";
  throw new DistilleryError("BAD_ARGUMENT", `${name}: ${what} (${has})${advice}`);
}
