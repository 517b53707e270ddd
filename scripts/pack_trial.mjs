// Tries the package as a user gets it: packs it, installs it into empty folders without Rust on PATH, and runs a
// program, the command line and the type checker there. Both forms: what `npm pack` makes, with this machine's binary
// inside, and what a release makes, with the binary in a package of its own, whole and damaged.
// `pack_trial.mjs 20 22 26` runs under these versions of Node, from npm; `pack_trial.mjs /usr/bin/node` under that one.
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { kilobytes, output, pack, ROOT } from "./shell.mjs";

const BUNDLERS = [
  "esbuild@0.28.2",
  "rollup@4",
  "@rollup/plugin-commonjs@28",
  "@rollup/plugin-node-resolve@16",
  "vite@7",
  "webpack@5",
  "typescript@5.9.3",
];
/** Bytes of the package with those that it needs. */
const MAX_INSTALLED = 15e6;
const { name, version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const work = mkdtempSync(join(tmpdir(), "distillery-pack-"));
try {
  const nodes = (process.argv.length > 2 ? process.argv.slice(2) : [process.execPath]).map(nodeOf);
  trySelfContained(nodes);
  tryRelease(nodes);
} catch (error) {
  console.error(`distillery: the package fails its trial: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

function trySelfContained(nodes) {
  const { file, size, unpacked, files } = pack(ROOT, work);
  expectFiles(files);
  const folder = install("packed", [file]);
  const lock = JSON.parse(readFileSync(join(folder, "node_modules", ".package-lock.json"), "utf8"));
  const others = Object.keys(lock.packages).length - 1;
  const installed = bytesIn(join(folder, "node_modules"));
  console.log(`npm pack: ${files.length} files, ${kilobytes(size)} (${kilobytes(unpacked)} unpacked)`);
  console.log(`installed: ${kilobytes(installed)} with the ${others} packages that it needs`);
  if (installed > MAX_INSTALLED) throw new Error(`it takes ${kilobytes(installed)}, more than 15 MB`);
  for (const node of nodes) tryAll(folder, node);
  // In a checkout npx runs the file itself, which nobody has made executable but the build.
  expectMatch("npx in the checkout", output("npx", ["--no", "--", name, "--version"]), new RegExp(`^${version}$`, "m"));
  const tools = install("bundled", [file, ...BUNDLERS]);
  tryTypes(tools);
  for (const node of nodes) tryBundlers(tools, node);
}

function tryRelease(nodes) {
  const packages = join(work, "packages");
  output(process.execPath, [join(ROOT, "scripts", "release.mjs"), ROOT, "--partial", "--into", packages]);
  const files = readdirSync(packages).map((entry) => join(packages, entry));
  const main = join(packages, `${name}-${version}.tgz`);
  const folder = install("released", files);
  console.log(`release: ${files.length} packages installed`);
  for (const node of nodes) tryAll(folder, node);

  const carrier = readdirSync(join(folder, "node_modules")).find((entry) => entry.startsWith(`${name}-`));
  tryDamage(folder, carrier, nodes);
  const alone = install("alone", [main, "--omit=optional"]);
  for (const node of nodes) expectFailure(alone, node, [`${carrier}: not installed`, "prebuilt for"]);
  console.log("no binary, a damaged one, one of another version: refused, with all that was tried");
}

function tryDamage(folder, carrier, nodes) {
  const manifest = join(folder, "node_modules", carrier, "package.json");
  const original = readFileSync(manifest, "utf8");
  const { main: binary } = JSON.parse(original);
  const refused = (...texts) => {
    for (const node of nodes) expectFailure(folder, node, texts);
  };
  writeFileSync(manifest, original.replace(`"version": "${version}"`, '"version": "0.0.9"'));
  refused(`${carrier}: its version is 0.0.9, expected ${version}`);
  writeFileSync(manifest, original);

  const beside = join(folder, "node_modules", name, binary);
  writeFileSync(beside, "no binary");
  // The good one in its package is no way out.
  refused(`${binary} beside package.json: `, "damaged or made for another system");
  rmSync(beside);
  writeFileSync(join(folder, "node_modules", carrier, binary), "no binary");
  refused(`${binary} beside package.json: not there`, `${carrier}: `, "damaged or made for another system");
}

/** The program by import and by require, and the command line. */
function tryAll(folder, node) {
  const started = performance.now();
  const env = withoutRust(node);
  const script = execFileSync(node, ["program.mjs"], { cwd: folder, env, encoding: "utf8" });
  expectMatch("the script's first epoch", script, /^Epoch \[1\/150\] \| KD Loss: 0\.984[567] \| LR: 0\.000031$/m);
  const required = 'console.log(require("distillery").tensor([1, 2]).sum().item())';
  expectMatch("require()", execFileSync(node, ["-e", required], { cwd: folder, env, encoding: "utf8" }), /^3$/m);
  const command = (...args) => output("npx", ["--no", "--", "distillery", ...args], { cwd: folder, env });
  expectMatch("--version", command("--version"), new RegExp(`^${version}$`, "m"));
  const lines = command("distill", "--epochs", "1");
  expectMatch("distill --epochs 1", lines, /^Epoch \[1\/1\] \| KD Loss: \d+\.\d{4} \| LR: \d+\.\d{6}$/m);
  const report = readFileSync(join(folder, "runs", "distill", "report.html"), "utf8");
  expectMatch("its report", report.slice(0, 15), /^<!doctype html>/);
  const student = "runs/distill/distilled_student_model_lowest.pth";
  expectMatch("inspect", command("inspect", student), /fc1\.weight/);
  rmSync(join(folder, "runs"), { recursive: true });
  const is = execFileSync(node, ["--version"], { encoding: "utf8" }).trim();
  console.log(
    `  Node ${is}: import, require, distillery --version, distill, inspect (${Math.round(performance.now() - started)} ms)`,
  );
}

/** Bundles of a program: with the package outside they run, with it inside they say that it has to be outside. */
function tryBundlers(folder, node) {
  const env = withoutRust(node);
  execFileSync(node, ["bundle.mjs"], { cwd: folder, env, stdio: ["ignore", "ignore", 2] });
  const bundles = ["esbuild/esm.mjs", "esbuild/cjs.cjs", "rollup/esm.mjs", "vite/esm.mjs", "webpack/cjs.cjs"];
  for (const bundle of bundles) {
    const [bundler, file] = bundle.split("/");
    const run = (kind) => {
      // Of an error in a line as long as a bundle's Node prints the line alone.
      const message = "process.on('uncaughtException', ({ message }) => { console.error(message); process.exit(1); })";
      const load = `${message}; import(${JSON.stringify(`./${join("out", bundler, kind, file)}`)});`;
      return spawnSync(node, ["-e", load], { cwd: folder, env, encoding: "utf8" });
    };
    const { stdout, stderr } = run("outside");
    expectMatch(`${bundle}, outside`, stdout + stderr, /^\[ 1\.54\d+, -0\.29\d+ \]$/m);
    const refused = run("inside");
    expectMatch(`${bundle}, inside`, refused.stderr, /distillery was bundled into .*keep it an external/);
  }
  console.log("  bundlers: esbuild, Rollup, Vite, webpack");
}

/** A program in TypeScript, under every module resolution that finds the package, its declarations checked too. */
function tryTypes(folder) {
  const own = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  // The last one that knows the resolution of CommonJS before Node 12.
  const old = join(folder, "node_modules", "typescript", "bin", "tsc");
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false", "--noEmit"];
  for (const [tsc, module, resolution, file] of [
    [own, "nodenext", "nodenext", "typed.ts"],
    [own, "preserve", "bundler", "typed.ts"],
    [old, "commonjs", "node10", "typed_commonjs.ts"],
  ]) {
    const options = [...strict, "--target", "es2023", "--lib", "es2023,dom"];
    const args = [...options, "--module", module, "--moduleResolution", resolution, file];
    output(process.execPath, [tsc, ...args], { cwd: folder });
  }
  console.log("  types: tsc --strict --exactOptionalPropertyTypes, nodenext, bundler and commonjs");
}

function install(label, packages) {
  const folder = join(work, label);
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  cpSync(join(ROOT, "scripts", "pack_trial"), folder, { recursive: true });
  const args = ["install", "--no-audit", "--no-fund", "--prefer-offline", ...packages];
  output("npm", args, { cwd: folder, env: withoutRust(process.execPath) });
  return folder;
}

/** The import has to fail with code NATIVE and a message that has all of `texts`. */
function expectFailure(folder, node, texts) {
  const source =
    'import("distillery").then(() => console.log("loaded"), ({ code, message }) => console.log(code, message))';
  const { stdout, stderr } = spawnSync(node, ["-e", source], { cwd: folder, encoding: "utf8" });
  for (const text of ["NATIVE No native binding for ", ...texts]) {
    if (!stdout.includes(text)) throw new Error(`no good binary: expected "${text}", got "${stdout}${stderr}"`);
  }
}

function expectMatch(what, text, pattern) {
  if (!pattern.test(text)) throw new Error(`${what}: expected ${pattern}, got ${JSON.stringify(text)}`);
}

function expectFiles(files) {
  const wrong = files.filter((path) => /\.map$|\.rs$|(^|\/)tests?\/|\.test\.|\.prepared|^src\//.test(path));
  if (wrong.length > 0) throw new Error(`packed, but of no use to anyone: ${wrong.join(", ")}`);
}

/** The environment with this Node first, and no folder on PATH that has Rust. */
function withoutRust(node) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const clean = folders.filter((path) => !["cargo", "rustc", "cargo.exe"].some((tool) => existsSync(join(path, tool))));
  return { ...process.env, PATH: [dirname(node), ...clean].join(delimiter) };
}

/** The executable of a version of Node, by the package of its binary; a path is taken as it is. */
function nodeOf(wanted) {
  if (!/^\d+(\.\d+)*$/.test(wanted)) return wanted;
  const folder = join(work, `node-${wanted}`);
  const platform = process.platform === "win32" ? "win" : process.platform;
  const carrier = `node-${platform}-${process.arch}`;
  output("npm", ["install", "--no-audit", "--no-fund", "--prefix", folder, `${carrier}@${wanted}`]);
  return join(folder, "node_modules", carrier, "bin", platform === "win" ? "node.exe" : "node");
}

function bytesIn(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}
