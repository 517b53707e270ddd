import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  createNetwork,
  DistilleryError,
  encodeSamples,
  Linear,
  type Module,
  manualSeed,
  type Prediction,
  type Preprocessing,
  predict,
  Sequential,
  saveHtml,
  zeros,
} from "../../../src/index.js";
import { encodePng } from "../../../src/report/png.js";
import { newPage, startBrowser } from "../../helpers/browser.js";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { temporaryFolder } from "../../support.js";

/** A text that would run a script, were it taken for markup. */
const EVIL = "</script><script>window.hacked = 1</script><!--";
const folder = temporaryFolder();
const SIDE = 12;
const classNames = ["ant", EVIL, "cat"];
const IMAGE: Preprocessing = {
  kind: "image",
  channels: 1,
  height: SIDE,
  width: SIDE,
  mean: [0.3],
  std: [0.4],
  classes: 3,
  classNames,
};
const TABLE: Preprocessing = {
  kind: "table",
  header: true,
  label: { name: "label", index: 2 },
  classes: 3,
  classNames,
  columns: [
    { name: "height", mean: 170.25, std: 12.5 },
    { name: EVIL, categories: ["red", "blue"] },
    { name: "weight", mean: 70, std: 9, missing: true },
  ],
};
const VALUES: Preprocessing = {
  kind: "values",
  features: 2,
  classes: 2,
  classNames: ["a", "b"],
  task: "regression",
  targets: { mean: [10, 20], std: [2, 3] },
};
const network = (inputs: number, outputs: number) => new Sequential(new Linear(inputs, outputs)).eval();

test.each([
  ["demo.htm", undefined, "file: expected a name that ends in .html, got "],
  ["demo.html", { ...IMAGE, channels: 2, mean: [0, 0], std: [1, 1], height: 6 }, "images of 1 or 3 channels"],
] as const)("%s is refused", async (file, preprocessing, message) => {
  const saving = saveHtml(network(144, 3), join(folder, file), preprocessing && { preprocessing });
  await expect(saving).rejects.toThrow(DistilleryError);
  await expect(saving).rejects.toThrow(message);
});

