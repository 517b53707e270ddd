// Runs every test, Rust and TypeScript, and ends with why tests were skipped and `N passed, N failed, N skipped`.
// `test.mjs --skipped` runs only the files in which the last run skipped tests, and counts the rest as it ended there.
import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { ROOT } from "./shell.mjs";

const REPORT = join(ROOT, "target", "vitest.json");
const RESULTS = join(ROOT, "target", "test_results.json");

const onlySkipped = process.argv.includes("--skipped");
const results = onlySkipped ? await runSkipped(JSON.parse(readFileSync(RESULTS, "utf8"))) : await runAll();
writeFileSync(RESULTS, JSON.stringify(results));
const tests = results.files.flatMap(({ assertionResults }) => assertionResults);
printReasons(tests.filter(isSkipped));
printFailures(results);
const count = (...states) => tests.filter(({ status }) => states.includes(status)).length;
// A file that does not load has no tests, and fails.
const unloaded = results.files.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
const { rust } = results;
const [passed, failed] = [count("passed") + rust.passed, count("failed") + rust.failed + unloaded];
const skipped = tests.filter(isSkipped).length + rust.skipped;
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = results.ok && failed === 0 ? 0 : 1;

/** Both at once; Rust's output is printed when it ends. */
async function runAll() {
  const rustRun = runRust();
  const typescript = await runTypeScript([]);
  const rust = await rustRun;
  process.stdout.write(rust.output);
  return { ok: rust.ok && typescript.ok, rust: { ...rust.counts, failures: rust.failures }, files: typescript.files };
}

async function runSkipped({ ok, rust, files }) {
  const names = files.filter(({ assertionResults }) => assertionResults.some(isSkipped)).map(({ name }) => name);
  if (names.length === 0) return { ok, rust, files };
  const again = await runTypeScript(names);
  return { ok: ok && again.ok, rust, files: [...files.filter(({ name }) => !names.includes(name)), ...again.files] };
}

/**
 * What ships is tested: the kernels are compiled as for the addon, target and packages included, so cargo finds them
 * built.
 */
async function runRust() {
  const packages = ["kernels", "images", "addon"].flatMap((name) => ["-p", `distillery-${name}`]);
  const target = (await run("rustc", ["--print", "host-tuple"], "pipe")).output.trim();
  const { status, output } = await run(
    "cargo",
    ["test", "--release", "--no-fail-fast", "--target", target, ...packages],
    "pipe",
  );
  const results = [...output.matchAll(/^test result: .* (\d+) passed; (\d+) failed; (\d+) ignored/gm)];
  const sum = (group) => results.reduce((total, result) => total + Number(result[group]), 0);
  const failed = sum(2) > 0 || status === 0 ? sum(2) : 1;
  const failures = [...output.matchAll(/^test (\S+) \.\.\. FAILED$/gm)].map(([, name]) => name);
  return { ok: status === 0, output, failures, counts: { passed: sum(1), failed, skipped: sum(3) } };
}

async function runTypeScript(files) {
  rmSync(REPORT, { force: true });
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile=${REPORT}`];
  const names = files.map((file) => relative(ROOT, file));
  const { status } = await run(process.execPath, [vitest, "run", ...reporters, ...names], "inherit");
  return { ok: status === 0, files: readReport() };
}

function readReport() {
  try {
    return JSON.parse(readFileSync(REPORT, "utf8")).testResults;
  } catch {
    return [{ name: "vitest", status: "failed", assertionResults: [] }];
  }
}

/** A program's exit status and, with "pipe", what it wrote. */
function run(command, args, stdio) {
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", stdio, stdio] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.on("error", ({ message }) => resolve({ status: 1, output: `${output}${command}: ${message}\n` }));
    child.on("close", (status) => resolve({ status, output }));
  });
}

function isSkipped({ status }) {
  return status !== "passed" && status !== "failed";
}

/** How many tests were skipped, by the need in their titles or those of their groups. */
function printReasons(skipped) {
  const reasons = new Map();
  for (const { fullName } of skipped) {
    const reason = /\[needs ([^\]]*)\]/.exec(fullName)?.[1] ?? "no reason in its title";
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  for (const [reason, tests] of reasons) console.log(`skipped ${tests}: needs ${reason}`);
}

/** Each failed test with the first lines of its error, below all that the tests print, where the end of a log shows it. */
function printFailures({ rust, files }) {
  for (const name of rust.failures) console.log(`failed: ${name}`);
  for (const { name, status, message, assertionResults } of files) {
    const failed = assertionResults.filter((test) => test.status === "failed");
    for (const { fullName, failureMessages } of failed) {
      printFailure(`${relative(ROOT, name)} > ${fullName}`, failureMessages.join("\n"));
    }
    if (status === "failed" && assertionResults.length === 0) printFailure(relative(ROOT, name), message ?? "");
  }
}

function printFailure(name, message) {
  console.log(`failed: ${name}`);
  for (const line of message.split("\n").slice(0, 12)) console.log(`  ${line}`);
}
