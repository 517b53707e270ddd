// Makes a checkout run: packages, the native addon, the TypeScript. What is current is left alone.
// `prepare.mjs bench` compiles the benchmark too, `prepare.mjs test` installs what only tests need.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./shell.mjs";

// Warnings are about what developers' tools want: of Node 20 the newest.
const QUIET = ["--no-audit", "--no-fund", "--loglevel=error"];
const [major, minor] = process.versions.node.split(".").map(Number);

if (major < 20 || (major === 20 && minor < 17)) {
  fail(`Node 20.17 or later is needed, this is ${process.version}`);
}
step("node_modules/.prepared", ["package.json", "package-lock.json"], "packages", () => {
  run("npm", ["ci", "--ignore-scripts", ...QUIET]);
});
const rust = ["kernels/src", "kernels/Cargo.toml", "images/src", "images/Cargo.toml", "addon"].map(
  (path) => `crates/${path}`,
);
step("target/.prepared", [...rust, "Cargo.toml", "Cargo.lock", "index.js"], "native addon (1 to 3 minutes)", () => {
  if (!works("cargo", ["--version"])) fail("Rust is needed: install it from https://rustup.rs, then run this again");
  run("npm", ["run", "--silent", "build:native"]);
});
const builders = ["bundle", "commonjs", "build_report", "web_assembly"].map((name) => `scripts/${name}.mjs`);
const typescript = ["src", "index.d.ts", ...builders, "tsconfig.json", "tsconfig.build.json"];
step("dist/.prepared", typescript, "TypeScript", () => {
  run("npm", ["run", "--silent", "build:ts"]);
});
if (process.argv[2] === "test") {
  // Not a dependency: with it every install would bring hundreds of megabytes. Beside the packages, or npm removes it.
  step("target/onnxruntime/.prepared", ["scripts/prepare.mjs"], "ONNX Runtime for the tests (110 MB)", () => {
    run("npm", ["install", "--prefix", "target/onnxruntime", "--ignore-scripts", ...QUIET, "onnxruntime-node@1.30.0"]);
  });
}
// `npm ci` takes it away.
const [runtime, link] = ["target/onnxruntime/", ""].map((from) => join(ROOT, from, "node_modules/onnxruntime-node"));
if (existsSync(runtime) && !existsSync(link)) symlinkSync(runtime, link, "junction");
if (process.argv[2] === "bench") {
  step("dist-bench/.prepared", ["bench", "dist/.prepared", "tsconfig.bench.json"], "benchmark", () => {
    run("npm", ["run", "--silent", "build:bench"]);
  });
}

/** Runs `build` unless its stamp is newer than every source. */
function step(stamp, sources, name, build) {
  const file = join(ROOT, stamp);
  if (existsSync(file) && sources.every((source) => newest(join(ROOT, source)) <= statSync(file).mtimeMs)) return;
  console.error(`preparing: ${name}`);
  build();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "");
}

/** The time of the latest change in a file or a folder's files; infinite if there is none. */
function newest(path) {
  if (!existsSync(path)) return Number.POSITIVE_INFINITY;
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(status.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function run(command, args) {
  try {
    // Standard output belongs to what is run afterwards.
    execFileSync(command, args, { cwd: ROOT, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  } catch {
    fail(`\`${command} ${args.join(" ")}\` failed: see above`);
  }
}

function works(command, args) {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function fail(text) {
  console.error(`distillery: ${text}`);
  process.exit(1);
}
