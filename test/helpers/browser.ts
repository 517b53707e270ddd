import { type Browser, type BrowserContextOptions, type Page, chromium as playwright } from "playwright-core";
import { chromium } from "./needs.js";

/** What a browser may take on a busy machine. */
const TIMEOUT = 120_000;

/** Starts Chromium, which refuses to start its sandbox as root. */
export function startBrowser(): Promise<Browser> {
  const chromiumSandbox = process.getuid?.() !== 0;
  return playwright.launch({ executablePath: chromium, chromiumSandbox, timeout: TIMEOUT });
}

export async function newPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(TIMEOUT);
  return page;
}
