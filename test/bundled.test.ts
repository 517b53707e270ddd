import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { expect, test } from "vitest";
import { temporaryFolder } from "./checkpoint/support.js";

const INDEX = fileURLToPath(new URL("../dist/index.js", import.meta.url));
const folder = temporaryFolder();

// The bundlers that people use are in scripts/pack_trial.mjs.
test.each([
  ["esm", "bundle.mjs", null],
  ["cjs", "bundle.cjs", null],
  ["esm", "bundle.mjs", '{ "name": "an-app", "type": "module" }'],
] as const)(
  "bundled into another file, the library says what to do: %s, %s, below %s",
  async (format, name, manifest) => {
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
    await bundle.write({ dir: folder, format, entryFileNames: name, chunkFileNames: `[name]-${name}` });
    if (manifest !== null) writeFileSync(join(folder, "package.json"), manifest);
    const { status, stderr } = spawnSync(process.execPath, [join(folder, name)], { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toContain(
      `DistilleryError: distillery was bundled into ${join(folder, name)}`.slice(0, -name.length),
    );
    expect(stderr).toContain("keep it an external package");
  },
);
