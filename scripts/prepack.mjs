// Before `npm pack`: builds what is missing, then dist/ anew, without what is left of sources that are gone. The one
// binary packed is the one that this machine has just built.
import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./shell.mjs";

// What npm packs goes to standard output.
const stdio = ["ignore", 2, 2];
execFileSync(process.execPath, [join(ROOT, "scripts", "prepare.mjs")], { cwd: ROOT, stdio });
rmSync(join(ROOT, "dist"), { recursive: true, force: true });
const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: ROOT, stdio });
for (const script of ["bundle.mjs", "commonjs.mjs", "build_report.mjs", "web_assembly.mjs"]) {
  execFileSync(process.execPath, [join(ROOT, "scripts", script)], { cwd: ROOT, stdio });
}

// That of MPI is for the checkout alone: it is of the MPI that is installed there.
const binaries = readdirSync(ROOT).filter((name) => name.startsWith("distillery.") && name.endsWith(".node"));
if (binaries.length !== 1) {
  console.error(
    `distillery: one *.node is packed, here are ${binaries.length}: ${binaries.join(", ")}. Move the others`,
  );
  process.exit(1);
}
