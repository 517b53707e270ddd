import { h } from "../../page/dom.js";

/** The fewest sections that are worth a list of them. */
const FEWEST = 3;

/** Links to the sections of a page, below its first part; nothing on a short page. */
export function addContents(main: HTMLElement): void {
  const titles = Array.from(main.querySelectorAll<HTMLElement>(":scope > section > h2"));
  if (titles.length < FEWEST) return;
  const links = titles.map((title) => {
    const link = h("a", { href: `#${title.id}` }, title.textContent);
    // Does not change the address: a report opened from a disk or inside another page keeps its own.
    link.addEventListener("click", (event) => {
      event.preventDefault();
      title.tabIndex = -1;
      title.scrollIntoView();
      title.focus({ preventScroll: true });
    });
    return h("li", {}, link);
  });
  const nav = h("nav", { class: "contents", "aria-label": "Contents" }, h("ul", {}, ...links));
  main.querySelector("header")?.after(nav);
}

/** The list follows the reader: the part that is in sight is marked. */
export function markCurrent(main: HTMLElement): void {
  const links = new Map(
    Array.from(main.querySelectorAll<HTMLAnchorElement>(".contents a"), (link) => [link.hash.slice(1), link]),
  );
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const link = links.get(target.getAttribute("aria-labelledby") ?? "");
        if (isIntersecting) link?.setAttribute("aria-current", "true");
        else link?.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-20% 0px -60%" },
  );
  for (const section of main.querySelectorAll(":scope > section")) observer.observe(section);
}
