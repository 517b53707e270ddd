import { type Content, h, newId } from "../../page/dom.js";
import { downloads } from "./downloads.js";

interface FigureOptions {
  title: string;
  /** The level of the heading; default 3, that of a section. */
  level?: 2 | 3;
  /** One or two sentences: what it shows, and what it comes to. */
  description: string;
  /** A drawing made by a script; an image to a screen reader. */
  image?: HTMLElement;
  /** Other content: tables, controls. */
  content?: readonly Content[];
  legend?: HTMLElement | null;
  /** The same as a table, made when it is first opened. */
  data?: () => HTMLElement;
  className?: string;
}

/** A figure with its title, its description, and the numbers behind it. */
export function figure(options: FigureOptions): HTMLElement {
  const { title, level = 3, description, image, content = [], legend = null, data, className = "" } = options;
  const [name, words] = [newId("figure"), newId("figure")];
  image?.setAttribute("role", "img");
  image?.setAttribute("aria-labelledby", name);
  image?.setAttribute("aria-describedby", words);
  return h(
    "figure",
    { class: className, "aria-labelledby": name },
    h("figcaption", {}, h(`h${level}`, { id: name }, title), h("p", { id: words, class: "note" }, description)),
    legend,
    image,
    ...content,
    data && disclosed("The numbers", data),
    downloads(title, { table: data ?? tableIn(content), image }),
  );
}

/** The first table of a figure's content. */
function tableIn(content: readonly Content[]): (() => HTMLElement) | null {
  const table = content.find((part) => part instanceof HTMLElement && part.querySelector("table") !== null);
  return table instanceof HTMLElement ? () => table.querySelector("table") as HTMLElement : null;
}

/** Something to unfold, made when it first is. */
export function disclosed(label: string, content: () => HTMLElement): HTMLElement {
  const details = h("details", {}, h("summary", {}, label));
  details.addEventListener("toggle", () => details.append(content()), { once: true });
  return details;
}
