/** The flag of an option: `--batch-size` for `batchSize`. */
export function flagOf(option: string): string {
  return `--${option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Arguments of commands that are no flags. */
const POSITIONAL: readonly string[] = ["file", "files", "name", "kind"];

/**
 * An error's message that begins with an option, under the flag that gave it: `--label-column: expected a column` for
 * `labelColumn: ...`, `--augment crop: ...` for `crop: ...`. Null for one that begins with none of them.
 */
export function namedByFlag(message: string, flags: Readonly<Record<string, unknown>>): string | null {
  const [name = "", path = ""] = /^(\w+)((?:\[\d+\]|\.\w+)*)(?=: )/.exec(message)?.slice(1) ?? [];
  const rest = message.slice(name.length + path.length);
  if (name !== "" && Object.hasOwn(flags, name) && !POSITIONAL.includes(name))
    return `${flagOf(name)}${path.replaceAll(/\[\d+\]/g, "")}${rest}`;
  const { augment } = flags;
  if (typeof augment !== "object" || augment === null) return null;
  // What is changed is called by the function that changes it.
  if (name === "dataset") return `${flagOf("augment")}${rest}`;
  return Object.hasOwn(augment, name) ? `${flagOf("augment")} ${name}${path}${rest}` : null;
}
