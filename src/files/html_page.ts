import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { ROOT } from "../package.js";
import { readWhole } from "./read.js";

/** A page in one text: style, scripts and data are inside. */
interface HtmlPage {
  readonly title: string;
  readonly style: string;
  /** The markup before the scripts. */
  readonly body: string;
  /** What the scripts read, as JSON in the element of that id. */
  readonly data?: { readonly id: string; readonly value: unknown };
  readonly scripts: readonly PageScript[];
  /** What of its content security policy allows more than its own scripts and style. */
  readonly policy: readonly string[];
  /** Whether its scripts compile WebAssembly. */
  readonly compiles?: boolean;
}

interface PageScript {
  readonly code: string;
  readonly isModule?: boolean;
}

/**
 * The text of a page, and its content security policy. Nothing of the title and the data is markup. The policy lets no
 * other script run, and nothing be fetched but what `policy` says.
 */
export function htmlPage(page: HtmlPage): { text: string; rules: string } {
  const { title, style, body, data, scripts, policy, compiles = false } = page;
  const all = scripts.map(({ code, isModule = false }) => ({ code: inElement(code.trim()), isModule }));
  const hashes = all.map(({ code }) => `'sha256-${createHash("sha256").update(code).digest("base64")}'`);
  const sources = [...hashes, ...(compiles ? ["'wasm-unsafe-eval'"] : [])];
  const rules = ["default-src 'none'", ...policy, "style-src 'unsafe-inline'", `script-src ${sources.join(" ")}`].join(
    "; ",
  );
  const elements = [
    ...(data ? [`<script type="application/json" id="${data.id}">${embeddedJson(data.value)}</script>`] : []),
    ...all.map(({ code, isModule }) => `<script${isModule ? ' type="module"' : ""}>${code}</script>`),
  ];
  const text = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${rules}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Distillery">
<title>${escapeText(title)}</title>
<link rel="icon" href="data:,">
<style>
${style.trim()}
</style>
</head>
<body>
${[body, ...elements].join("\n")}
</body>
</html>
`;
  return { text, rules };
}

/** The script and the style of a page that scripts/build_report.mjs made. */
export async function builtPage(name: "page" | "watch" | "demo"): Promise<{ script: string; style: string }> {
  const read = async (file: string) => {
    const bytes = await readWhole(fileURLToPath(new URL(`dist/report/${file}`, ROOT)));
    return Buffer.from(bytes).toString();
  };
  // Reports and the page that follows runs have one script.
  const [script, style] = await Promise.all([read(`${name === "demo" ? name : "page"}.js`), read(`${name}.css`)]);
  return { script, style };
}

/** JSON that can't end the element that holds it; numbers that JSON lacks become null. */
export function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** A script none of whose strings can end its element. */
function inElement(code: string): string {
  return code.replaceAll(/<(?=\/script|!--)/gi, "<\\");
}

/** A text as HTML shows it. */
function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
