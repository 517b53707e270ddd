import * as v from "valibot";
import { argumentError, badArgument, show, suggestion } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { fromUserCode } from "../user_code.js";
import { type Expression, formatExpression, parseExpression, RESERVED } from "./expression.js";
import { issuesOf, placeOf } from "./issues.js";
import { isModulePath, type Term, type Weight } from "./parser.js";
import type { UserModules } from "./user_module.js";

/** The schemas of the options of an entry, whichever it is. */
export interface OptionSchemas extends v.ObjectEntries {}

/** The options of an entry, checked, with their defaults. */
export type OptionsOf<E extends v.ObjectEntries> = v.InferOutput<v.StrictObjectSchema<E, undefined>>;

/**
 * Something that users select by name: a loss, a network, a schedule.
 *
 * @typeParam T what it makes.
 * @typeParam C what the library adds to the options, such as a network's input shape and number of classes.
 */
export interface Entry<T, C = void, E extends v.ObjectEntries = OptionSchemas> {
  /** As users write it: `cross-entropy`. */
  readonly name: string;
  /** One line for help texts and reference pages. */
  readonly help: string;
  /** The schemas of the options, with defaults, in the order of positional arguments. */
  readonly options: E;
  /** The tasks that it supports; default: all. */
  readonly tasks?: readonly string[];
  create(options: OptionsOf<E>, context: C): T;
}

/** An entry whose `create` gets the types of its own options. */
export function defineEntry<T, C, E extends v.ObjectEntries>(entry: Entry<T, C, E>): Entry<T, C, E> {
  return entry;
}

/** An option as help texts and reference pages show it. */
export interface OptionHelp {
  readonly name: string;
  /** As an expression writes it; null if the option must be given. */
  readonly default: string | null;
  readonly help: string;
}

/** What a module of the user's own has to make. */
interface UserDefined<T, C = void> {
  /** Such as "a Module, or a function that returns one". */
  readonly expected: string;
  /** A likely cause if its function throws, such as that it is no factory. */
  readonly advice?: string;
  /** Makes a value of what came, or throws `BAD_ARGUMENT` that begins with `place`. */
  convert?(value: unknown, context: C, place: string): unknown;
  accepts(value: unknown): value is T & object;
}

/** How {@link Registry.resolve} names what it resolves, and where modules of the user's own come from. */
export interface ResolveOptions {
  /** What the expression is called in errors; default: the registry's kind. */
  readonly argument?: string;
  /** Modules of the user's own, from `importModules`; default: none may be named. */
  readonly modules?: UserModules;
}

/**
 * All things of one kind that can be made by name. To add one, add an {@link Entry} to the list.
 *
 * @example
 * ```ts
 * const SHAPES = new Registry("shape", [
 *   defineEntry({ name: "square", help: "a square", options: { side: v.optional(v.number(), 1) }, create: ({ side }) => side ** 2 }),
 * ]);
 * SHAPES.resolve("square(side=3)"); // 9
 * ```
 */
export class Registry<T, C = void, E extends Entry<T, C> = Entry<T, C>> {
  readonly kind: string;
  readonly #entries: ReadonlyMap<string, E>;
  readonly #userDefined: UserDefined<T, C> | null;

  constructor(kind: string, entries: readonly E[], userDefined: UserDefined<T, C> | null = null) {
    this.kind = kind;
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
    this.#userDefined = userDefined;
    const reserved = entries.find(({ options }) => RESERVED.some((key) => Object.hasOwn(options, key)));
    if (this.#entries.size < entries.length || reserved !== undefined) {
      const text = reserved
        ? `${reserved.name}: ${RESERVED.join(" and ")} can't be options`
        : "two entries of one name";
      throw new DistilleryError("INTERNAL", `registry of ${kind}: ${text}`);
    }
  }

