import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { types } from "node:util";
import { show } from "./checks.js";
import { DistilleryError } from "./errors.js";
import { ROOT } from "./package.js";

/** A path may contain spaces and brackets: it begins with the first slash or drive letter. */
const FRAME = /(?:\(|at (?:async )?)((?:file:\/\/)?(?:\/|[A-Za-z]:[\\/]).*?):(\d+):(\d+)\)?$/;

/** The location at which a user's module threw an error, such as `my_loss.mjs:3:9`; null if other code threw it. */
function placeInUserCode({ stack = "" }: Error): string | null {
  for (const line of stack.split("\n").filter((line) => /^\s+at /.test(line))) {
    const [, path = "", row, column] = FRAME.exec(line.trim()) ?? [];
    if (path === "") continue;
    const file = path.startsWith("file:") ? fileURLToPath(path.replace(/\?.*$/, "")) : path;
    if (/[\\/]node_modules[\\/]/.test(file) || OWN_FOLDERS.some((folder) => file.startsWith(folder))) return null;
    return `${relative(process.cwd(), file)}:${row}:${column}`;
  }
  return null;
}

const OWN_FOLDERS = ["src/", "dist/"].map((folder) => fileURLToPath(new URL(folder, ROOT)));

/**
 * What the user's code threw (an error, or a value that is none, which the library never throws), as a `BAD_ARGUMENT`
 * with file and line; null for any other error.
 *
 * @param place what the library was doing, as `epoch 1, step 1 of 4`.
 */
export function fromUserCode(error: unknown, place?: string): DistilleryError | null {
  const text = textOf(error);
  if (text === null) return null;
  return new DistilleryError("BAD_ARGUMENT", place === undefined ? text : `${place}: ${text}`, { cause: error });
}

function textOf(error: unknown): string | null {
  if (error instanceof DistilleryError) return null;
  if (!(error instanceof Error || types.isNativeError(error)))
    return `expected an Error to be thrown, got ${show(error)}`;
  const where = placeInUserCode(error);
  return where === null ? null : `${where}: ${error.name}: ${error.message}`;
}
