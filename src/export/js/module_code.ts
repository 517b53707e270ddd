import { type Constant, type Graph, lengthFor, type Node, type Value } from "../../graph/index.js";
import { fitsSimd, SIMD, WEB_ASSEMBLY } from "../../ops/web_assembly.js";
import { type JsBuilder, type JsFunction, PANEL } from "../../tensor/js_form.js";
import { cannotExport } from "../exported_graph.js";
import { PANELS } from "./panels.js";
import { WEIGHT_FUNCTIONS, weightsJs } from "./weights.js";

/** A module reads like code if no name of its own is one of these. */
const RESERVED =
  "arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function if implements import in instanceof interface let new null package private protected public return static super switch this throw true try typeof undefined var void while with yield".split(
    " ",
  );

/** The functions that constants may call. */
const OWN_FUNCTIONS: readonly JsFunction[] = [...WEIGHT_FUNCTIONS, SIMD, WEB_ASSEMBLY];

/** What a module's own text declares for all of it, and the globals that it reads: all but one begin with a capital. */
const NAMES = /^(?:export )?(?:const|let|function) ([^=(;]+)|\b(?:[A-Z]\w*|atob)\b/gm;

/**
 * Writes a graph as the JavaScript of one sample: the statements of its forward, the functions and the numbers that
 * they need.
 */
export class ModuleCode implements JsBuilder {
  readonly #functions = new Map<string, JsFunction>();
  readonly #lines: string[] = [];
  readonly #names = new Map<Value, string>();
  readonly #taken = new Set([...RESERVED, "x", "forward"]);
  /** The names of the module's text but for operations. */
  readonly #declared: ReadonlySet<string>;
  readonly #numbers: string[] = [];
  /** The constants that are read by panels alone; of those that have a name, that. */
  #onlyPanels: ReadonlySet<Value> = new Set();
  readonly #inPanels = new Set<string>();

  /** `rest`: the module's text but for what this writes. */
  constructor(
    readonly graph: Graph,
    rest: string,
  ) {
    this.#names.set(graph.input, "x");
    const sourcesOf = (functions: Iterable<JsFunction>) => [...functions].map(({ source }) => source);
    this.#declared = new Set([...this.#taken, ...namesIn([rest, ...sourcesOf(OWN_FUNCTIONS)])]);
    this.#look();
    for (const name of [...this.#declared, ...namesIn(sourcesOf(this.#functions.values()))]) this.#taken.add(name);
    for (const node of graph.nodes) this.#add(node);
  }

  readonly call = (callee: JsFunction, ...args: (string | number)[]): string => {
    this.use(callee);
    return `${callee.name}(${args.join(", ")})`;
  };

  readonly list = (name: string, values: readonly number[]): string => {
    const own = this.#unique(name);
    this.#numbers.push(`const ${own} = [${values.join(", ")}];`);
    return own;
  };

  readonly refusal = (reason: string) => cannotExport(reason, "JavaScript");

  readonly panels = (matrix: string, columns: number): string =>
    this.#inPanels.has(matrix) ? matrix : this.call(PANELS, matrix, columns);

  /** Has the function, and those that it calls, in the module. */
  use(callee: JsFunction): void {
    const known = this.#functions.get(callee.name);
    if (known !== undefined && known.source !== callee.source) {
      throw this.refusal(`two operations have a function "${callee.name}"`);
    }
    if (known !== undefined) return;
    if (this.#declared.has(callee.name) && !OWN_FUNCTIONS.includes(callee)) {
      throw this.refusal(`the function "${callee.name}" of an operation has a name that the module needs`);
    }
    this.#functions.set(callee.name, callee);
    for (const other of callee.calls ?? []) this.use(other);
  }

  /** The function `forward`. */
  get forward(): string {
    const { input, output } = this.graph;
    const [from, to] = [input, output].map((value) => shapeText(this.#shapeOf(value).slice(1)));
    const statements = [...this.#lines, `return ${this.#names.get(output)};`].map((line) => `  ${line}`);
    return `/** The network: values [${from}] to outputs [${to}]. */\nfunction forward(x) {\n${statements.join("\n")}\n}`;
  }

  /** The functions that are called, in the order of their first call. */
  get functions(): string {
    return [...this.#functions.values()].map(({ source }) => source.trim()).join("\n\n");
  }

  /** The weights and other numbers. */
  get numbers(): string {
    return this.#numbers.join("\n");
  }

  /**
   * Goes through the nodes once: the functions' names come first, so that no value takes one, and so does how constants
   * are read.
   */
  #look(): void {
    const values: Value[] = [];
    const [byPanels, plain] = [new Set<Value>(), new Set<Value>()];
    const marked = (mark: string) => values[Number(mark.slice(1, -1))];
    const panels = (mark: string, columns: number) => {
      const value = marked(mark);
      if (value.kind !== "constant") return this.call(PANELS, mark, columns);
      byPanels.add(value);
      return "";
    };
    const mark = (value: Value) => `@${values.push(value) - 1}@`;
    for (const node of this.graph.nodes) {
      const js = this.#expression(node, mark, { call: this.call, refusal: this.refusal, list: () => "", panels });
      for (const [one] of js.matchAll(/@\d+@/g)) plain.add(marked(one));
    }
    for (const value of byPanels) if (plain.has(value)) this.use(PANELS);
    this.#onlyPanels = new Set([...byPanels].filter((value) => !plain.has(value)));
  }

  #add(node: Node): void {
    const { op, inputs } = node;
    const names = inputs.map((value) => this.#nameOf(value));
    const js = this.#expression(node, (value) => this.#nameOf(value), this);
    // Another name for the same numbers.
    if (names.includes(js)) return void this.#names.set(node, js);
    const layer = inputs.find((value): value is Constant => value.kind === "constant" && value.name.includes("."));
    const name = this.#unique(layer === undefined ? `${op.name}1` : layer.name.replace(/\.[^.]*$/, ""));
    this.#names.set(node, name);
    this.#lines.push(`const ${name} = ${js}; // [${shapeText(this.#shapeOf(node).slice(1))}]`);
  }

  #expression(node: Node, nameOf: (value: Value) => string, builder: JsBuilder): string {
    const { op, attributes, inputs } = node;
    if (op.js === undefined) throw this.refusal(`it has no form for the operation "${op.name}"`);
    const shapes = inputs.map((value) => this.#shapeOf(value));
    const isBatch = inputs.map(({ shape: [first] }) => first !== undefined && typeof first !== "number");
    return op.js({ inputs: inputs.map(nameOf), shapes, isBatch, attributes, shape: this.#shapeOf(node) }, builder);
  }

  #nameOf(value: Value): string {
    return value.kind === "constant" ? this.#constant(value) : (this.#names.get(value) as string);
  }

  #constant(constant: Constant): string {
    const known = this.#names.get(constant);
    if (known !== undefined) return known;
    const name = this.#unique(constant.name);
    this.#names.set(constant, name);
    const inPanels = this.#onlyPanels.has(constant);
    if (inPanels) this.#inPanels.add(name);
    const order = inPanels ? `, ${PANEL} rows at a time` : "";
    const weights = weightsJs(constant, inPanels ? PANEL : 1, this);
    const [rows, columns] = constant.shape;
    const js = inPanels && fitsSimd(rows, columns) ? this.call(SIMD, weights, columns) : weights;
    this.#numbers.push(`const ${name} = ${js}; // [${shapeText(constant.shape)}]${order}`);
    return name;
  }

  #shapeOf({ shape }: Value): number[] {
    return shape.map((length) => {
      const own = lengthFor(length, 1);
      if (Number.isNaN(own)) throw this.refusal("a length follows the batch in another way");
      return own;
    });
  }

  /** A name that nothing else has. */
  #unique(text: string): string {
    const plain = text.replaceAll(/[^A-Za-z0-9_$]/g, "_").replace(/^(?=\d)/, "_");
    const [, stem = plain, number = "2"] = /^(.*\D)(\d+)$/.exec(plain) ?? [];
    let unique = plain;
    for (let i = Number(number); this.#taken.has(unique); i++) unique = `${stem}${stem === plain ? "_" : ""}${i}`;
    this.#taken.add(unique);
    return unique;
  }
}

function namesIn(sources: readonly string[]): string[] {
  return [...sources.join("\n").matchAll(NAMES)].flatMap(([text, declared = text]) => declared.match(/[\w$]+/g) ?? []);
}

function shapeText(shape: readonly number[]): string {
  return shape.join(", ");
}
