// Runs every test, Rust and TypeScript, and ends with `N passed, N failed, N skipped`.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./shell.mjs";

const REPORT = join(ROOT, "target", "vitest.json");

const rust = runRust();
const typescript = runTypeScript();
const sum = (name) => rust[name] + typescript[name];
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exitCode = rust.ok && typescript.ok ? 0 : 1;

function runRust() {
  const { status, stdout } = spawnSync("cargo", ["test", "--workspace", "--no-fail-fast"], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  process.stdout.write(stdout);
  const results = [...stdout.matchAll(/^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored/gm)];
  const count = (group) => results.reduce((total, result) => total + Number(result[group]), 0);
  return { ok: status === 0, passed: count(1), failed: count(2), skipped: count(3) };
}

function runTypeScript() {
  rmSync(REPORT, { force: true });
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile=${REPORT}`];
  const { status } = spawnSync(process.execPath, [vitest, "run", ...reporters], { cwd: ROOT, stdio: "inherit" });
  const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0 } = readReport();
  return { ok: status === 0, passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests };
}

function readReport() {
  try {
    return JSON.parse(readFileSync(REPORT, "utf8"));
  } catch {
    return { numFailedTests: 1 };
  }
}
