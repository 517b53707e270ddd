import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, normalize, posix } from "node:path";
import { expect, test } from "vitest";
import { anchorsOf, linksOf, pages, ROOT, textOf } from "./markdown.js";
import { TASKS } from "./tasks.js";

test.each(pages())("the links of %s lead somewhere", (page) => {
  const broken = linksOf(page).filter((link) => {
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? page : path.startsWith("/") ? `docs${path}.md` : normalize(join(page, "..", path));
    if (!existsSync(join(ROOT, target))) return true;
    return anchor !== undefined && !anchorsOf(target).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test.each(TASKS)("%s: two clicks from README, without a search", (_, __, page, text) => {
  const target = posix.join("docs", page.replace(/html$/, "md"));
  const from = (start: string) =>
    linksOf(start).map((link) => posix.normalize(posix.join(posix.dirname(start), link.split("#")[0] ?? "")));
  const first = from("README.md");
  // A folder lists its files.
  const second = first.flatMap((page) =>
    page.endsWith(".md") ? from(page) : [target].filter((one) => posix.dirname(one) === page),
  );
  expect([...first, ...second]).toContain(target);
  expect(textOf(target)).toContain(text);
});

test("the tests that reliability.md names are there, by their files and titles", () => {
  const rows = textOf("docs/reliability.md").match(/^\|.*\|$/gm) ?? [];
  const missing = rows.flatMap((row) => {
    const paths = Array.from(row.matchAll(/`([\w./-]+\.test\.ts)`/g), ([, path = ""]) => path);
    const files = paths.map((path) => ["", "test", "test/checkpoint"].map((folder) => join(ROOT, folder, path)));
    const found = files.flatMap((places) => places.find((file) => existsSync(file)) ?? []);
    const text = found.map((file) => readFileSync(file, "utf8")).join("\n");
    // What stands behind a file.
    const titles = row
      .split(".test.ts`")
      .slice(1)
      .flatMap((rest) => Array.from(rest.matchAll(/"([^"]+)"/g), ([, title = ""]) => title));
    return [...(found.length < paths.length ? [row] : []), ...titles.filter((title) => !text.includes(title))];
  });
  expect(rows.length).toBeGreaterThan(50);
  expect(missing).toEqual([]);
});

test("the guide's table of error codes is that of src/errors.ts", () => {
  const rows = textOf("src/errors.ts").match(/(?<=^ \* )\| `[A-Z].*\|$/gm) ?? [];
  expect(rows.length).toBeGreaterThan(10);
  expect(textOf("docs/guide.md")).toContain(rows.join("\n"));
});

test("the links of the pages that are packed lead to packed files", () => {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const [{ files }] = JSON.parse(
    execFileSync("npm", args, {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      shell: process.platform === "win32",
    }),
  ) as [{ files: { path: string }[] }];
  const packed = files.map(({ path }) => path);
  const missing = packed
    .filter((path) => path.endsWith(".md"))
    .flatMap((page) =>
      linksOf(page).map((link) => posix.normalize(posix.join(posix.dirname(page), link.split("#")[0] ?? ""))),
    )
    .filter((target) => !packed.some((path) => path === target || path.startsWith(`${target.replace(/\/$/, "")}/`)));
  expect([...new Set(missing)]).toEqual([]);
});
