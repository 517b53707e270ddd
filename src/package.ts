import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DistilleryError } from "./errors.js";

/** What package.json says. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly napi: { readonly binaryName: string; readonly targets: readonly string[] };
}

// Bundlers replace this address if they recognise it: by nothing, or by the file's path at build time.
const HERE: string | undefined = import.meta.url;

/**
 * The package's folder: the nearest folder with a package.json above the running code, which is in `src/` or in a chunk
 * of `dist/`.
 */
export const ROOT: URL = packageFolder();

/** What package.json says. */
export const MANIFEST: Manifest = readManifest(ROOT);

/** The folder of the running code: `src/` in a checkout, otherwise `dist/`. */
export function codeFolder(): URL {
  const [folder] = (HERE as string).slice(ROOT.href.length).split("/");
  return new URL(`${folder}/`, ROOT);
}

function packageFolder(): URL {
  const folder = HERE === undefined ? null : folderAbove(new URL(".", HERE));
  if (folder === null || !isOwn(readManifest(folder)) || !runsHere()) throw bundled();
  return folder;
}

function folderAbove(folder: URL): URL | null {
  if (existsSync(new URL("package.json", folder))) return folder;
  const above = new URL("../", folder);
  return above.href === folder.href ? null : folderAbove(above);
}

function readManifest(folder: URL): Manifest {
  return JSON.parse(readFileSync(new URL("package.json", folder), "utf8")) as Manifest;
}

function isOwn({ name, napi }: Partial<Manifest>): boolean {
  return name === "distillery" && napi !== undefined;
}

/**
 * Whether the running code is the file with this address. The stack of an error says so, unless stacks were customised.
 */
function runsHere(): boolean {
  const { stack = "" } = new Error();
  const file = (HERE as string).slice((HERE as string).lastIndexOf("/") + 1);
  return !stack.includes("\n    at ") || stack.includes(file);
}

function bundled(): DistilleryError {
  const place = HERE === undefined ? (process.argv[1] ?? "a file of its own") : fileURLToPath(HERE);
  return new DistilleryError(
    "NATIVE",
    `distillery was bundled into ${place}, away from its package, which has the native binding: keep it an external package, as with esbuild's --external:distillery (the guide, "Bundlers", has the line for esbuild, Rollup, webpack, Vite and Next.js)`,
  );
}
