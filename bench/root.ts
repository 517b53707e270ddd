import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The folder of the installed library, `dist/`. */
export const LIBRARY = dirname(createRequire(import.meta.url).resolve("distillery"));

/** The folder of the project. */
export const ROOT = join(LIBRARY, "..");
