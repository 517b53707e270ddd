/** A whole number with commas between its thousands. Not `toLocaleString`, whose first call loads tables for 10 ms. */
export function showCount(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}

/** A size in kB, MB or GB (powers of ten), with `digits` decimals except for kB: 2.1 kB, 2.14 MB. */
export function showBytes(bytes: number, digits = 2): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(digits)} MB` : `${(bytes / 1e9).toFixed(digits)} GB`;
}

/** 0.9018 as 90.18%. Values that are no numbers, which are null in JSON, as "unknown". */
export function showPercent(fraction: number, digits = 2): string {
  return Number.isFinite(fraction) ? `${(100 * fraction).toFixed(digits)}%` : "unknown";
}

/** The text with its first letter in upper case. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
