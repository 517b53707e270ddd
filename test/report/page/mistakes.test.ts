import { expect, test } from "vitest";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { softmaxOf } from "../support.js";
import { NAMES, openedReports, TEXTS, unfolded } from "./support.js";

describeWith(CHROMIUM, "in Chromium", () => {
  const at = openedReports();

  test("the slider moves the bars to both networks' softmax at its temperature", async () => {
    await at.open("run");
    const { mistakes } = at.predictions;
    const slider = at.page.getByRole("slider", { name: "Temperature" });
    expect(await slider.inputValue()).toBe("2.5");
    await expectBars(2.5);
    await slider.focus();
    for (let i = 0; i < 3; i++) await at.page.keyboard.press("ArrowRight");
    expect(await at.page.locator("output").textContent()).toBe("4.0");
    await expectBars(4);
    await at.page.keyboard.press("Home");
    await expectBars(1);
    await at.page.keyboard.press("End");
    await expectBars(20);

    async function expectBars(temperature: number): Promise<void> {
      const cards = await at.page.locator(".card").evaluateAll((elements) =>
        elements.map((element) =>
          Array.from(element.querySelectorAll(".beliefs li"), (row) => ({
            name: row.querySelector(".name")?.getAttribute("title") ?? "",
            shares: Array.from(row.querySelectorAll<HTMLElement>(".fill"), (fill) =>
              Number(fill.style.getPropertyValue("--share")),
            ),
            widths: Array.from(row.querySelectorAll<HTMLElement>(".fill"), (fill) => fill.offsetWidth),
            texts: Array.from(row.querySelectorAll(".value"), (value) => value.textContent),
          })),
        ),
      );
      expect(cards).toHaveLength(mistakes.length);
      for (const [i, rows] of cards.entries()) {
        const { student, teacher = [], label } = mistakes[i] as (typeof mistakes)[number];
        const [own, soft] = [softmaxOf(student, temperature), softmaxOf(teacher, temperature)];
        const named = rows.filter(({ name }) => NAMES.includes(name));
        const classes = named.map(({ name }) => NAMES.indexOf(name));
        // The classes that matter are there: the true one and the student's first choice.
        expect(classes).toEqual(expect.arrayContaining([label, student.indexOf(Math.max(...student))]));
        const rest = (shares: number[]) => shares.reduce((sum, x, k) => sum + (classes.includes(k) ? 0 : x), 0);
        const expected = [...classes.map((k) => [soft[k], own[k]]), [rest(soft), rest(own)]].flat();
        const got = rows.flatMap(({ shares }) => shares);
        expect(got).toHaveLength(expected.length);
        for (const [k, share] of got.entries()) expect(share).toBeCloseTo(expected[k], 6);
        const text = (x: number) => `${(100 * x).toFixed(x < 0.1 ? 1 : 0)}%`;
        expect(rows.flatMap(({ texts }) => texts)).toEqual(got.map(text));
      }
      // As wide as they are large, in the first card, which is in sight.
      const widths = cards[0]?.flatMap(({ shares, widths }) => shares.map((share, k) => [share, widths[k]])) ?? [];
      const [most] = widths.sort(([a = 0], [b = 0]) => b - a) as [number[]];
      for (const [share = 0, width = 0] of widths) {
        expect(Math.abs(width - (most[1] * share) / most[0])).toBeLessThan(1.6);
      }
    }
  });

  test("the mistakes where the teacher was right, and all of them", async () => {
    await at.open("run");
    const { mistakes } = at.predictions;
    const shown = () =>
      at.page
        .locator(".card:visible")
        .evaluateAll((cards) => cards.map((card) => card.querySelector("dd")?.textContent));
    const mostConfident = mistakes.map(({ index }) => String(index)).slice(0, 24);
    expect(await shown()).toEqual(mostConfident.slice(0, 12));
    await at.page.getByRole("button", { name: "Show all 24" }).click();
    expect(await shown()).toEqual(mostConfident);
    await at.page.getByRole("radio", { name: "Where the teacher was right" }).check();
    const right = mistakes.filter(({ teacher = [], label }) => teacher.indexOf(Math.max(...teacher)) === label);
    expect(right.length).toBeGreaterThan(0);
    expect(await shown()).toEqual(right.map(({ index }) => String(index)));
  });

  test("a text, and the line that it is in", async () => {
    await at.open("sweep");
    const [first, second] = await at.page.locator(".card").all();
    expect(await first?.locator("blockquote").textContent()).toBe(TEXTS[0]);
    expect(await first?.locator("dd").first().textContent()).toBe("2 of reviews.jsonl");
    expect(await second?.locator("blockquote").textContent()).toMatch(/^(word )+\u2026$/);
    if (second) await unfolded(second.locator("details"));
    const parts = (await second?.locator("blockquote").allTextContents()) ?? [];
    expect(parts.join(" ").replace(" \u2026", "")).toBe(TEXTS[1]);
  });
});
