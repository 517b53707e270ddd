import { expect, test } from "vitest";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { violations } from "./axe.js";
import { KINDS, openedReports, unfolded } from "./support.js";

describeWith(CHROMIUM, "in Chromium", () => {
  const at = openedReports();

  test.each(KINDS)("%s: axe finds nothing, light on a desktop, dark and unfolded on a phone", async (kind) => {
    await at.page.setViewportSize({ width: 1280, height: 900 });
    await at.page.emulateMedia({ colorScheme: "light" });
    await at.open(kind);
    expect(await violations(at.page), "desktop").toEqual([]);
    await at.page.setViewportSize({ width: 390, height: 900 });
    await at.page.emulateMedia({ colorScheme: "dark" });
    for (const details of await at.page.locator("details:visible").all()) await unfolded(details);
    expect(await violations(at.page), "phone").toEqual([]);
  });
});
