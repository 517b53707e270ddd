import { type Content, h } from "../../page/dom.js";
import { capitalized } from "../../show.js";
import type { Report } from "../report_data.js";
import { choice } from "./choice.js";

const THEMES = ["auto", "light", "dark"] as const;

/** A figure that counts, large. */
export interface Tile {
  name: string;
  value: string;
  note?: string;
  colour?: string;
}

/** The top of the page: the verdict, its evidence and the key figures. */
export function hero({ title, verdict }: Report, tiles: readonly Tile[], ...more: readonly Content[]): HTMLElement {
  return h(
    "header",
    { class: `hero ${verdict.answer ?? ""}` },
    masthead(),
    h("p", { class: "kicker" }, title),
    h("h1", {}, verdict.headline),
    verdict.detail === "" ? null : h("p", { class: "detail" }, verdict.detail),
    ...more,
    verdict.caveats === undefined
      ? null
      : h("ul", { class: "caveats" }, ...verdict.caveats.map((text) => h("li", {}, text))),
    tiles.length === 0 ? null : h("dl", { class: "tiles" }, ...tiles.map(tileOf)),
  );
}

/** The name and the switch between themes. */
export function masthead(): HTMLElement {
  return h("div", { class: "masthead" }, h("span", { class: "wordmark" }, "Distillery"), themeSwitch());
}

function tileOf({ name, value, note, colour }: Tile): HTMLElement {
  return h(
    "div",
    { class: "tile", ...(colour && { "--colour": `var(${colour})` }) },
    h("dt", {}, name),
    h("dd", {}, value, note === undefined ? null : h("small", {}, note)),
  );
}

/** A switch between light, dark and the system's theme. */
function themeSwitch(): HTMLElement {
  const names = THEMES.map(capitalized);
  return choice("Colours", names, (i) => {
    document.documentElement.dataset.theme = THEMES[i];
  });
}
