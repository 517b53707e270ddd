import { existsSync, readFileSync } from "node:fs";

/** The package's folder: the nearest one above the code that runs, in `src/` or in a chunk of `dist/`, with a package.json. */
export const ROOT: URL = rootAbove(new URL("./", import.meta.url));

/** What package.json says. */
export const MANIFEST = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as {
  readonly name: string;
  readonly version: string;
  readonly napi: { readonly binaryName: string; readonly targets: readonly string[] };
};

function rootAbove(folder: URL): URL {
  return existsSync(new URL("package.json", folder)) ? folder : rootAbove(new URL("../", folder));
}
