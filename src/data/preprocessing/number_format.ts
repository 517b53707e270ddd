import { NUMBER } from "../../registry/index.js";

/** How the numbers of a column are written, if it is not as 1234.5. */
export interface NumberFormat {
  readonly decimal: "." | ",";
  /** What separates thousands; empty: nothing. */
  readonly group: "" | "." | "," | " " | "'";
  /** The sign that each number has: `%`, or a currency's; empty: none. */
  readonly unit: string;
}

/** The finite number that a text without spaces around it is; null if it is none. Not JavaScript's `0x10` or ``. */
export function parseNumber(text: string): number | null {
  const short = shortNumber(text);
  if (!Number.isNaN(short)) return short;
  if (!NUMBER.test(text)) return null;
  const x = Number(text);
  return Number.isFinite(x) ? x : null;
}

/**
 * The number that up to 15 digits are, with a minus and a point or without; NaN for other texts. Most cells of large
 * tables, faster than the pattern. The digits and the power of ten are exact, so their quotient is the nearest number.
 */
function shortNumber(text: string): number {
  if (text.length > 17) return Number.NaN;
  const isNegative = text.charCodeAt(0) === 45;
  let whole = 0;
  let digits = 0;
  let scale = 0;
  for (let i = isNegative ? 1 : 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46 && scale === 0) scale = 1;
    else if (code >= 48 && code <= 57) {
      whole = 10 * whole + code - 48;
      digits++;
      scale *= 10;
    } else return Number.NaN;
  }
  if (digits === 0 || digits > 15) return Number.NaN;
  const x = scale === 0 ? whole : whole / scale;
  return isNegative ? -x : x;
}

