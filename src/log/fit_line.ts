/** A part of a line in its forms, the longest first; the empty one leaves it out. */
export type Forms = readonly string[];

/** Gives a bar's two pieces their colours. */
export type Paint = (done: string, left: string) => string;

const BAR = { least: 4, most: 30 } as const;
const GAPS: Forms = [" | ", " "];

/**
 * A line of at most `width` columns: a bar of the share that is done, and the parts in their order. Where that is too
 * long, they take their next forms one after the other, as `shorten` names them ("gap" is what stands between two parts).
 */
export function fitLine(
  share: number,
  parts: Readonly<Record<string, Forms>>,
  shorten: readonly string[],
  width: number,
  paint: Paint,
): string {
  const forms: Record<string, Forms> = { ...parts, gap: GAPS };
  const joined = () => {
    const shown = Object.keys(parts).map((name) => forms[name]?.[0] ?? "");
    return shown.filter((part) => part !== "").join(forms.gap?.[0]);
  };
  for (const name of shorten) {
    if (BAR.least + 1 + columns(joined()) <= width) break;
    forms[name] = forms[name]?.slice(1) ?? [];
  }
  const text = joined();
  const length = Math.min(BAR.most, width - columns(text) - 1);
  if (length < 1) return cut(text, width);
  const done = Math.floor(length * Math.min(1, Math.max(0, share)));
  return `${paint("━".repeat(done), "─".repeat(length - done))} ${text}`;
}

/** The text on one line, and no longer than so many columns. */
export function cut(text: string, width: number): string {
  const plain = text.replaceAll(/\p{Cc}+/gu, " ");
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

/** The columns that a text takes at most: signs from the Hangul block on may be two wide. */
function columns(text: string): number {
  return [...text].reduce((sum, letter) => sum + (letter < "\u1100" || letter === "…" ? 1 : 2), 0);
}
