import { h } from "../../page/dom.js";

/** Buttons that save a figure's numbers as CSV and its drawing as SVG; null if it has neither. */
export function downloads(title: string, { table, image }: { table: (() => HTMLElement) | null; image?: HTMLElement }) {
  const buttons = [
    table && saveButton("Save CSV", `${fileName(title)}.csv`, "text/csv", () => csvOf(table())),
    image?.classList.contains("plot") &&
      saveButton("Save SVG", `${fileName(title)}.svg`, "image/svg+xml", () => svgOf(image)),
  ].filter((button) => button instanceof HTMLElement);
  return buttons.length === 0 ? null : h("div", { class: "downloads" }, ...buttons);
}

function saveButton(label: string, name: string, type: string, content: () => string): HTMLElement {
  const button = h("button", { type: "button", "aria-label": `${label}: ${name}` }, label);
  button.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([content()], { type }));
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  return button;
}

function fileName(title: string): string {
  return (
    title
      .toLowerCase()
      .replaceAll(/[^a-z\d]+/g, "-")
      .replaceAll(/^-|-$/g, "") || "figure"
  );
}

/** The cells of a table (RFC 4180). */
function csvOf(element: HTMLElement): string {
  const rows = Array.from(element.querySelectorAll("tr"), (row) =>
    Array.from(row.children, (cell) => {
      const text = (cell.textContent ?? "").replaceAll("\u2212", "-").replaceAll(/\s+/g, " ").trim();
      return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    }).join(","),
  );
  return `${rows.join("\r\n")}\r\n`;
}

/** The drawing by itself: the colours of the page's theme in place of their names. */
function svgOf(image: HTMLElement): string {
  const svg = image.querySelector("svg")?.cloneNode(true) as SVGElement | undefined;
  if (svg === undefined) return "";
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const probe = h("span", { hidden: true });
  image.append(probe);
  const colours = new Map<string, string>();
  const colourOf = (name: string) => {
    probe.style.color = `var(${name})`;
    colours.set(name, colours.get(name) ?? getComputedStyle(probe).color);
    return colours.get(name) as string;
  };
  svg.style.backgroundColor = colourOf("--card");
  const text = new XMLSerializer().serializeToString(svg);
  const whole = text.replaceAll(/var\((--[\w-]+)\)/g, (_, name: string) => colourOf(name));
  probe.remove();
  return whole;
}
