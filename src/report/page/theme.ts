import { choice } from "./choice.js";

const THEMES = ["auto", "light", "dark"] as const;

/** Light, dark, or as the system has it. */
export function themeSwitch(): HTMLElement {
  const names = THEMES.map((name) => name[0]?.toUpperCase() + name.slice(1));
  return choice("Colours", names, (i) => {
    document.documentElement.dataset.theme = THEMES[i];
  });
}