/** Decimal marks and separators, in the order in which one is preferred. */
const STYLES = ([".", ","] as const).flatMap((decimal) =>
  (["", decimal === "." ? "," : ".", " ", "'"] as const).map((group) => ({ decimal, group })),
);
const PATTERNS = STYLES.map(({ decimal, group }) => {
  const [point, separator] = [`\\${decimal}`, group === "" ? "" : `[${group === " " ? " \\u00a0\\u202f" : group}]`];
  const grouped = group === "" ? "" : `|[1-9]\\d{0,2}(?:${separator}\\d{3})+(?:${point}\\d*)?`;
  return new RegExp(`^(?:(?:\\d+(?:${point}\\d*)?|${point}\\d+)(?:[eE][+-]?[0-2]?\\d{1,2})?${grouped})$`);
});
/** The styles with a decimal point, then those with a decimal comma, as bits. */
const [POINT, COMMA] = [0b00001111, 0b11110000];
const SIGNED = /^([+-]?)(\p{Sc})?\s?([+-]?)([\d.,' \u00a0\u202f]*\d[.,]?(?:[eE][+-]?\d+)?)\s?([%\p{Sc}])?$/u;

/** A number with its sign and unit taken off; null if it is no number in any style. */
function partsOf(text: string): { sign: number; body: string; unit: string } | null {
  const [, first = "", before = "", second = "", body, after = ""] = SIGNED.exec(text) ?? [];
  if (body === undefined || (first !== "" && second !== "") || (before !== "" && after !== "")) return null;
  return { sign: first + second === "-" ? -1 : 1, body, unit: before + after };
}

function stylesOf(body: string): number {
  return PATTERNS.reduce((bits, pattern, i) => (pattern.test(body) ? bits | (1 << i) : bits), 0);
}

/** The number that a text in a format is; null if it is none. */
export function parseFormatted(text: string, { decimal, group, unit }: NumberFormat): number | null {
  const parts = partsOf(text);
  const style = STYLES.findIndex((one) => one.decimal === decimal && one.group === group);
  if (parts === null || parts.unit !== unit || !PATTERNS[style]?.test(parts.body)) return null;
  const kept = parts.body.replaceAll(decimal === "." ? /[^\deE.+-]/g : /[^\deE,+-]/g, "").replace(",", ".");
  return parts.sign * Number(kept);
}

/** A number of JSON as a cell: 1.101 as 1.1010, which cannot be 1101. */
export function numberText(x: number): string {
  const text = String(x);
  return /^-?[1-9]\d{0,2}\.\d{3}$/.test(text) ? `${text}0` : text;
}

/**
 * How other languages read numbers in a format: `parts` splits a text into signs, units and body, which `pattern`
 * matches.
 */
export function formatPattern({ decimal, group }: NumberFormat): { parts: RegExp; pattern: RegExp } {
  const style = STYLES.findIndex((one) => one.decimal === decimal && one.group === group);
  return { parts: SIGNED, pattern: PATTERNS[style] };
}

/** Whether a text is a number in any style: `1.5`, `1,5`, `1.234,5`, `12%`, `$3`. */
export function isNumberLike(text: string): boolean {
  const parts = partsOf(text);
  return parseNumber(text) !== null || (parts !== null && stylesOf(parts.body) !== 0);
}

/** A cell that does not go with those before it. */
export interface OddCell {
  readonly cell: string;
  readonly line: number;
}

/** Finds out how the numbers of a column are written, from all of its cells. */
export class FormatFinder {
  /** The styles that all cells so far can be in. */
  #styles = POINT | COMMA;
  #unit: string | null = null;
  /** Whether a cell so far has a point or comma, which styles read differently. */
  #marked: OddCell | null = null;
  #odd: OddCell | null = null;
  /** Whether a cell so far has no point and no comma. */
  #hasWhole = false;
  /** Whether all cells so far are plain numbers. */
  isPlain = true;

  /** A plain number, as {@link parseNumber} reads it. */
  addPlain(cell: string, line: number): void {
    if (this.#unit === null) this.#unit = "";
    else if (this.#unit !== "") this.#odd ??= { cell, line };
    // This is known for most cells: the column has decimal points, so this cell tells nothing new.
    if ((this.#styles & COMMA) === 0) return;
    if (!cell.includes(".")) {
      this.#hasWhole = true;
      return;
    }
    this.#marked ??= { cell, line };
    this.#narrow(/[eE]/.test(cell) ? POINT : stylesOf(cell.replace(/^[+-]/, "")), { cell, line });
  }

  /** Any other text; false if it is no number in any style. */
  addForeign(cell: string, line: number): boolean {
    const parts = partsOf(cell);
    const styles = parts === null ? 0 : stylesOf(parts.body);
    if (parts === null || styles === 0) return false;
    this.isPlain = false;
    if (this.#unit === null) this.#unit = parts.unit;
    else if (this.#unit !== parts.unit) this.#odd ??= { cell, line };
    if (/[.,]/.test(parts.body)) this.#marked ??= { cell, line };
    this.#narrow(styles, { cell, line });
    return true;
  }

  /** The decimal mark of this column if its cells tell. */
  get decimal(): "." | "," | null {
    if (this.#marked === null || this.#odd !== null) return null;
    if ((this.#styles & COMMA) === 0) return ".";
    return (this.#styles & POINT) === 0 ? "," : null;
  }

  /**
   * The format of all cells, null if they are plain numbers; or the problem with one. `marks`: the decimal marks of the
   * other columns, which decide whether 1,234 is 1234 if its own column does not tell.
   */
  find(marks: ReadonlySet<"." | ",">): NumberFormat | null | (OddCell & { problem: string }) {
    if (this.#odd !== null) return { ...this.#odd, problem: "is not written as the numbers before it" };
    let styles = this.#styles;
    if (this.#marked !== null && this.decimal === null) {
      const [mark, ...others] = marks;
      // Without other evidence 1.234 is a decimal number, as in other programs, unless 999 in its column suggests
      // thousands.
      const isUsual = mark === undefined && this.isPlain && !this.#hasWhole;
      if ((mark === undefined && !isUsual) || others.length > 0) {
        const digits = this.#marked.cell.replaceAll(/\D/g, "");
        return { ...this.#marked, problem: `could be ${digits} or have decimals: no other cell tells which` };
      }
      styles &= isUsual || mark === "." ? POINT : COMMA;
    }
    const best = STYLES.find((_, i) => (styles & (1 << i)) !== 0) ?? STYLES[0];
    const unit = this.#unit ?? "";
    return best.decimal === "." && best.group === "" && unit === "" ? null : { ...best, unit };
  }

  #narrow(styles: number, odd: OddCell): void {
    if ((this.#styles & styles) === 0) this.#odd ??= odd;
    else this.#styles &= styles;
  }
}

/** What a format is called: `decimal commas`, `thousands separated by "." and decimal commas, in %`. */
export function formatText({ decimal, group, unit }: NumberFormat): string {
  const parts = [
    ...(group === "" ? [] : [`thousands separated by ${JSON.stringify(group)}`]),
    ...(decimal === "," ? ["decimal commas"] : []),
    ...(unit === "" ? [] : [`the sign ${unit}`]),
  ];
  return parts.join(", ");
}