describeWith(CHROMIUM, "in Chromium, from disk", () => {
  let browser: Browser;
  let image: Module;
  let table: Module;
  let values: Module;

  beforeAll(async () => {
    manualSeed(5);
    [image, table, values] = [
      new Sequential(new Linear(SIDE * SIDE, 16), new Linear(16, 3)).eval(),
      network(4, 3),
      network(2, 2),
    ];
    await saveHtml(image, join(folder, "image.html"), { preprocessing: IMAGE });
    await saveHtml(table, join(folder, "table.html"), { preprocessing: TABLE, quantize: "float16" });
    await saveHtml(values, join(folder, "values.html"), { preprocessing: VALUES });
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  /** Opens a page, has it used, and checks that it asked for nothing and complained of nothing. */
  async function open(name: string, body: (page: Page) => Promise<void>, options: object = {}): Promise<void> {
    const page = await newPage(browser, { viewport: { width: 1200, height: 800 }, ...options });
    const [complaints, requests]: [string[], string[]] = [[], []];
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => requests.push(request.url()));
    const url = pathToFileURL(join(folder, `${name}.html`)).href;
    await page.goto(url);
    await page.getByRole("status").filter({ hasText: /\S/ }).waitFor();
    await body(page);
    expect(complaints).toEqual([]);
    expect(requests.filter((request) => request !== url && !request.startsWith("blob:"))).toEqual([]);
    expect(await page.evaluate(() => "hacked" in window)).toBe(false);
    await page.close();
  }

  const said = (page: Page) => page.getByRole("status").textContent();
  /** The bars: names and shares as they are shown, from the most probable one. */
  const bars = (page: Page) =>
    page
      .locator(".bars li")
      .evaluateAll((rows) => rows.map((row) => Array.from(row.children, (cell) => cell.textContent ?? "")));
  const barsOf = ({ probabilities }: Prediction) =>
    probabilities
      .map((p, i) => ({ p, name: classNames[i] }))
      .sort((a, b) => b.p - a.p)
      .map(({ p, name }) => [name, "", `${(100 * p).toFixed(1)}%`]);
  const predicted = (pixels: Uint8Array): Prediction => predict(image, encodeSamples(IMAGE, pixels), { classNames })[0];

  test("its rules let WebAssembly be compiled, which multiplies", async () => {
    await open("image", async (page) => {
      await page.addInitScript(() => {
        const { Instance } = WebAssembly;
        WebAssembly.Instance = class extends Instance {
          constructor(module: WebAssembly.Module, imports?: WebAssembly.Imports) {
            super(module, imports);
            Object.assign(globalThis, { compiled: Object.keys(this.exports) });
          }
        };
      });
      await page.reload();
      await page.getByRole("status").filter({ hasText: /\S/ }).waitFor();
      expect(await page.evaluate(() => Reflect.get(globalThis, "compiled"))).toContain("multiply");
      expect(await bars(page)).toEqual(barsOf(predicted(new Uint8Array(SIDE * SIDE))));
    });
  });

  test("an image that is chosen is classified as predict does it; inverted, too", async () => {
    const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i * 37) % 256);
    const file = join(folder, "image.png");
    writeFileSync(file, encodePng(pixels, SIDE, SIDE));
    await open("image", async (page) => {
      expect(await bars(page)).toEqual(barsOf(predicted(new Uint8Array(SIDE * SIDE))));
      await page.getByLabel("Choose an image").setInputFiles(file);
      await expect.poll(() => bars(page)).toEqual(barsOf(predicted(pixels)));
      await page.getByLabel("Invert").check();
      await expect.poll(() => bars(page)).toEqual(barsOf(predicted(pixels.map((pixel) => 255 - pixel))));
      const text = join(folder, "image.txt");
      writeFileSync(text, "no image");
      await page.getByLabel("Choose an image").setInputFiles(text);
      await page.getByRole("alert").waitFor();
    });
  });

  test("an image that is read after a later one, or after Clear, is not shown", async () => {
    const [slow, fast] = [join(folder, "slow.png"), join(folder, "fast.png")];
    const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i * 53) % 256);
    writeFileSync(slow, encodePng(new Uint8Array(SIDE * SIDE).fill(255), SIDE, SIDE));
    writeFileSync(fast, encodePng(pixels, SIDE, SIDE));
    await open("image", async (page) => {
      await page.evaluate(() => {
        const read = createImageBitmap;
        const asked = new EventTarget();
        const isSlow = (image: unknown) => image instanceof File && image.name === "slow.png";
        const late = async (image: ImageBitmapSource) => {
          if (isSlow(image)) await new Promise((resolve) => asked.addEventListener("go", resolve, { once: true }));
          const bitmap = await read(image);
          if (isSlow(image)) setTimeout(() => document.body.setAttribute("data-slow", "read"));
          return bitmap;
        };
        Object.assign(window, { createImageBitmap: late, asked });
      });
      const readSlow = async () => {
        await page.evaluate("document.body.removeAttribute('data-slow'); asked.dispatchEvent(new Event('go'))");
        await page.locator("[data-slow]").waitFor();
      };
      const file = page.getByLabel("Choose an image");
      await file.setInputFiles(slow);
      await file.setInputFiles(fast);
      await expect.poll(() => bars(page)).toEqual(barsOf(predicted(pixels)));
      await readSlow();
      expect(await bars(page)).toEqual(barsOf(predicted(pixels)));
      await file.setInputFiles(slow);
      await page.getByRole("button", { name: "Clear" }).click();
      await readSlow();
      expect(await bars(page)).toEqual(barsOf(predicted(new Uint8Array(SIDE * SIDE))));
    });
  });

  test("what is transparent is black, whatever was there before", async () => {
    const [white, half] = [join(folder, "white.png"), join(folder, "half.png")];
    const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i % SIDE < SIDE / 2 ? 255 : 0));
    writeFileSync(white, encodePng(new Uint8Array(SIDE * SIDE).fill(255), SIDE, SIDE));
    await open("image", async (page) => {
      const png = await page.evaluate((side) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
        const context = canvas.getContext("2d") as CanvasRenderingContext2D;
        context.fillStyle = "#fff";
        context.fillRect(0, 0, side / 2, side);
        return canvas.toDataURL().split(",")[1] ?? "";
      }, SIDE);
      writeFileSync(half, Buffer.from(png, "base64"));
      await page.getByLabel("Choose an image").setInputFiles(white);
      await expect.poll(() => bars(page)).toEqual(barsOf(predicted(new Uint8Array(SIDE * SIDE).fill(255))));
      await page.getByLabel("Choose an image").setInputFiles(half);
      await expect.poll(() => bars(page)).toEqual(barsOf(predicted(pixels)));
      const drawn = await page.locator(".drawing canvas").evaluate((canvas) => {
        const { width, height } = canvas as HTMLCanvasElement;
        const context = (canvas as HTMLCanvasElement).getContext("2d") as CanvasRenderingContext2D;
        return [width / 4, (3 * width) / 4].map((x) => [...context.getImageData(x, height / 2, 1, 1).data]);
      });
      expect(drawn).toEqual([
        [255, 255, 255, 255],
        [0, 0, 0, 255],
      ]);
    });
  });

  test.each([
    ["classes", undefined],
    ["labels", "multi-label"],
  ] as const)("of many %s the ten most probable are shown, and how many are left", async (name, task) => {
    const preprocessing: Preprocessing = {
      kind: "values",
      features: 2,
      classes: 58,
      classNames: Array.from({ length: 58 }, (_, i) => `name ${i}`),
      ...(task && { task }),
    };
    manualSeed(6);
    const many = network(2, 58);
    await saveHtml(many, join(folder, `${name}.html`), { preprocessing });
    const [{ probabilities }] = predict(many, zeros([1, 2]), { preprocessing });
    const shares = [...probabilities].sort((a, b) => b - a).map((p) => `${(100 * p).toFixed(1)}%`);
    await open(name, async (page) => {
      await expect.poll(() => page.locator(".bars .share").allTextContents()).toEqual(shares.slice(0, 10));
      expect(await page.locator(".more").textContent()).toBe(`and 48 more, at most ${shares[10]} each`);
    });
  });

  test("a drawing, by mouse and by keys", async () => {
    await open("image", async (page) => {
      const blank = await bars(page);
      const canvas = page.locator(".drawing canvas");
      const box = await canvas.boundingBox();
      if (box === null) throw new Error("no canvas");
      await page.mouse.move(box.x + 40, box.y + 40);
      await page.mouse.down();
      await page.mouse.move(box.x + 200, box.y + 260, { steps: 5 });
      await page.mouse.up();
      const drawn = await bars(page);
      expect(drawn).not.toEqual(blank);
      await page.getByRole("button", { name: "Clear" }).click();
      expect(await bars(page)).toEqual(blank);
      await page.keyboard.press("Shift+Tab");
      expect(await canvas.evaluate((element) => element === document.activeElement)).toBe(true);
      await page.keyboard.press("Space");
      for (let i = 0; i < 8; i++) await page.keyboard.press("ArrowLeft");
      expect(await bars(page)).not.toEqual(blank);
      await page.keyboard.press("Delete");
      expect(await bars(page)).toEqual(blank);
    });
  });

  test("a row, whose mistakes are told", async () => {
    await open("table", async (page) => {
      const expected = (row: Record<string, string | number>) =>
        barsOf(predict(table, encodeSamples(TABLE, [row]), { classNames })[0]).map(([name]) => name);
      await page.getByLabel("height").fill("150");
      await page.getByLabel(EVIL).selectOption("blue");
      await page.getByLabel("weight").fill("");
      expect((await bars(page)).map(([name]) => name)).toEqual(expected({ height: 150, [EVIL]: "blue" }));
      await page.getByLabel("height").fill("tall");
      expect(await said(page)).toBe('row, "height": expected a number, got "tall"');
      expect(await bars(page)).toEqual([]);
    });
  });

  test("a text", async () => {
    const text = { kind: "hash", buckets: 50, words: 2, characters: null, signed: false, length: 9 } as const;
    const preprocessing = { ...TABLE, columns: [{ name: "says", text }] };
    const bag = createNetwork("text_bag(buckets=50, dim=8)", { shape: [9], classes: 3 });
    // What it says depends on the text.
    for (const { data } of bag.parameters()) for (let i = 0; i < data.length; i++) data[i] = Math.sin(i);
    await saveHtml(bag, join(folder, "text.html"), { preprocessing });
    await open("text", async (page) => {
      await page.getByRole("textbox", { name: "says" }).fill("some words");
      const inputs = encodeSamples(preprocessing as never, [{ says: "some words" }] as never);
      expect(await bars(page)).toEqual(barsOf(predict(bag, inputs, { classNames })[0]));
    });
  });

  test("numbers of a regression", async () => {
    await open("values", async (page) => {
      await page.getByLabel("2 numbers").fill("1, 2.5");
      const inputs = encodeSamples(VALUES, Float32Array.of(1, 2.5));
      const [{ values: expected }] = predict<{ values: number[] }>(values, inputs, { preprocessing: VALUES }) as [
        { values: number[] },
      ];
      const shown = await page.locator("td").allTextContents();
      expect(shown.map(Number)).toEqual(expected.map((x) => expect.closeTo(x, 3)));
      await page.getByLabel("2 numbers").fill("1");
      expect(await said(page)).toBe("numbers: expected 2, got 1");
    });
  });

  test.each([
    ["light", 1200],
    ["light", 360],
    ["dark", 1200],
    ["dark", 360],
  ] as const)("%s, %i wide: nothing sticks out, letters stand out", async (colorScheme, width) => {
    for (const name of ["image", "table", "values"]) {
      const options = { viewport: { width, height: 800 }, colorScheme };
      await open(
        name,
        async (page) => {
          const { wide, ink, paper } = await page.evaluate(() => {
            const style = getComputedStyle(document.body);
            return {
              wide: document.documentElement.scrollWidth,
              ink: style.color,
              paper: style.backgroundColor,
            };
          });
          expect(wide).toBe(width);
          const brightness = (colour: string) => Number(/\d+/.exec(colour)?.[0]);
          expect(Math.abs(brightness(ink) - brightness(paper))).toBeGreaterThan(150);
          expect(brightness(paper) > 128).toBe(colorScheme === "light");
        },
        options,
      );
    }
  });
});
