/** An object without some of its keys. */
export function without<T extends object>(options: T, names: readonly string[]): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name))) as Partial<T>;
}
