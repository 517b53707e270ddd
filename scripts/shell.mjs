// What the scripts share: the project's folder, and calls of other programs.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Runs a program and returns its standard output; throws with all its output if it fails. */
export function output(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    // npm and npx are scripts on Windows.
    shell: process.platform === "win32" && command.startsWith("np"),
    ...options,
  });
  if (status === 0) return stdout;
  throw new Error(`\`${[command, ...args].join(" ")}\` failed: ${error?.message ?? `${stdout}${stderr}`}`);
}

/** Packs the package of a folder into another one, its prepack run first; `files` are the paths inside. */
export function pack(folder, into) {
  const args = ["pack", "--json", "--ignore-scripts=false", "--pack-destination", into];
  const [packed] = JSON.parse(output("npm", args, { cwd: folder }));
  const file = join(into, packed.filename);
  return {
    file,
    size: statSync(file).size,
    unpacked: packed.unpackedSize,
    files: packed.files.map(({ path }) => path),
  };
}

export function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
