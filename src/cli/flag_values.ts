import { show } from "../checks.js";
import { UsageError } from "./error_boundary.js";

/** A decimal number, or the text itself if it is not one. */
export function toNumber(text: string): number | string {
  // JavaScript also reads 0x10, 0o17 and 0b11.
  return text.trim() === "" || Number.isNaN(Number(text)) || /^\s*0[xob]/i.test(text) ? text : Number(text);
}

/** Stands for null while commander parses, because it takes null for a missing value. */
export const NONE = Symbol("none");

/** A number, or `none`. */
export function toNumberOrNone(text: string): number | string | typeof NONE {
  return text === "none" ? NONE : toNumber(text);
}

/** `a,b,c` as texts. */
export function toTexts(text: string): string[] {
  return text.split(",");
}

/** `1,2,4` as numbers. */
export function toNumbers(text: string): unknown {
  return text.split(",").map(toNumber);
}

/** Collects the values of a flag that may be repeated: one value, or a list. */
export function toList(text: string, before: unknown): unknown {
  return before === undefined ? text : [before, text].flat();
}

/** `32`, or `48x64`: height and width. */
export function toSides(text: string): unknown {
  return /^\d+x\d+$/.test(text) ? text.split("x").map(Number) : toNumber(text);
}

/** `5` or `5epochs` means epochs, `100steps` steps. */
export function toInterval(text: string): unknown {
  const [, count = text, unit] = /^(.*?) ?(epoch|step)s?$/.exec(text) ?? [];
  return unit === "step" ? { steps: toNumber(count) } : toNumber(count);
}

/** `shift=2,flip=0.5` as an object: what `--augment` takes. */
export function toChanges(text: string): unknown {
  const parts = text.split(",").map((part) => part.split("="));
  if (parts.some(({ length }) => length !== 2)) {
    throw new UsageError(`--augment: expected each change with its number, as shift=2,flip=0.5, got ${show(text)}`);
  }
  const names = parts.map(([name = ""]) => name.trim());
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new UsageError(`--augment: ${show(twice)} is given twice: give it once`);
  return Object.fromEntries(parts.map(([, value = ""], i) => [names[i], toNumber(value)]));
}
