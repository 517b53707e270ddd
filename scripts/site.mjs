// The documentation as a site, docs/ in target/ or the folder after --into: pages of docs/, of everything that has a
// name, of every option, of the examples, and with --api those of the library's functions. What it is made of lies in
// site/ beside it. Needs the network once, for npx.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { writeReference } from "./reference.mjs";
import { ROOT } from "./shell.mjs";

const VITEPRESS = ["-p", "vitepress@1.6.4", "vitepress"];
const TYPEDOC = ["-p", "typedoc@0.28.20", "-p", "typescript@6.0.3", "typedoc"];
const at = process.argv.indexOf("--into");
const into = at < 0 ? join(ROOT, "target") : process.argv[at + 1];
const site = join(into, "site");

rmSync(site, { recursive: true, force: true });
cpSync(join(ROOT, "docs"), site, { recursive: true });
for (const [file, page] of [
  ["ARCHITECTURE.md", "architecture.md"],
  ["CHANGELOG.md", "changelog.md"],
]) {
  cpSync(join(ROOT, file), join(site, page));
}
await writeReference(join(site, "reference"));
writeExamples(join(site, "examples"));
for (const file of markdownIn(site)) writeFileSync(file, withLinks(readFileSync(file, "utf8")));

npx([...VITEPRESS, "build", site]);
if (process.argv.includes("--api")) npx([...TYPEDOC, "--out", join(into, "docs", "api")]);

/** A page for each example, and one that lists them. */
function writeExamples(folder) {
  mkdirSync(folder, { recursive: true });
  const names = [];
  for (const place of ["", "cluster/"]) {
    for (const { name } of readdirSync(join(ROOT, "examples", place), { withFileTypes: true }).filter((one) =>
      one.isFile(),
    )) {
      if (name === "tsconfig.json") continue;
      const language =
        { ".ts": "ts", ".mjs": "js", ".py": "py", ".yaml": "yaml", ".sbatch": "sh" }[extname(name)] ?? "docker";
      const text = readFileSync(join(ROOT, "examples", place, name), "utf8");
      writeFileSync(join(folder, `${name}.md`), `# ${name}\n\n\`\`\`${language}\n${text}\`\`\`\n`);
      names.push(`- [${place}${name}](${name}.md): ${aboutOf(text)}`);
    }
  }
  const intro = "Whole programs and files, as they are in the folder `examples` of a clone.";
  writeFileSync(join(folder, "index.md"), `# Examples\n\n${intro}\n\n${names.join("\n")}\n`);
}

/** The first sentence of the comment that a file begins with. */
function aboutOf(text) {
  const [, comment = ""] = /^(?:#!.*\n)?((?:\/\*\*[\s\S]*?\*\/)|(?:(?:\/\/|#).*\n)+|"""[\s\S]*?""")/.exec(text) ?? [];
  const words = comment.replaceAll(/^\s*(?:\/\*\*|\*\/|\*|\/\/|#|""")\s?|\*\/|"""/gm, "").replaceAll(/\s+/g, " ");
  return (/^.*?[.:](?= |$)/.exec(words.trim())?.[0] ?? words.trim()).replace(/:$/, ".");
}

/** Links to files of the checkout become links to their pages. */
function withLinks(text) {
  return text
    .replaceAll(/\]\((?:\.\.\/)*README\.md[^)]*\)/g, "](/start)")
    .replaceAll(/\]\((?:\.\.\/)*ARCHITECTURE\.md\)/g, "](/architecture)")
    .replaceAll(/\]\((?:\.\.\/)*CHANGELOG\.md\)/g, "](/changelog)")
    .replaceAll(/\]\((?:\.\.\/)+examples\/(?:cluster\/)?([\w-]+(?:\.\w+)?)\)/g, (_, name) =>
      // VitePress takes `.ts` and `.mjs` for files that are there.
      name === "cluster" ? "](/examples/)" : `](/examples/${name}.html)`,
    )
    .replaceAll(/\]\((?:\.\.\/)+examples\/?\)/g, "](/examples/)");
}

function markdownIn(folder) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith(".vitepress"))
    .map((name) => join(folder, name));
}

function npx(args) {
  const { status } = spawnSync("npx", ["--yes", ...args], {
    cwd: ROOT,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (status !== 0) process.exit(status ?? 1);
}
