/**
 * What a terminal obeys instead of showing it: control characters, and what is invisible or turns the direction of a
 * text. Joiners stay, which Persian and emoji are written with, and newlines.
 */
const OBEYED =
  /(?!\n)\p{Cc}|\p{Bidi_Control}|\p{Zl}|\p{Zp}|\p{Cs}|(?![\u200c\u200d])(?=\p{Cf})\p{Default_Ignorable_Code_Point}/gu;

/** As nearly every line is: that nothing in it is obeyed is told eight times as fast. */
const PLAIN = /^[\n\x20-\x7e]*$/;

/** A text in which nothing commands the terminal: `\u001b[31m` in place of the sequence. JSON stays the same JSON. */
export function printable(text: string): string {
  return PLAIN.test(text) ? text : text.replaceAll(OBEYED, escaped);
}

/** The same for a part of a line, such as a file's name or a cell: its newlines are shown too. */
export function printableInline(text: string): string {
  return printable(text).replaceAll("\n", "\\n");
}

function escaped(letter: string): string {
  const units = Array.from({ length: letter.length }, (_, i) => letter.charCodeAt(i));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
