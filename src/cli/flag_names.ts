/** The flag of an option: `--batch-size` for `batchSize`, `--no-shuffle` for one that is false. */
export function flagOf(option: string, value?: unknown): string {
  const name = option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return value === false ? `--no-${name}` : `--${name}`;
}

/** Arguments of commands that are no flags. */
const POSITIONAL: readonly string[] = ["file", "files", "name", "kind"];

/**
 * An argument by the flag that gave it, or several by theirs: `--label-column` for `labelColumn`, `--augment crop` for
 * `crop`. Null for one that no flag gave.
 */
export function namedByFlag(argument: string, flags: Readonly<Record<string, unknown>>): string | null {
  const [first = "", ...more] = argument.split(": ");
  const all = first.split(", ");
  const rest = more.map((part) => `: ${part}`).join("");
  if (all.length > 1 && all.some((name) => Object.hasOwn(flags, name)))
    return all.map((name) => flagOf(name, flags[name])).join(", ") + rest;
  const [, name = "", path = ""] = /^(\w+)(.*)$/.exec(first) ?? [];
  if (Object.hasOwn(flags, name)) {
    return POSITIONAL.includes(name)
      ? argument
      : `${flagOf(name, flags[name])}${path.replaceAll(/\[\d+\]/g, "")}${rest}`;
  }
  const { augment } = flags;
  if (typeof augment !== "object" || augment === null) return null;
  // What is changed is called by the function that changes it.
  if (name === "dataset") return flagOf("augment") + rest;
  return Object.hasOwn(augment, name) ? `${flagOf("augment")} ${first}${rest}` : null;
}