  /** The registered names, in their order. */
  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** The registered entries, in their order. */
  get entries(): readonly E[] {
    return [...this.#entries.values()];
  }

  /**
   * The entry of a name.
   *
   * @throws DistilleryError `BAD_ARGUMENT` with the nearest name if there is none.
   */
  get(name: string, argument = this.kind): E {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    if (typeof name !== "string") throw badArgument(argument, "a name", name);
    const own = this.#userDefined === null ? "" : ", or a module of your own, as ./file.mjs#Name";
    const text = `unknown ${this.kind} ${show(name)}${suggestion(name, this.names) || "."}`;
    throw argumentError(argument, `${text} Expected one of ${this.names.join(", ")}${own}`);
  }

  /** The entries with their options, for help texts and reference pages. */
  describe(): { name: string; help: string; options: OptionHelp[] }[] {
    return this.entries.map(({ name, help }) => ({ name, help, options: this.optionsOf(name) }));
  }

  /** The options of an entry, for help texts and reference pages. */
  optionsOf(name: string): OptionHelp[] {
    return Object.entries(this.get(name).options).map(([option, schema]) => {
      const value = v.getDefault(schema);
      const isOptional = "default" in schema;
      return {
        name: option,
        default: isOptional ? formatDefault(value) : null,
        help: v.getDescription(schema) ?? "",
      };
    });
  }

  /**
   * Makes the object that an expression of one term describes.
   *
   * @throws DistilleryError `BAD_ARGUMENT` that names the argument, what came and what was expected, with the nearest
   * name for an unknown one.
   */
  resolve(expression: Expression, context: C, options: ResolveOptions = {}): T {
    return this.#create(this.#expectOne(expression, options.argument ?? this.kind), context, options);
  }

  /** Makes the object of each term of a sum, with the term's weight. */
  resolveSum(expression: Expression, context: C, options: ResolveOptions = {}): [weight: Weight, value: T][] {
    const terms = parseExpression(expression, options.argument ?? this.kind);
    return terms.map((term) => [term.weight, this.#create(term, context, options)]);
  }

  /**
   * The same expression with every option by name and every default written out, so that it means the same when a
   * default changes. A module of the user's own keeps its arguments as they are.
   */
  canonical(expression: Expression, { argument = this.kind }: { argument?: string } = {}): string {
    const terms = parseExpression(expression, argument).map((term): Term => {
      if (isModulePath(term.name)) return term;
      const options = Object.entries(this.#options(this.get(term.name, argument), term, argument));
      return { ...term, positional: [], args: Object.fromEntries(options.filter(([, value]) => value !== undefined)) };
    });
    return formatExpression(terms);
  }

  /** What is wrong with an expression, or null. Makes nothing and imports no module. */
  issueOf(expression: unknown, { sum = false }: { sum?: boolean } = {}): string | null {
    const argument = "";
    try {
      if (!sum) this.#expectOne(expression, argument);
      this.canonical(expression as Expression, { argument });
      return null;
    } catch (error) {
      if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") throw error;
      return error.message.replace(/^: /, "");
    }
  }

  #expectOne(expression: unknown, argument: string): Term {
    const [term, ...more] = parseExpression(expression, argument);
    if (more.length === 0 && term.weight === 1) return term;
    if (Array.isArray(expression)) {
      const text = `expected one ${this.kind}, got a list of ${expression.length}`;
      throw argumentError(argument, text);
    }
    const text = `expected one ${this.kind}, without a weight or a sum, got ${show(formatExpression([term, ...more]))}`;
    throw argumentError(argument, text);
  }

  #create(term: Term, context: C, { argument = this.kind, modules }: ResolveOptions): T {
    if (isModulePath(term.name)) return this.#createOwn(term, context, argument, modules);
    const entry = this.get(term.name, argument);
    const options = this.#options(entry, term, argument);
    try {
      return entry.create(options, context);
    } catch (error) {
      throw placed(error, entry, argument);
    }
  }

  #options(entry: Entry<T, C>, term: Term, argument: string): Record<string, unknown> {
    const names = Object.keys(entry.options);
    const place = `${argument}: ${term.name}`;
    if (term.positional.length > names.length) {
      const text = `expected at most ${names.length} arguments, got ${term.positional.length}`;
      throw argumentError(place, text);
    }
    const twice = names.slice(0, term.positional.length).find((name) => Object.hasOwn(term.args, name));
    if (twice !== undefined) {
      throw argumentError(place, `expected ${twice} once, got it by its place and by its name`);
    }
    const given = { ...Object.fromEntries(term.positional.map((value, i) => [names[i], value])), ...term.args };
    const schema = v.strictObject(entry.options);
    const issues = issuesOf(schema, given);
    if (issues.length === 0) return v.parse(schema, given);
    const texts = issues.map((issue) => {
      const { path, text } = issue;
      const isMissing = path.length === 1 && !Object.hasOwn(given, path[0]);
      return `${placeOf(issue)}: ${isMissing ? "needed" : text.replace("unknown option", "unknown argument")}`;
    });
    const known = names.length === 0 ? "it takes no arguments" : `it takes ${names.join(", ")}`;
    const advice = issues.some(({ text }) => text.startsWith("unknown option")) ? ` (${known})` : "";
    throw argumentError(place, `${texts.join("; ")}${advice}`);
  }

  #createOwn(term: Term, context: C, argument: string, modules: UserModules | undefined): T {
    const userDefined = this.#userDefined;
    const place = `${argument}: ${term.name}`;
    if (userDefined === null) {
      const text = `a ${this.kind} can't be a module of your own: expected one of ${this.names.join(", ")}`;
      throw argumentError(place, text);
    }
    if (term.positional.length > 0) {
      throw argumentError(place, `expected arguments by name, as (size=${show(term.positional[0])})`);
    }
    if (modules !== undefined && typeof modules?.has !== "function") {
      throw badArgument("modules", "what importModules gives", modules);
    }
    if (modules === undefined || !modules.has(term.name)) {
      const text = "a module of your own runs only if you name it yourself: import it first with importModules";
      throw argumentError(place, text);
    }
    const given = typeof context === "object" && context !== null ? context : {};
    const clash = Object.keys(term.args).find((name) => Object.hasOwn(given, name));
    if (clash !== undefined) {
      throw argumentError(place, `${clash}: the library gives it, it can't be an argument`);
    }
    const exported = modules.get(term.name);
    const made = fromOwnCode(place, userDefined.advice, () =>
      isEntry<T, C>(exported)
        ? exported.create(this.#options(exported, term, argument), context)
        : // Copies getters as such: some values are computed only when they are read.
          construct(exported, Object.defineProperties({ ...term.args }, Object.getOwnPropertyDescriptors(given))),
    );
    const value = userDefined.convert === undefined ? made : userDefined.convert(made, context, place);
    if (userDefined.accepts(value)) return value;
    throw badArgument(place, userDefined.expected, value);
  }
}

/** The error of an entry about itself or one of its options, with the argument's name before it. */
function placed(error: unknown, { name, options }: { name: string; options: object }, argument: string): unknown {
  if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") return error;
  const [what = ""] = error.argument?.split(": ") ?? [];
  if (what === argument || (what !== name && !Object.hasOwn(options, what))) return error;
  const place = what === name ? argument : `${argument}: ${name}`;
  return argumentError(place, error.message, { cause: error });
}

function isEntry<T, C>(value: unknown): value is Entry<T, C> {
  return typeof value === "object" && value !== null && "create" in value && "options" in value;
}

/** Runs the user's code; its errors are reported as those of the module that the argument names. */
function fromOwnCode<V>(place: string, advice: string | undefined, body: () => V): V {
  try {
    return body();
  } catch (thrown) {
    const error = fromUserCode(thrown);
    if (error === null) throw thrown;
    const isCalledWrongly = advice !== undefined && (thrown as Error | null)?.name === "TypeError";
    throw argumentError(place, isCalledWrongly ? `${error.message}: ${advice}` : error.message, { cause: thrown });
  }
}

/** A class is constructed and a function called, with one object; any other value is taken as it is. */
function construct(exported: unknown, args: object): unknown {
  if (typeof exported !== "function") return exported;
  if (/^class\b/.test(Function.prototype.toString.call(exported))) {
    return new (exported as new (args: object) => unknown)(args);
  }
  return exported(args);
}

function formatDefault(value: unknown): string {
  return value === undefined
    ? ""
    : formatExpression([{ weight: 1, name: "x", positional: [value], args: {} }]).slice(2, -1);
}
