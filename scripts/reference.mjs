// Writes the reference pages of everything that has a name, docs/reference/KIND.md, from the registries in dist/: a new
// loss or network appears by itself. The pages are not committed.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./shell.mjs";

const out = process.argv[2] ?? join(ROOT, "docs", "reference");
const list = JSON.parse(
  execFileSync(process.execPath, [join(ROOT, "dist", "cli", "main.js"), "list", "--json"], { encoding: "utf8" }),
);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const [kind, { usage, entries }] of Object.entries(list)) {
  const sections = entries.map(({ name, help, options }) => {
    const rows = options.map(({ name, default: usual, help }) => {
      return `| \`${name}\` | ${usual === null ? "required" : usual === "" ? "" : `\`${usual}\``} | ${help} |`;
    });
    const table = rows.length === 0 ? [] : ["", "| option | default | |", "|---|---|---|", ...rows];
    const text = help === "" ? [] : ["", `${help[0].toUpperCase()}${help.slice(1)}.`];
    return [`## ${name}`, ...text, ...table].join("\n");
  });
  const title = `${kind[0].toUpperCase()}${kind.slice(1)}`;
  writeFileSync(join(out, `${kind}.md`), `# ${title}\n\nUsed as: ${usage}\n\n${sections.join("\n\n")}\n`);
}
