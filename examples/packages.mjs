// Debian's packages as a table of texts: a line of JSON for each, its section and its description.
//
//   node examples/packages.mjs packages.jsonl
//   npx distillery train-teacher --data packages.jsonl --label-column section --text-column description ...
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const [file = "packages.jsonl"] = process.argv.slice(2);
const { stdout, error, status } = spawnSync("apt-cache", ["dumpavail"], { encoding: "utf8", maxBuffer: 2 ** 30 });
if (error || status !== 0) {
  console.error(`apt-cache dumpavail: ${error?.message ?? `exit code ${status}`}: it needs Debian or Ubuntu`);
  process.exit(1);
}

/** The first line of a field of a package; without it, nothing. */
const fieldOf = (stanza, name) => new RegExp(`^${name}(?:-en)?: (.*)$`, "m").exec(stanza)?.[1];

const seen = new Set();
const rows = stdout.split("\n\n").flatMap((stanza) => {
  const [section, description] = [fieldOf(stanza, "Section"), fieldOf(stanza, "Description")];
  // Of packages that are described alike, such as a library's parts, the first.
  if (section === undefined || description === undefined || seen.has(description)) return [];
  seen.add(description);
  return [{ section: section.split("/").at(-1), description }];
});
const sections = new Set(rows.map(({ section }) => section));
writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
console.log(`${file}: ${rows.length} packages in ${sections.size} sections`);
