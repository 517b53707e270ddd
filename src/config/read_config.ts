import { dirname, extname } from "node:path";
import type { Document, Node, Pair, Scalar } from "yaml";
import { expectObject, expectOneOf, expectPath, isOneOf } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { readWhole } from "../files/index.js";
import { type Expression, issuesOf, rebaseModules } from "../registry/index.js";
import { defineConfig, formatIssue, type ResolvedConfig } from "./define_config.js";
import { linksOf } from "./option_values.js";
import { type ConfigName, type ConfigOf, EXPRESSION_OPTIONS, SCHEMAS } from "./schemas.js";

/**
 * Reads a configuration from a `.json`, `.yaml` or `.yml` file, or from the `config.json` of a run. The options of
 * `more` take precedence over the file's. Modules of the user's own are relative to the file.
 *
 * @throws DistilleryError `BAD_CONFIG` that lists every mistake with its line and path; `NOT_FOUND`, `IO_ERROR`.
 * @example
 * ```ts
 * const config = await readConfig("distill", "fashion.yaml", { seed: 1 });
 * ```
 */
export async function readConfig<C extends ConfigName>(
  command: C,
  file: string,
  more: ConfigOf<C> = {},
): Promise<ResolvedConfig<C>> {
  expectOneOf("command", command, Object.keys(SCHEMAS));
  expectPath("file", file);
  expectObject("readConfig", more);
  return defineConfig(command, { ...(await readUserOptions(command, file)), ...more });
}

/**
 * The options of a file as they are written there. Each is checked only by itself, because flags may add options that
 * it needs.
 */
export async function readUserOptions<C extends ConfigName>(command: C, file: string): Promise<ConfigOf<C>> {
  const { value, lineOf } = await parseConfigFile(file);
  const prefix = isOfRun(value) ? ["userOptions"] : [];
  const options = isOfRun(value) ? value.userOptions : value;
  const issues = issuesOf(SCHEMAS[command], options);
  if (issues.length > 0) {
    const located = issues.map((issue) => ({ issue, line: lineOf([...prefix, ...issue.path]) }));
    located.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
    const texts = located.map(({ issue, line }) => (line === null ? "" : `line ${line}: `) + formatIssue(issue));
    throw badConfig(file, texts.join("; "));
  }
  // In a run's config.json, as in flags, paths of modules start from the folder that the run was started in.
  return (isOfRun(value) ? options : withModulesFrom(dirname(file), options as object)) as ConfigOf<C>;
}

/** The `config.json` of a run keeps the user's options under `userOptions`. */
function isOfRun(value: unknown): value is { userOptions: unknown } {
  return typeof value === "object" && value !== null && "command" in value && "userOptions" in value;
}

function withModulesFrom(folder: string, options: object): object {
  const entries = Object.entries(options).map(([name, value]): [string, unknown] => {
    const rebased = (one: unknown) => rebaseModules(one as Expression, folder);
    if (name === "chain") return [name, linksOf(value).map(rebased)];
    const isExpression = isOneOf(EXPRESSION_OPTIONS, name);
    if (!isExpression) return [name, value];
    // `losses` and `student` take lists; for other options a list of expressions means their sum.
    const isList = (name === "losses" || name === "student") && Array.isArray(value);
    return [name, isList ? value.map(rebased) : rebased(value)];
  });
  return Object.fromEntries(entries);
}

/** The value of a configuration file, and the lines of its options. */
interface ConfigText {
  value: unknown;
  /** The line of an option, from 1; null if the file has no such option. */
  lineOf(path: readonly string[]): number | null;
}

const MAX_BYTES = 1 << 16;

/**
 * Reads a JSON or YAML file, by the extension of its name. YAML is 1.2: `yes` is a string, and a file holds one
 * document.
 *
 * @throws DistilleryError `BAD_CONFIG` with the line that is no JSON or YAML, `NOT_FOUND`, `IO_ERROR`.
 */
async function parseConfigFile(file: string): Promise<ConfigText> {
  const extension = extname(file).toLowerCase();
  if (![".json", ".yaml", ".yml"].includes(extension)) {
    throw badConfig(file, "expected a file whose name ends in .json, .yaml or .yml");
  }
  const bytes = await readWhole(file);
  if (bytes.length > MAX_BYTES)
    throw badConfig(file, `${bytes.length} bytes; a configuration has at most ${MAX_BYTES}`);
  return parse(decode(bytes, file), file, extension === ".json");
}

/** An error about a configuration file. */
function badConfig(file: string, text: string, cause?: unknown): DistilleryError {
  return new DistilleryError("BAD_CONFIG", `${file}: ${text}`, { cause });
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw badConfig(file, "is no text in UTF-8", error);
  }
}

/** JSON is read as YAML too, which knows lines and refuses a name that occurs twice. */
async function parse(text: string, file: string, isJson: boolean): Promise<ConfigText> {
  // Loaded late: a run without a configuration file starts without it.
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  try {
    const parsed: unknown = isJson ? JSON.parse(text) : null;
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
    // YAML's other complaints, such as about tabs, do not apply to JSON.
    const problem = [...document.errors, ...document.warnings].find(({ code }) => !isJson || code === "DUPLICATE_KEY");
    if (problem !== undefined) {
      const several = problem.code === "MULTIPLE_DOCS" ? "expected one document, got several (---)" : problem.message;
      const message = isJson ? "a name occurs twice in an object" : several;
      throw badConfig(file, `line ${lines.linePos(problem.pos[0]).line}: ${message}`);
    }
    const value = isJson ? parsed : document.toJS();
    return { value, lineOf: (path) => lineOf(document, path, (at) => lines.linePos(at).line) };
  } catch (error) {
    if (error instanceof DistilleryError) throw error;
    // Text that is not JSON, or YAML that its reader gives up on, as with too many aliases.
    const { message } = error as Error;
    const at = /at position (\d+)/.exec(message)?.[1];
    const before = at === undefined ? text.trimEnd() : text.slice(0, Number(at));
    const place = isJson ? `line ${before.split("\n").length}: ` : "";
    throw badConfig(file, `${place}${message}`, error);
  }
}

function lineOf(document: Document, path: readonly string[], lineAt: (offset: number) => number): number | null {
  let node: unknown = document.contents;
  let line: number | null = null;
  for (const key of path) {
    const items = (node as { items?: Pair<Scalar, Node>[] } | null)?.items ?? [];
    const pair = items.find((item) => item.key?.value === key);
    if (pair?.key.range == null) return line;
    line = lineAt(pair.key.range[0]);
    node = pair.value;
  }
  return line;
}
