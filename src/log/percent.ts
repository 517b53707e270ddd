/** 0.9018 as 90.18%. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}
