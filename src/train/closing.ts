/**
 * Returns what `body` returns, after calling all of `closers` one after the other, even if it fails. The first error is
 * thrown, and later ones are noted.
 */
export async function closing<T>(
  body: () => Promise<T>,
  closers: readonly (() => unknown)[],
  onNote: (text: string) => void = () => {},
): Promise<T> {
  const errors: unknown[] = [];
  const fail = (error: unknown) => void errors.push(error);
  const result = await body().catch(fail);
  for (const close of closers) await (async () => close())().catch(fail);
  const [first, ...later] = errors;
  for (const error of later) onNote(`warning: ${error instanceof Error ? error.message : String(error)}`);
  if (errors.length > 0) throw first;
  return result as T;
}
