// Makes what a release publishes: `npm run release -- DIR [--into FOLDER] [--partial]`. DIR holds the binaries of all
// targets, as `distillery.linux-x64-gnu.node`; FOLDER (target/packages) gets the package, without a binary, and one
// package a target, which it names as an optional dependency. With --partial, for a trial, only the targets found in
// DIR. Nothing is published and the checkout stays as it is: see release.md.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { NapiCli, parseTriple } from "@napi-rs/cli";
import { kilobytes, output, pack, ROOT } from "./shell.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { into: { type: "string", default: join(ROOT, "target", "packages") }, partial: { type: "boolean" } },
});
const artifacts = resolve(positionals[0] ?? "artifacts");
const into = resolve(values.into);
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

const stage = mkdtempSync(join(tmpdir(), "distillery-release-"));
try {
  checkVersions();
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  await makePackages(stage);
} catch (error) {
  console.error(`distillery: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** The package, its Rust workspace and its changelog have to name one version. */
function checkVersions() {
  const { version } = manifest;
  const rust = /^version = "(.*)"$/m.exec(readFileSync(join(ROOT, "Cargo.toml"), "utf8"))?.[1];
  const [heading, changed, rest] = /^## \[(.+?)\](.*)$/m.exec(readFileSync(join(ROOT, "CHANGELOG.md"), "utf8")) ?? [];
  if (rust !== version) throw new Error(`package.json has version ${version}, Cargo.toml ${rust}`);
  if (changed !== version) throw new Error(`package.json has version ${version}, CHANGELOG.md ${changed}`);
  if (!/^ - \d{4}-\d{2}-\d{2}$/.test(rest) && !values.partial) {
    throw new Error(
      `CHANGELOG.md says "${heading}": expected the day of the release, as "## [${version}] - 2027-01-31"`,
    );
  }
}

/** Unpacks what `npm pack` makes here, so that its list of files is the only one, and makes the packages of that. */
async function makePackages(folder) {
  const packed = pack(ROOT, folder);
  output("tar", ["-xzf", packed.file, "-C", folder, "--strip-components=1"]);
  rmSync(packed.file);
  const { private: _, scripts: __, devDependencies: ___, typedocOptions: ____, ...published } = manifest;
  const targets = published.napi.targets.filter(
    (triple) => !values.partial || existsSync(join(artifacts, binary(triple))),
  );
  const files = published.files.filter((pattern) => !pattern.endsWith(".node"));
  const changed = { ...published, files, napi: { ...published.napi, targets } };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(changed, null, 2)}\n`);

  // A folder with the binaries alone: napi would take an index.js beside them too.
  const binaries = join(folder, "artifacts");
  mkdirSync(binaries);
  for (const name of targets.map(binary)) {
    if (existsSync(join(artifacts, name))) copyFileSync(join(artifacts, name), join(binaries, name));
  }
  const napi = new NapiCli();
  await napi.createNpmDirs({ cwd: folder });
  await napi.artifacts({ cwd: folder, outputDir: binaries });
  // Writes optionalDependencies; what it could publish too is left to a person.
  await napi.prePublish({ cwd: folder, tagStyle: "npm", skipOptionalPublish: true, ghRelease: false });
  for (const name of readdirSync(folder)) if (name.endsWith(".node")) rmSync(join(folder, name));

  for (const triple of targets) {
    const platform = join(folder, "npm", parseTriple(triple).platformArchABI);
    copyFileSync(join(ROOT, "LICENSE"), join(platform, "LICENSE"));
    report(platform, [binary(triple)]);
  }
  report(folder, []);
}

function report(folder, expected) {
  const { file, size, files } = pack(folder, into);
  const binaries = files.filter((path) => path.endsWith(".node"));
  if (binaries.join() !== expected.join()) throw new Error(`${file} holds [${binaries}], expected [${expected}]`);
  console.log(`${file} (${kilobytes(size)}, ${files.length} files)`);
}

function binary(triple) {
  return `${manifest.napi.binaryName}.${parseTriple(triple).platformArchABI}.node`;
}
