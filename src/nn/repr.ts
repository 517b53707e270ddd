/** What the representation of a module is made of. */
interface Representable {
  extraRepr(): string;
  namedChildren(): [string, Representable][];
}

/**
 * The representation of a module, as Python's `repr(module)`; an array of modules is shown as a `ModuleList`, an object
 * of them as a `ModuleDict`.
 */
export function repr(module: Representable): string {
  const extra = module.extraRepr();
  const children = childLines(module);
  if (children.length === 0) return `${module.constructor.name}(${extra})`;
  return block(module.constructor.name, extra === "" ? children : [extra, ...children]);
}

function childLines(module: Representable): string[] {
  const lists = new Map<string, [index: string, text: string][]>();
  const lines = new Map<string, string>();
  for (const [name, child] of module.namedChildren()) {
    const [list, index] = splitAtDot(name);
    const text = repr(child);
    if (index !== null) lists.set(list, [...(lists.get(list) ?? []), [index, text]]);
    lines.set(list, index === null ? text : listBlock(lists.get(list) ?? []));
  }
  return [...lines].map(([name, text]) => `(${name}): ${text}`);
}

/** `layers.0` is item 0 of the array `layers`. */
function splitAtDot(name: string): [string, string | null] {
  const dot = name.lastIndexOf(".");
  return dot < 0 ? [name, null] : [name.slice(0, dot), name.slice(dot + 1)];
}

function listBlock(items: readonly [index: string, text: string][]): string {
  const isList = items.every(([index]) => /^\d+$/.test(index));
  return isList
    ? block("ModuleList", foldEqual(items))
    : block(
        "ModuleDict",
        items.map(([name, text]) => `(${name}): ${text}`),
      );
}

/** Equal neighbours on one line: `(0-2): 3 x Linear(...)`. */
function foldEqual(items: readonly [index: string, text: string][]): string[] {
  const runs: { first: string; last: string; count: number; text: string }[] = [];
  for (const [index, text] of items) {
    const run = runs.at(-1);
    if (run?.text === text) Object.assign(run, { last: index, count: run.count + 1 });
    else runs.push({ first: index, last: index, count: 1, text });
  }
  return runs.map(({ first, last, count, text }) =>
    count === 1 ? `(${first}): ${text}` : `(${first}-${last}): ${count} x ${text}`,
  );
}

function block(name: string, lines: readonly string[]): string {
  return `${name}(\n${lines.join("\n").replaceAll(/^/gm, "  ")}\n)`;
}
