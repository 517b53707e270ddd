/** The flag of an option: `--batch-size` for `batchSize`, `--no-shuffle` for one that is false. */
export function flagOf(option: string, value?: unknown): string {
  const name = option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return value === false ? `--no-${name}` : `--${name}`;
}

/** Arguments of commands that have no flag. */
const POSITIONAL: readonly string[] = ["file", "files", "name", "kind"];

/**
 * The flag, or flags, that gave an argument: `--label-column` for `labelColumn`, `--augment crop` for `crop`. Null if
 * no flag gave it.
 */
export function namedByFlag(argument: string, flags: Readonly<Record<string, unknown>>): string | null {
  const [first = "", ...more] = argument.split(": ");
  const all = first.split(", ");
  const rest = more.map((part) => `: ${part}`).join("");
  if (all.length > 1 && all.some((name) => Object.hasOwn(flags, name)))
    return all.map((name) => flagOf(name, flags[name])).join(", ") + rest;
  const [, option = "", path = ""] = /^(\w+)(.*)$/.exec(first) ?? [];
  const isColumn = option === "teacher" && !Object.hasOwn(flags, option) && Object.hasOwn(flags, "teacherColumn");
  const name = isColumn ? "teacherColumn" : option;
  if (Object.hasOwn(flags, name)) {
    return POSITIONAL.includes(name)
      ? argument
      : `${flagOf(name, flags[name])}${path.replaceAll(/\[\d+\]/g, "")}${rest}`;
  }
  const { augment } = flags;
  if (typeof augment !== "object" || augment === null) return null;
  // `dataset` is the argument of `augment`.
  if (name === "dataset") return flagOf("augment") + rest;
  return Object.hasOwn(augment, name) ? `${flagOf("augment")} ${first}${rest}` : null;
}
