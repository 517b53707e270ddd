/** The content of an element; strings become text nodes, never markup. */
export type Content = Node | string | null | undefined | false;

type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** An element with attributes and content; `--name` sets a custom property of its style. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...content: readonly Content[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("--")) element.style.setProperty(name, String(value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...content.filter((part): part is Node | string => part instanceof Node || typeof part === "string"));
  return element;
}

let ids = 0;

/** An id that no other element has. */
export function newId(prefix: string): string {
  ids += 1;
  return `${prefix}-${ids}`;
}
