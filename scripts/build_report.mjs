// Makes the script of report.html and of the page that follows runs out of src/watch/page: dist/report/page.js, in which the
// parts of ECharts that they draw with are, and their styles, page.css and watch.css; and out of src/export/page those of
// the page to try a network, demo.js and demo.css.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { ROOT } from "./shell.mjs";

const PAGE = join(ROOT, "src", "report", "page");
const WATCH = join(ROOT, "src", "watch", "page");
const DEMO = join(ROOT, "src", "export", "page");
const THEME = join(ROOT, "src", "page", "theme.css");
// In this order: the last two change what is before them.
const STYLES = [
  "page",
  "hero",
  "figures",
  "interval",
  "tables",
  "heat",
  "choice",
  "mistakes",
  "repeat",
  "narrow",
  "print",
];

const licences = `/*!
Charts by Apache ECharts, Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0
${textOf("echarts/NOTICE")}

It draws with zrender:
${textOf("zrender/LICENSE")}
*/`;

const styleOf = (name) => join(PAGE, "style", `${name}.css`);
const [most, last] = [[THEME, ...STYLES.slice(0, -2).map(styleOf)], STYLES.slice(-2).map(styleOf)];
writeStyle("page", [...most, ...last]);
writeStyle("watch", [...most, join(WATCH, "style", "watch.css"), ...last]);
writeStyle("demo", [THEME, join(DEMO, "demo.css")]);
await writeScript("page", WATCH, licences);
await writeScript("demo", DEMO, "");

function writeStyle(name, files) {
  const style = files.map((file) => readFileSync(file, "utf8")).join("\n");
  writeFileSync(join(ROOT, "dist", "report", `${name}.css`), style);
}

async function writeScript(name, folder, banner) {
  const page = await rolldown({
    input: join(folder, "main.ts"),
    platform: "browser",
    tsconfig: join(ROOT, "tsconfig.page.json"),
    // Leaves ECharts' checks for developers out.
    transform: { define: { "process.env.NODE_ENV": '"production"' } },
    onwarn: (warning) => {
      throw new Error(`report: ${warning.message}`);
    },
  });
  await page.write({
    file: join(ROOT, "dist", "report", `${name}.js`),
    format: "iife",
    minify: true,
    comments: false,
    postBanner: banner,
  });
}

function textOf(file) {
  return readFileSync(join(ROOT, "node_modules", file), "utf8").trim();
}
