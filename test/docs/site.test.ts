import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, posix } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newPage, startBrowser } from "../helpers/browser.js";
import { CHROMIUM, describeWith, siteBuilder } from "../helpers/needs.js";
import { violations } from "../report/page/axe.js";
import { ROOT } from "./markdown.js";
import { TASKS } from "./tasks.js";

const folder = join(ROOT, "target", "site-test");
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

const needs = siteBuilder();

describeWith(needs.met ? CHROMIUM : needs, "the site, in Chromium", () => {
  let browser: Browser;
  let server: Server;
  let page: Page;
  let url: string;
  const asked: string[] = [];

  beforeAll(async () => {
    execFileSync(process.execPath, [join(ROOT, "scripts", "site.mjs"), "--into", folder], { stdio: "pipe" });
    server = createServer(({ url = "/" }, response) => {
      const { pathname } = new URL(url, "http://localhost");
      const file = join(folder, "docs", pathname.endsWith("/") ? `${pathname}index.html` : pathname);
      response.writeHead(existsSync(file) ? 200 : 404, {
        "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
      });
      if (existsSync(file)) createReadStream(file).pipe(response);
      else response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await startBrowser();
    page = await newPage(browser);
    page.on("request", (request) => asked.push(request.url()));
  });

  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(TASKS)("%s: found in two clicks", async (_, words, target, text) => {
    await page.goto(`${url}/`);
    await page.getByRole("button", { name: "Search" }).first().click();
    await page.locator("#localsearch-input").fill(words);
    // Of the first five results, which are in sight.
    const results = page.locator("#localsearch-list a.result");
    await results.first().waitFor();
    await expect
      .poll(async () =>
        (await results.evaluateAll((all) => all.map((one) => one.getAttribute("href") ?? "")))
          .slice(0, 5)
          .map((href) => href.slice(1).split("#")[0]),
      )
      .toContain(target);
    const links = await results.evaluateAll((all) => all.map((one) => one.getAttribute("href") ?? ""));
    await results.nth(links.findIndex((href) => href.slice(1).split("#")[0] === target)).click();
    await page.waitForURL(`**/${target}*`);
    await expect.poll(() => page.locator("main").textContent()).toContain(text);
  });

  // As a server of files gives them: a link without an ending is none.
  test("every link leads to a file", () => {
    const docs = join(folder, "docs");
    const pages = readdirSync(docs, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".html"));
    const broken = pages.flatMap((page) =>
      Array.from(readFileSync(join(docs, page), "utf8").matchAll(/<a [^>]*href="([^"#:]+)[#"]/g), ([, href = ""]) => {
        const path = decodeURIComponent(href.startsWith("/") ? href : posix.join("/", posix.dirname(page), href));
        return existsSync(join(docs, path.endsWith("/") ? `${path}index.html` : path)) ? "" : `${page}: ${href}`;
      }).filter((problem) => problem !== ""),
    );
    expect(pages.length).toBeGreaterThan(30);
    // Written by npm run docs alone.
    expect(broken.filter((problem) => !/: \/api\b/.test(problem))).toEqual([]);
  });

  test("an expression of losses can be copied from the reference", async () => {
    await page.goto(`${url}/reference/losses.html`);
    expect(await page.locator("main").textContent()).toContain('--loss "0.1*cross-entropy + 0.9*kd(temperature=4)"');
  });

  test("it asks nobody else for anything", () => expect(asked.filter((one) => !one.startsWith(`${url}/`))).toEqual([]));

  test.each(["index", "start", "guide", "how-to/csv", "reference/options"])(
    "%s: axe finds nothing, light on a desktop, dark on a phone",
    async (name) => {
      for (const [width, colorScheme] of [
        [1280, "light"],
        [390, "dark"],
      ] as const) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        await page.goto(`${url}/${name}.html`, { waitUntil: "load" });
        await page.locator("[role=main], main").first().waitFor();
        expect(await violations(page), `${width} ${colorScheme}`).toEqual([]);
      }
      await page.setViewportSize({ width: 1280, height: 900 });
    },
  );

  test.each(["index", "start", "concepts", "guide", "methods", "how-to/csv", "reference/options", "architecture"])(
    "%s fits on a phone",
    async (name) => {
      await page.setViewportSize({ width: 390, height: 844 });
      await page.goto(`${url}/${name}.html`);
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
    },
  );
});
