// The reference pages: everything that has a name, from the registries in dist/, and every option of every command,
// from its help. A new loss or option appears by itself.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./shell.mjs";

/** Writes KIND.md for each kind of name, and options.md, into a folder. */
export async function writeReference(folder) {
  mkdirSync(folder, { recursive: true });
  const { wholeProgram } = await import("../dist/cli/program.js");
  const list = execFileSync(process.execPath, [join(ROOT, "dist", "cli", "main.js"), "list", "--json"], {
    encoding: "utf8",
  });
  for (const [kind, reference] of Object.entries(JSON.parse(list))) {
    writeFileSync(join(folder, `${kind}.md`), pageOf(kind, reference));
  }
  writeFileSync(join(folder, "options.md"), optionsPage(await wholeProgram()));
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

/** The options of all commands by topic, each once: what the commands say of it, and which take it. */
function optionsPage({ commands }) {
  const topics = new Map();
  const all = commands.map((command) => command.name());
  for (const command of commands) {
    for (const { topic, form, text } of optionsOf(command.helpInformation())) {
      const options = topics.get(topic) ?? new Map();
      topics.set(topic, options);
      const texts = options.get(form) ?? new Map();
      options.set(form, texts);
      texts.set(text, [...(texts.get(text) ?? []), command.name()]);
    }
  }
  const intro =
    "Every option of every command, by topic. In a configuration file and in a program an option has the same name in camel case: `batchSize` for `--batch-size`.";
  const sections = [...topics].map(([topic, options]) => {
    const parts = [...options].map(([form, texts]) => `### \`${form}\`\n\n${textOf(texts, all)}`);
    return `## ${topic}\n\n${parts.join("\n\n")}`;
  });
  return `---\noutline: 2\n---\n\n# Options\n\n${intro}\n\n${sections.join("\n\n")}\n`;
}

/** What commands say of an option: a paragraph if they say the same, else an item for each text. */
function textOf(texts, all) {
  const items = Array.from(texts, ([text, commands]) => {
    const [, what, usual, required] = /^(.*?)(?: \((?:default: (.*)|(required))\))?$/.exec(text) ?? [];
    const value = required ? "; required" : usual === undefined ? "" : `; default: ${usual}`;
    const names = commands.length === all.length ? "all commands" : commands.join(", ");
    return { names, text: escaped(`${what}${value}`) };
  });
  if (items.length === 1) return `${items[0].text}\n\n*${items[0].names}*`;
  return items.map(({ names, text }) => `- *${names}*: ${text}`).join("\n");
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

function inCell(text) {
  return escaped(text).replaceAll("|", "\\|");
}

/** What Markdown takes for markup: tags, and emphasis. */
function escaped(text) {
  return text.replaceAll("<", "&lt;").replaceAll(/[*_]/g, "\\$&");
}

function capital(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}`;
}
