// Makes the library's JavaScript out of src/: one file for each entry in dist/, and chunks that they share. Loading a
// module costs the same however short it is: as 200 modules the library took more than twice as long to start.
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { ROOT } from "./shell.mjs";

// What is loaded by name: by users, by npm's bin, by processes of their own, by the tests and by the benchmark.
const ENTRIES = ["index", "cli/main", "cli/program", "cli/experiment", "compare/worker", "native"];
const CHUNKS = join(ROOT, "dist", "chunks");

// A chunk each: what a training loads in any case, as to find and open fifty takes longer than to compile them; and what
// reports that something of that can't be loaded.
const GROUPS = { reports: "cli/error_boundary", core: "cli/distill" };
const groupOf = new Map();
const collectGroups = {
  name: "groups",
  buildEnd() {
    const add = (file, group) => {
      if (groupOf.has(file)) return;
      groupOf.set(file, group);
      for (const imported of this.getModuleInfo(file)?.importedIds ?? []) add(imported, group);
    };
    for (const [group, name] of Object.entries(GROUPS)) add(join(ROOT, "src", `${name}.ts`), group);
  },
};

const library = await rolldown({
  plugins: [collectGroups],
  input: Object.fromEntries(ENTRIES.map((name) => [name, join(ROOT, "src", `${name}.ts`)])),
  platform: "node",
  tsconfig: join(ROOT, "tsconfig.build.json"),
  // Dependencies stay packages of their own, but for one of which a fortieth is used: 9 MB of every installation.
  external: /^(?!@zip\.js)[^./]/,
  onwarn: (warning) => {
    throw new Error(`bundle: ${warning.message}`);
  },
});
const zipLicence = readFileSync(join(ROOT, "node_modules/@zip.js/zip.js/LICENSE"), "utf8").trim();
const { output } = await library.write({
  dir: join(ROOT, "dist"),
  format: "esm",
  chunkFileNames: "chunks/[name].js",
  codeSplitting: { groups: Object.keys(GROUPS).map((name) => ({ name, test: (file) => groupOf.get(file) === name })) },
  // Doc comments are in the types: here they would be a sixth of the bytes.
  comments: { jsdoc: false, legal: true, annotation: true },
  postBanner: ({ moduleIds }) =>
    moduleIds.some((id) => id.includes("@zip.js")) ? `/*! zip archives by zip.js:\n\n${zipLicence}\n*/` : "",
});
const written = new Set(output.map(({ fileName }) => fileName));
for (const name of existsSync(CHUNKS) ? readdirSync(CHUNKS) : []) {
  if (!written.has(`chunks/${name}`)) rmSync(join(CHUNKS, name));
}
// npm does this when it installs the package; in a checkout nobody does.
chmodSync(join(ROOT, "dist", "cli", "main.js"), 0o755);
