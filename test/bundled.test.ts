import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "./support.js";

const INDEX = fileURLToPath(new URL("../dist/index.js", import.meta.url));
const folder = temporaryFolder();

beforeAll(async () => {
  const bundle = await rolldown({
    input: "entry",
    platform: "node",
    onLog: () => {},
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === "entry" ? id : id === "distillery" ? INDEX : null),
        load: (id) => (id === "entry" ? 'import { ones } from "distillery"; console.log(ones([1]).item());' : null),
      },
    ],
  });
  for (const [format, name] of [
    ["esm", "bundle.mjs"],
    ["cjs", "bundle.cjs"],
  ] as const) {
    await bundle.write({ dir: folder, format, entryFileNames: name, chunkFileNames: `[name]-${name}` });
  }
});

// The bundlers that people use are in scripts/pack_trial.mjs.
test.each([
  ["bundle.mjs", null],
  ["bundle.cjs", null],
  ["bundle.mjs", '{ "name": "an-app", "type": "module" }'],
])("bundled into another file, the library says what to do: %s, below %s", (name, manifest) => {
  if (manifest !== null) writeFileSync(join(folder, "package.json"), manifest);
  const { status, stderr } = spawnSync(process.execPath, [join(folder, name)], { encoding: "utf8" });
  expect(status).toBe(1);
  expect(stderr).toContain(`DistilleryError: distillery was bundled into ${join(folder, name)}`.slice(0, -name.length));
  expect(stderr).toContain("keep it an external package");
});
