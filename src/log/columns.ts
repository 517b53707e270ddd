// Texts by the columns that they take on a terminal.
import { printable } from "./printable.js";

/** The text on one line, cut to `width` columns. */
export function cut(text: string, width: number): string {
  const plain = printable(text.replaceAll("\n", " "));
  if (columns(plain) <= width) return plain;
  const letters: string[] = [];
  let left = width - 1;
  for (const letter of plain) {
    left -= columns(letter);
    if (left < 0) break;
    letters.push(letter);
  }
  return width < 1 ? "" : `${letters.join("")}…`;
}

/** The columns that a text takes at most: characters from the Hangul block on may be two wide. */
export function columns(text: string): number {
  return [...text].reduce((sum, letter) => sum + (letter < "\u1100" || letter === "…" ? 1 : 2), 0);
}

/** As wide as the largest number will be, so that the line does not shift. */
export function padded(value: number, largest: number): string {
  return String(value).padStart(String(largest).length);
}
