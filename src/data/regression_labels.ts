/** More numbers than these as labels are classes only if that is certain. */
export const MANY = 20;
/** The rows that a class of many has at least, on average, unless its numbers follow each other. */
const ROWS_EACH = 10;

/**
 * Whether numbers as labels, each of these once and ascending, are rather the target of a regression than classes:
 * there are many, and they have fractions, or they do not follow each other and have few rows each; or there are many and nobody said that they are
 * labels.
 */
export function looksLikeRegression(labels: readonly number[], rows: number, isNamed: boolean): boolean {
  const fractions = labels.filter((label) => !Number.isInteger(label)).length;
  // A few among whole numbers are rather mistakes.
  if (fractions > 0) return labels.length > MANY && isNamed;
  const follow = labels[labels.length - 1] - labels[0] + 1 === labels.length;
  return labels.length > MANY && (!isNamed || (!follow && rows < ROWS_EACH * labels.length));
}

/** What is wrong with such labels. */
export function regressionText(labels: readonly number[], rows: number): string {
  return `${labels.length} different numbers in ${rows} rows, as the target of a regression`;
}
