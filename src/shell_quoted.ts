/** A word of a command as a POSIX shell takes it: in quotes if it has other characters than those of plain paths. */
export function shellQuoted(text: string): string {
  return /^[\w./=,:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
