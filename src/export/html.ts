import { basename, extname } from "node:path";
import { argumentError, expectExtension } from "../checks.js";
import type { Preprocessing } from "../data/preprocessing/spec.js";
import { builtPage, htmlPage } from "../files/html_page.js";
import { writeWhole } from "../files/index.js";
import type { Module } from "../nn/module.js";
import type { Demo, DemoInput } from "./demo.js";
import { exportJs, type JsOptions, withinText } from "./js/export_js.js";

/** What was written. */
export interface HtmlSummary {
  readonly bytes: number;
  /** The function that the page calls. */
  readonly name: "classify" | "predict" | "embed";
}

/**
 * Writes a network as one HTML page on which to try it: draw or drop an image, fill in a row, or type numbers. The page
 * contains the module of {@link exportJs}. It opens from disk and fetches nothing.
 *
 * @throws DistilleryError as {@link exportJs}; `BAD_ARGUMENT` for another extension than .html, or images of other than
 * 1 or 3 channels, `IO_ERROR` if it can't be written.
 * @example
 * ```ts
 * await saveHtml(student, "demo.html", { quantize: "int8" });
 * ```
 */
export async function saveHtml(network: Module, file: string, options: JsOptions = {}): Promise<HtmlSummary> {
  expectExtension("file", file, [".html"]);
  const { code, name, preprocessing, features } = exportJs(network, options);
  const demo: Demo = {
    title: basename(file, extname(file)),
    bytes: Buffer.byteLength(code),
    input: inputOf(preprocessing, features),
    names: name === "embed" ? null : (preprocessing?.classNames ?? null),
  };
  const { script, style } = await builtPage("demo");
  const page = () =>
    htmlPage({
      title: demo.title,
      style,
      body: `<div id="page"></div>
<noscript><p>The network is computed by the script inside this file: allow scripts to try it.</p></noscript>`,
      data: { id: "demo", value: demo },
      scripts: [{ code: script }, { code: `${code}\nglobalThis.startDemo(${name});`, isModule: true }],
      policy: ["img-src blob: data:"],
      compiles: true,
    });
  const bytes = withinText(() => Buffer.from(page().text));
  await writeWhole(file, bytes);
  return { bytes: bytes.length, name };
}

function inputOf(preprocessing: Preprocessing | null, features: number): DemoInput {
  if (preprocessing === null || preprocessing.kind === "values") return { kind: "values", features };
  if (preprocessing.kind === "table") return { kind: "table", columns: preprocessing.columns };
  const { kind, channels, height, width } = preprocessing;
  if (channels === 1 || channels === 3) return { kind, channels, height, width };
  throw argumentError("network", `expected images of 1 or 3 channels, which a page can show, got ${channels}`);
}
