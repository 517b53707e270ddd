/** Options without those of some names. */
export function without<T extends object>(options: T, names: readonly string[]): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name))) as Partial<T>;
}
