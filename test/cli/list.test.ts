import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FORMATS } from "../../src/data/formats/index.js";
import { TEXT_ENCODINGS } from "../../src/data/text/encodings.js";
import * as distillery from "../../src/index.js";
import { F, Tensor } from "../../src/index.js";
import { LOSSES } from "../../src/losses/index.js";
import { MODELS } from "../../src/models/index.js";
import { OPTIMIZERS, SCHEDULES } from "../../src/optim/index.js";
import { TEACHERS } from "../../src/teachers/open_teacher.js";
import { temporaryFolder } from "../support.js";
import { newFolder, refused, succeed } from "./support.js";

const temporary = temporaryFolder();
const REGISTRIES = {
  networks: MODELS,
  encodings: TEXT_ENCODINGS,
  losses: LOSSES,
  teachers: TEACHERS,
  optimizers: OPTIMIZERS,
  schedules: SCHEDULES,
};

describe("every registered entry appears by itself", () => {
  test.each(Object.entries(REGISTRIES))("list %s: names, help, options with defaults", async (kind, registry) => {
    const printed = await succeed(["list", kind], newFolder(temporary));
    for (const { name, help, options } of registry.describe()) {
      expect(printed).toContain(`\n  ${name}: ${help}\n`);
      for (const option of options) {
        expect(option.help, `${name}: ${option.name}`).not.toBe("");
        const form = option.default ? `${option.name}=${option.default}` : option.name;
        expect(printed).toContain(`    ${form} `);
      }
    }
  });

  test("list of all kinds, as JSON", async () => {
    const all = JSON.parse(await succeed(["list", "--json"], newFolder(temporary)));
    for (const [kind, registry] of Object.entries(REGISTRIES)) expect(all[kind].entries).toEqual(registry.describe());
  });

  test("the reference pages", () => {
    const out = join(newFolder(temporary), "reference");
    const script = new URL("../../scripts/reference.mjs", import.meta.url).href;
    const code = `import { writeReference } from "${script}"; await writeReference(${JSON.stringify(out)});`;
    execFileSync(process.execPath, ["--input-type=module", "--eval", code]);
    const menu = readFileSync(new URL("../../docs/.vitepress/config.mjs", import.meta.url), "utf8");
    const names = readdirSync(out).map((page) => page.replace(".md", ""));
    expect(names.filter((name) => !new RegExp(`^ +${name}: "`, "m").test(menu))).toEqual([]);
    for (const [kind, registry] of Object.entries(REGISTRIES)) {
      expect(names).toContain(kind);
      const page = readFileSync(join(out, `${kind}.md`), "utf8");
      for (const { name, options } of registry.describe()) {
        expect(page).toContain(`\n## ${name}\n`);
        for (const option of options) expect(page).toContain(`\n| \`${option.name}\` | `);
      }
    }
  });
});

test("formats, layers and operations are listed too", async () => {
  const { formats, layers, operations } = JSON.parse(await succeed(["list", "--json"], newFolder(temporary)));
  const names = (entries: { name: string }[]) => entries.map(({ name }) => name);
  expect(names(formats.entries)).toEqual(FORMATS.map(({ name }) => name));
  expect(names(layers.entries)).toEqual(expect.arrayContaining(["Linear", "LayerNorm"]));
  expect(names(operations.entries)).toEqual(expect.arrayContaining(["add", "matmul", "softmax"]));
  const forms = operations.entries.flatMap(({ help }: { help: string }) => help.split(", "));
  const owners: Record<string, object> = { F, x: Tensor.prototype, distillery };
  const isCallable = (form: string) => {
    const [, owner = "distillery", name] = /^(?:(F|x)\.)?(\w+)\(\.\.\.\)$/.exec(form) ?? [];
    return name in owners[owner];
  };
  expect(forms.filter((form: string) => !isCallable(form))).toEqual([]);
  expect(operations.entries).toContainEqual({ name: "relu", help: "F.relu(...), x.relu(...)", options: [] });
});

test("an unknown kind is refused", async () => {
  expect(await refused(["list", "nets"], newFolder(temporary), 2, "BAD_ARGUMENT")).toMatch(
    /^unknown kind "nets", expected one of networks/,
  );
});
