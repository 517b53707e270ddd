import { type Constant, type Graph, lengthFor, type Node, type Value } from "../../graph/index.js";
import { LEAST, PLACED, placedNumbers, STORED, WEB_ASSEMBLY, webAssemblyJs } from "../../ops/web_assembly.js";
import type { JsBuilder, JsFunction } from "../../tensor/js_form.js";
import { cannotExport } from "../exported_graph.js";
import { TRANSPOSED } from "./transposed.js";
import { isStored, WEIGHT_FUNCTIONS, weightsJs } from "./weights.js";

/** Words of JavaScript that a module must not use as names. */
const RESERVED =
  "arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function if implements import in instanceof interface let new null package private protected public return static super switch this throw true try typeof undefined var void while with yield".split(
    " ",
  );

/** The functions that constants may call. */
const OWN_FUNCTIONS: readonly JsFunction[] = [...WEIGHT_FUNCTIONS, PLACED, WEB_ASSEMBLY];

/**
 * Matches the names that a module's text declares at its top level, and the globals that it reads: all but `atob` begin
 * with a capital letter.
 */
const NAMES = /^(?:export )?(?:const|let|function) ([^=(;]+)|\b(?:[A-Z]\w*|atob)\b/gm;

/**
 * Writes a graph as the JavaScript of one sample: the statements of its forward, the functions and the numbers that
 * they need.
 */
export class ModuleCode implements JsBuilder {
  readonly #functions = new Map<string, JsFunction>();
  readonly #lines: string[] = [];
  readonly #names = new Map<Value, string>();
  readonly #taken = new Set([...RESERVED, "x", "forward", "webAssembly"]);
  /** The names in the module's text without those of the operations' functions. */
  readonly #declared: ReadonlySet<string>;
  readonly #numbers: string[] = [];
  /** The constants that are read transposed alone, and those that are also read as they are. */
  #onlyTransposed: ReadonlySet<Value> = new Set();
  #alsoTransposed: ReadonlySet<Value> = new Set();
  /** The name of a constant's transposed form, by the name of the constant: the same name, or one of its own. */
  readonly #transposedNames = new Map<string, string>();
  /** How many numbers WebAssembly's memory has to hold: the weights, and at most what is needed beside them. */
  #weights = 0;
  #room = 0;

  /** `rest`: the module's text without what this class writes. */
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

  readonly transposed = (matrix: string, columns: number): string =>
    this.#transposedNames.get(matrix) ?? this.call(TRANSPOSED, matrix, columns);

  readonly room = (numbers: number): void => {
    this.#room = Math.max(this.#room, numbers);
  };

  /** Adds the function, and those that it calls, to the module. */
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
    const first = this.#functions.has(WEB_ASSEMBLY.name) ? [webAssemblyJs(this.#weights, this.#room)] : [];
    return [...first, ...this.#numbers].join("\n");
  }

  /**
   * Goes through the nodes once: the functions' names come first, so that no value takes one, and so does how constants
   * are read.
   */
  #look(): void {
    const values: Value[] = [];
    const [other, plain] = [new Set<Value>(), new Set<Value>()];
    const marked = (mark: string) => values[Number(mark.slice(1, -1))];
    const transposed = (mark: string, columns: number) => {
      const value = marked(mark);
      if (value.kind !== "constant") return this.call(TRANSPOSED, mark, columns);
      other.add(value);
      return "";
    };
    const mark = (value: Value) => `@${values.push(value) - 1}@`;
    const builder = { call: this.call, refusal: this.refusal, list: () => "", transposed, room: this.room };
    for (const node of this.graph.nodes) {
      const js = this.#expression(node, mark, builder);
      for (const [one] of js.matchAll(/@\d+@/g)) plain.add(marked(one));
    }
    for (const value of other) if (plain.has(value)) this.use(TRANSPOSED);
    this.#onlyTransposed = new Set([...other].filter((value) => !plain.has(value)));
    this.#alsoTransposed = new Set([...other].filter((value) => plain.has(value)));
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
    const isTransposed = this.#onlyTransposed.has(constant);
    const shape = isTransposed ? constant.shape.toReversed() : constant.shape;
    this.#numbers.push(`const ${name} = ${weightsJs(constant, isTransposed, this)}; // [${shapeText(shape)}]`);
    if (isStored(constant, isTransposed)) this.#weights += placedNumbers(constant.data.length);
    if (isTransposed) this.#transposedNames.set(name, name);
    if (this.#alsoTransposed.has(constant)) this.#addTransposed(constant, name);
    return name;
  }

  /** The transposed form of a constant that is also read as it is, made of that when the module is loaded. */
  #addTransposed({ data, shape }: Constant, name: string): void {
    const own = this.#unique(`${name}_transposed`);
    const js = this.call(TRANSPOSED, name, shape[1]);
    const isLong = data.length >= LEAST;
    this.#numbers.push(`const ${own} = ${isLong ? this.call(STORED, js) : js}; // [${shapeText(shape.toReversed())}]`);
    if (isLong) this.#weights += placedNumbers(data.length);
    this.#transposedNames.set(name, own);
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
