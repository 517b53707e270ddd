const undone: (() => unknown)[] = [];

/**
 * Has something done after the test file that runs. A helper's own `afterAll` is that of one file: several share the
 * modules of a process.
 */
export function afterFile(undo: () => unknown): void {
  undone.push(undo);
}

export async function endFile(): Promise<void> {
  await Promise.all(undone.splice(0).map((undo) => undo()));
}
