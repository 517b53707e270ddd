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

/** The cells of a table (RFC 4180): percents as fractions, a standard deviation in a column of its own. */
function csvOf(element: HTMLElement): string {
  const rows = Array.from(element.querySelectorAll("tr"), (row) => Array.from(row.children, valuesOf));
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const [head, ...body] = rows.map((row) =>
    row.flatMap((cell, i) => [...cell, ...(cell.length < widths[i] ? [""] : [])]),
  );
  const names = head.map((name, i) => (name === "" && i > 0 ? `${head[i - 1]} (standard deviation)` : name));
  const quoted = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [names, ...body].map((row) => `${row.map(quoted).join(",")}\r\n`).join("");
}

/** What a cell says: one value, or a mean and its standard deviation. */
function valuesOf(cell: Element): string[] {
  const value = cell.getAttribute("data-value");
  if (value !== null) return [value];
  const text = (cell.textContent ?? "").replaceAll("\u2212", "-").replaceAll(/\s+/g, " ").trim();
  if (!cell.classList.contains("number") || cell.getAttribute("scope") === "col") return [text];
  const [mean, ...deviation] = text.split(" \u00b1 ");
  const fraction = (percent: string) => String(Number((Number(percent) / 100).toPrecision(12)));
  if (/^-?[\d.]+%$/.test(mean)) return [fraction(mean.slice(0, -1)), ...deviation.map(fraction)];
  return [/^[\d,]+$/.test(mean) ? mean.replaceAll(",", "") : mean, ...deviation];
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
