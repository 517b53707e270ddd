import { extname } from "node:path";
import type { Document, Node, Pair, Scalar } from "yaml";
import { DistilleryError } from "../errors.js";
import { readWhole } from "../files/index.js";

/** What stands in a configuration file, and on which lines. */
export interface ConfigText {
  value: unknown;
  /** The line of an option, from 1; null where the file has none of that name. */
  lineOf(path: readonly string[]): number | null;
}

const MOST_BYTES = 1 << 16;

/**
 * Reads a JSON or a YAML file, which its name tells. YAML is 1.2: `yes` is a text, and a file holds one document.
 *
 * @throws DistilleryError `BAD_CONFIG` with the line of what is no JSON or YAML, `NOT_FOUND`, `IO_ERROR`.
 */
export async function readConfigText(file: string): Promise<ConfigText> {
  const extension = extname(file).toLowerCase();
  if (![".json", ".yaml", ".yml"].includes(extension)) {
    throw badConfig(file, "expected a file whose name ends in .json, .yaml or .yml");
  }
  const bytes = await readWhole(file);
  if (bytes.length > MOST_BYTES)
    throw badConfig(file, `${bytes.length} bytes; a configuration has at most ${MOST_BYTES}`);
  return parse(decode(bytes, file), file, extension === ".json");
}

/** An error about a configuration file. */
export function badConfig(file: string, text: string, cause?: unknown): DistilleryError {
  return new DistilleryError("BAD_CONFIG", `${file}: ${text}`, { cause });
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw badConfig(file, "is no text in UTF-8", error);
  }
}

/** JSON is read as YAML too, which knows lines and refuses a name that stands twice. */
async function parse(text: string, file: string, isJson: boolean): Promise<ConfigText> {
  // Only here: a run without a file starts without it.
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw badConfig(file, `line ${lines.linePos(problem.pos[0]).line}: ${problem.message}`);
    const value: unknown = isJson ? JSON.parse(text) : document.toJS();
    return { value, lineOf: (path) => lineOf(document, path, (at) => lines.linePos(at).line) };
  } catch (error) {
    if (error instanceof DistilleryError) throw error;
    // JSON that YAML allows and JSON does not, such as a comma before a bracket; aliases or brackets without end.
    const { message } = error as Error;
    const at = /at position (\d+)/.exec(message)?.[1];
    const place = at === undefined ? "" : `line ${lines.linePos(Number(at)).line}: `;
    throw badConfig(file, `${place}${message}`, error);
  }
}

function lineOf(document: Document, path: readonly string[], lineAt: (offset: number) => number): number | null {
  let node = document.contents as unknown;
  let line: number | null = null;
  for (const key of path) {
    const items = ((node as { items?: Pair<Scalar, Node>[] } | null)?.items ?? []) as Pair<Scalar, Node>[];
    const pair = items.find((item) => item.key?.value === key);
    if (pair?.key.range == null) return line;
    line = lineAt(pair.key.range[0]);
    node = pair.value;
  }
  return line;
}
