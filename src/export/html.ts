import { createHash } from "node:crypto";
import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";
import { show } from "../checks.js";
import type { Preprocessing } from "../data/preprocessing/spec.js";
import { DistilleryError } from "../errors.js";
import { readWhole, writeWhole } from "../files/index.js";
import type { Module } from "../nn/module.js";
import { ROOT } from "../package.js";
import type { Demo, DemoInput } from "./demo.js";
import { exportJs, type JsOptions } from "./js/export_js.js";

/** Where scripts/build_report.mjs puts them. */
const BUILT = new URL("dist/report/", ROOT);

/** What was written. */
export interface HtmlSummary {
  readonly bytes: number;
  /** The function that the page calls. */
  readonly name: "classify" | "predict" | "embed";
}

/**
 * Writes a network as one page to try it: draw or drop an image, fill in a row, or type numbers. It is the module of
 * {@link exportJs} with what asks it, opens from disk, and fetches nothing.
 *
 * @throws DistilleryError as {@link exportJs}; `BAD_ARGUMENT` for another extension than .html, or images of other than 1 or 3 channels,
 * `IO_ERROR` if it can't be written.
 * @example
 * ```ts
 * await saveHtml(student, "demo.html", { quantize: "int8" });
 * ```
 */
export async function saveHtml(network: Module, file: string, options: JsOptions = {}): Promise<HtmlSummary> {
  if (typeof file !== "string" || file.includes("\0") || extname(file).toLowerCase() !== ".html") {
    throw new DistilleryError("BAD_ARGUMENT", `file: expected a name that ends in .html, got ${show(file)}`);
  }
  const { code, name, preprocessing, features } = exportJs(network, options);
  const demo: Demo = {
    title: basename(file, extname(file)),
    bytes: Buffer.byteLength(code),
    input: inputOf(preprocessing, features),
    names: name === "embed" ? null : (preprocessing?.classNames ?? null),
  };
  const [script, style] = await Promise.all(
    ["demo.js", "demo.css"].map(async (built) => {
      const path = fileURLToPath(new URL(built, BUILT));
      return Buffer.from(await readWhole(path)).toString();
    }),
  );
  const page = Buffer.from(pageOf(demo, `${code}\nglobalThis.startDemo(${name});`, script as string, style as string));
  await writeWhole(file, page);
  return { bytes: page.length, name };
}

function inputOf(preprocessing: Preprocessing | null, features: number): DemoInput {
  if (preprocessing === null || preprocessing.kind === "values") return { kind: "values", features };
  if (preprocessing.kind === "table") return { kind: "table", columns: preprocessing.columns };
  const { kind, channels, height, width } = preprocessing;
  if (channels === 1 || channels === 3) return { kind, channels, height, width };
  throw new DistilleryError(
    "BAD_ARGUMENT",
    `network: expected images of 1 or 3 channels, which a page can show, got ${channels}`,
  );
}

function pageOf(demo: Demo, module: string, script: string, style: string): string {
  // Nothing in a string of the module may end the element that it is in.
  const [pageScript, network] = [script.trim(), module.replaceAll("</", "<\\/").replaceAll("<!--", "<\\!--")];
  const hashes = [pageScript, network].map((text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`);
  const rules = `default-src 'none'; img-src blob: data:; style-src 'unsafe-inline'; script-src ${hashes.join(" ")}`;
  const title = demo.title.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${rules}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Distillery">
<title>${title}</title>
<style>
${style.trim()}
</style>
</head>
<body>
<div id="page"></div>
<noscript><p>The network is computed by the script inside this file: allow scripts to try it.</p></noscript>
<script type="application/json" id="demo">${JSON.stringify(demo).replaceAll("<", "\\u003c")}</script>
<script>${pageScript}</script>
<script type="module">${network}</script>
</body>
</html>
`;
}
