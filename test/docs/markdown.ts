import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** All pages of the documentation, by their paths in the checkout. */
export function pages(): string[] {
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".md"),
  );
  const outside = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "scripts/release.md"];
  return [...outside, ...docs.map((name) => join("docs", name))];
}

export function textOf(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}

/** The code of a page's blocks in a language. */
export function blocksOf(page: string, language: string): string[] {
  return [...textOf(page).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(
    ([, code = ""]) => code,
  );
}

/** All sources of the library, by their paths in the checkout. */
export function sources(): string[] {
  const names = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".ts")).map((name) => join("src", name));
}

/** The TypeScript in the doc comments of a source. */
export function examplesOf(file: string): string[] {
  const found = textOf(file).matchAll(/^ *\* ```ts\n(.*?)^ *\* ```$/gms);
  return Array.from(found, ([, code = ""]) => code.replaceAll(/^ *\* ?/gm, ""));
}

/** The relative links of a page, outside of code. */
export function linksOf(page: string): string[] {
  const words = textOf(page)
    .replaceAll(/^```.*?^```/gms, "")
    .replaceAll(/`[^`\n]*`/g, "");
  const found = [...words.matchAll(/\]\(([^)\s]+)\)/g), ...words.matchAll(/\b(?:link|src): *(\/[\w/#-]+)/g)];
  return found.map(([, link = ""]) => link).filter((link) => !/^[a-z]+:/.test(link));
}

/** The anchors of a page's headings. */
export function anchorsOf(page: string): string[] {
  const headings = textOf(page)
    .replaceAll(/^```.*?^```/gms, "")
    .matchAll(/^#+ (.*)$/gm);
  return Array.from(headings, ([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\d\s-]/gu, "")
      .trim()
      .replaceAll(/\s/g, "-"),
  );
}
