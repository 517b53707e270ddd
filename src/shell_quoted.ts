/** A word of a command as a POSIX shell reads it: quoted if it has other characters than plain paths have. */
export function shellQuoted(text: string): string {
  return /^[\w./=,:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
