import { h } from "../../page/dom.js";
import type { Report } from "../report_data.js";

/** What is needed to make the figures again. */
export function repeatSection({ command, config, versions, created }: Report): HTMLElement[] {
  const about = { ...versions, made: created.replace("T", " ").replace(/\.\d+Z$/, " UTC") };
  const hashes = Object.entries(config).filter(([name]) => name.endsWith("Hash"));
  const rest = Object.entries(config).filter(([name]) => !name.endsWith("Hash"));
  return [
    command === ""
      ? null
      : h("div", { class: "command" }, h("pre", { tabindex: 0 }, h("code", {}, command)), copyButton(command)),
    h(
      "div",
      { class: "lists" },
      listing("Configuration", rest),
      h(
        "div",
        {},
        listing("Made with", Object.entries(about)),
        hashes.length > 0 && listing("Started from (SHA-256)", hashes),
      ),
    ),
  ].filter((part): part is HTMLDivElement => part !== null);
}

function listing(title: string, entries: readonly (readonly [string, unknown])[]): HTMLElement {
  const rows = entries.flatMap(([name, value]) => [h("dt", {}, worded(name)), h("dd", {}, shown(value))]);
  return h("section", {}, h("h3", {}, title), h("dl", { class: "pairs" }, ...rows));
}

/** learningRate as "learning rate". */
function worded(name: string): string {
  return name.replace(/Hash$/, "").replaceAll(/(?<=[a-z\d])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function shown(value: unknown): string {
  if (value === null) return "none";
  if (Array.isArray(value) && value.every((item) => typeof item !== "object")) return value.join(", ");
  if (Array.isArray(value)) return value.map(shown).join("; ");
  if (typeof value !== "object") return String(value);
  // Evaluations of a test set are counted with its hash, which says nothing to readers.
  const told = Object.entries(value as object).filter(([name]) => name !== "hash");
  const entries = told.map(([name, one]) => `${worded(name)} ${shown(one)}`);
  return entries.length === 0 ? "none" : entries.join(", ");
}

/** Only if the browser lets a page write to the clipboard. */
function copyButton(text: string): HTMLElement | null {
  if (navigator.clipboard === undefined) return null;
  const button = h("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    button.textContent = copied ? "Copied" : "Not allowed here";
  });
  return button;
}
