import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { KINDS, openedReports, unfolded } from "./support.js";

describeWith(CHROMIUM, "in Chromium", () => {
  const at = openedReports();

  test.each(KINDS)("%s: fits on 360 pixels and on paper", async (kind) => {
    await at.page.setViewportSize({ width: 360, height: 740 });
    await at.open(kind);
    for (const details of await at.page.locator("details:visible").all()) await unfolded(details);
    expect(await wideElements(at.page)).toEqual([]);
    const pdf = await at.page.pdf({ format: "A4" });
    expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
    expect(pdf.length).toBeGreaterThan(10_000);
    // What was shrunk for the paper is back.
    const svg = at.page.locator(".plot svg").first();
    const spare = () => svg.evaluate((e) => (e.parentElement?.parentElement?.clientWidth ?? 0) - e.clientWidth);
    await expect.poll(spare).toBe(0);
  });

  test.each(KINDS)(
    "%s: headings in order, every figure named and described, every chart with its numbers",
    async (kind) => {
      await at.open(kind);
      const levels = await at.page
        .locator("h1, h2, h3, h4")
        .evaluateAll((all) => all.map(({ tagName }) => Number(tagName[1])));
      expect(levels.filter((level) => level === 1)).toHaveLength(1);
      for (const [i, level] of levels.entries()) expect(level - (levels[i - 1] ?? 0)).toBeLessThanOrEqual(1);
      expect(await at.page.getAttribute("html", "lang")).toBe("en");
      expect(await at.page.getAttribute("meta[name=viewport]", "content")).toContain("width=device-width");
      const figures = await at.page.locator("figure").evaluateAll((all) =>
        all.map((figure) => {
          const textOf = (name: string) => {
            const image = figure.querySelector("[role=img]");
            return image === null ? "none" : document.getElementById(image.getAttribute(name) ?? "")?.textContent;
          };
          const numbers = figure.querySelector("details summary, table") !== null;
          return {
            title: figure.querySelector("h2, h3")?.textContent,
            label: textOf("aria-labelledby"),
            words: textOf("aria-describedby"),
            numbers,
          };
        }),
      );
      for (const { title, label, words, numbers } of figures) {
        expect(title).toBeTruthy();
        expect([title, "none"]).toContain(label);
        expect(words?.length).toBeGreaterThan(3);
        expect(numbers, title ?? "").toBe(true);
      }
      const unnamed = await at.page
        .locator("button:not(:has-text(' ')):not(:has-text('C')), img:not([alt]), input:not([id]):not(label input)")
        .count();
      expect(unnamed).toBe(0);
    },
  );

  test.each(["light", "dark"] as const)(
    "in %s colours every text stands out, as the system has it or by the switch",
    async (scheme) => {
      await at.page.emulateMedia({ colorScheme: scheme });
      for (const kind of KINDS) {
        await at.open(kind);
        expect(await faintTexts(at.page), kind).toEqual([]);
      }
      const paper = () => at.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const before = await paper();
      const other = scheme === "light" ? "Dark" : "Light";
      await at.page.getByRole("radio", { name: other }).check();
      expect(await paper()).not.toBe(before);
      expect(await faintTexts(at.page)).toEqual([]);
      await at.page.getByRole("radio", { name: "Auto" }).check();
      expect(await paper()).toBe(before);
    },
  );
});

/** What reaches over the right edge of the page, but for what scrolls in a box of its own. */
function wideElements(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    const all = Array.from(document.querySelectorAll("body *"));
    const wide = all.filter(
      (element) => !element.closest(".scroll *, pre *") && element.getBoundingClientRect().right > innerWidth,
    );
    return wide.map(({ tagName, className }) => `${tagName} ${className}`);
  });
}

/** Texts with a contrast below 4.5 to 1 (WCAG 2.2, 1.4.3), with their contrast. */
function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const context = document
      .createElement("canvas")
      .getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
    const painted = (layers: string[]) => {
      for (const colour of layers) {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
      }
      return Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3));
    };
    const luminance = (rgb: number[]) => {
      const [r = 0, g = 0, b = 0] = rgb.map((x) => (x <= 10 ? x / 3294.6 : ((x / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const groundsOf = (element: Element | null): string[] =>
      element === null ? [] : [...groundsOf(element.parentElement), getComputedStyle(element).backgroundColor];
    const faint: string[] = [];
    for (const element of document.querySelectorAll<HTMLElement | SVGTextElement>("body *")) {
      const own = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.textContent?.trim() !== "");
      if (!own || element.closest("script, noscript, .unseen") || element.getClientRects().length === 0) continue;
      const style = getComputedStyle(element);
      const grounds = groundsOf(element);
      const [text, ground] = [
        painted([...grounds, element instanceof SVGElement ? style.fill : style.color]),
        painted(grounds),
      ];
      const [a, b] = [luminance(text), luminance(ground)];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${element.className} ${element.textContent}`);
    }
    return faint;
  });
}
