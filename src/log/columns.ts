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

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** The columns that a text takes: wide characters of East Asia and emoji two each. */
export function columns(text: string): number {
  return [...text].reduce((sum, letter) => sum + (WIDE.test(letter) ? 2 : 1), 0);
}

/** As wide as the largest number will be, so that the line does not shift. */
export function padded(value: number, largest: number): string {
  return String(value).padStart(String(largest).length);
}
