/** The flag of an option: `--batch-size` for `batchSize`, `--no-shuffle` for one that is false. */
export function flagOf(option: string, value?: unknown): string {
  const name = option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return value === false ? `--no-${name}` : `--${name}`;
}

/** Arguments of commands that are no flags. */
const POSITIONAL: readonly string[] = ["file", "files", "name", "kind"];

/**
 * An error's message that begins with an option, or with several, under the flags that gave them: `--label-column: expected a column`
 * for `labelColumn: ...`, `--augment crop: ...` for `crop: ...`. Null for one that begins with none of them.
 */
export function namedByFlag(message: string, flags: Readonly<Record<string, unknown>>): string | null {
  const [names = ""] = /^\w+(, \w+)*(?=: )/.exec(message) ?? [];
  const all = names.split(", ");
  if (all.length > 1 && all.some((name) => Object.hasOwn(flags, name)))
    return `${all.map((name) => flagOf(name, flags[name])).join(", ")}${message.slice(names.length)}`;
  const [name = "", path = ""] = /^(\w+)((?:\[\d+\]|\.\w+)*)(?=: )/.exec(message)?.slice(1) ?? [];
  const rest = message.slice(name.length + path.length);
  if (name !== "" && Object.hasOwn(flags, name)) {
    return POSITIONAL.includes(name)
      ? message
      : `${flagOf(name, flags[name])}${path.replaceAll(/\[\d+\]/g, "")}${rest}`;
  }
  const { augment } = flags;
  if (typeof augment !== "object" || augment === null) return null;
  // What is changed is called by the function that changes it.
  if (name === "dataset") return `${flagOf("augment")}${rest}`;
  return Object.hasOwn(augment, name) ? `${flagOf("augment")} ${name}${path}${rest}` : null;
}
