// The reference pages: everything that has a name, from the registries in dist/, and every option of every command, from its
// help. A new loss or option appears by itself.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./shell.mjs";

/** Writes KIND.md for each kind of name, and options.md, into a folder. */
export function writeReference(folder) {
  mkdirSync(folder, { recursive: true });
  for (const [kind, reference] of Object.entries(JSON.parse(said("list", "--json")))) {
    writeFileSync(join(folder, `${kind}.md`), pageOf(kind, reference));
  }
  writeFileSync(join(folder, "options.md"), optionsPage());
}

function pageOf(kind, { usage, entries }) {
  const sections = entries.map(({ name, help, options }) => {
    const rows = options.map(({ name, default: usual, help }) => {
      return `| \`${name}\` | ${usual === null ? "required" : usual === "" ? "" : `\`${usual}\``} | ${inCell(help)} |`;
    });
    const table = rows.length === 0 ? [] : ["", "| option | default | |", "|---|---|---|", ...rows];
    const text = help === "" ? [] : ["", `${capital(escaped(help))}.`];
    return [`## ${name}`, ...text, ...table].join("\n");
  });
  return `# ${capital(kind)}\n\nUsed as: ${escaped(usage)}\n\n${sections.join("\n\n")}\n`;
}

/** The options of all commands by topic, each once, with the commands that take it. */
function optionsPage() {
  const topics = new Map();
  const all = Array.from(said("--help").matchAll(/^ {2}([a-z][\w-]*) \[options\]/gm), ([, name]) => name);
  for (const command of all) {
    for (const { topic, form, text } of optionsOf(said(command, "--help"))) {
      const options = topics.get(topic) ?? new Map();
      topics.set(topic, options);
      const key = form.replace(/^-h, /, "");
      const [, what, usual, required = ""] = /^(.*?)(?: \((?:default: (.*)|(required))\))?$/.exec(text) ?? [];
      const variants = options.get(key) ?? [];
      options.set(key, variants);
      variants.push({ command, what, usual: usual ?? required });
    }
  }
  const intro =
    "Every option of every command, by topic. In a configuration file and in a program an option has the same name in camel case: `batchSize` for `--batch-size`.";
  const sections = [...topics].map(([topic, options]) => {
    const rows = [...options].map(([form, variants]) => {
      const whats = variants.map(({ what }) => what);
      // What a longer text of the same option says too is said once.
      const said = ({ what }) => whats.find((other) => other !== what && other.startsWith(what)) ?? what;
      const names = variants.length === all.length ? "all" : variants.map(({ command }) => command).join(", ");
      const usual = cellOf(
        variants,
        (variant) => variant.usual,
        (value, commands) => `${value} (${commands})`,
      );
      const text = cellOf(variants, said, (value, commands) => `${commands}: ${value}`);
      return `| \`${form.replaceAll("|", "\\|")}\` | ${usual} | ${text} | ${names} |`;
    });
    return `## ${topic}\n\n| option | default | what it says | commands |\n|---|---|---|---|\n${rows.join("\n")}`;
  });
  return `# Options\n\n${intro}\n\n${sections.join("\n\n")}\n`;
}

/** What the commands say of an option: once if they say the same, else a line for each that they say, with its commands. */
function cellOf(variants, of, line) {
  const values = [...new Set(variants.map(of))];
  if (values.length === 1) return inCell(values[0]);
  const commandsOf = (value) => variants.filter((variant) => of(variant) === value).map(({ command }) => command);
  return values
    .filter((value) => value !== "")
    .map((value) => inCell(line(value, commandsOf(value).join(", "))))
    .join("<br>");
}

/** The options in a help text: a line begins with two spaces and a dash, and goes on in deeper lines. */
function optionsOf(help) {
  const options = [];
  let topic = "";
  for (const line of help.split("\n")) {
    const [, heading] = /^(\w[\w ]*):$/.exec(line) ?? [];
    const [, form, text] = /^ {2}(-\S.*?)(?: {2,}(.*))?$/.exec(line) ?? [];
    if (heading !== undefined) topic = heading;
    else if (form !== undefined) options.push({ topic, form, text: text ?? "" });
    else if (/^ {20}/.test(line) && options.length > 0) {
      const last = options[options.length - 1];
      last.text = `${last.text} ${line.trim()}`.trim();
    } else if (line !== "") topic = "";
  }
  return options.filter(({ topic, form }) => topic !== "" && !form.startsWith("-h"));
}

function said(...args) {
  return execFileSync(process.execPath, [join(ROOT, "dist", "cli", "main.js"), ...args], { encoding: "utf8" });
}

function inCell(text) {
  return escaped(text).replaceAll("|", "\\|");
}

/** Markdown takes what stands between `<` and `>` for markup. */
function escaped(text) {
  return text.replaceAll("<", "&lt;");
}

function capital(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}
