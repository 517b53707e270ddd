// Makes dist/cjs: what require("distillery") finds. The JavaScript is the ES modules themselves, so that a program has
// one copy whichever way it loads them. The declarations move there, where TypeScript takes them for CommonJS's: ES
// modules may import those too, but not the other way round.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ROOT } from "./shell.mjs";

const DIST = join(ROOT, "dist");
const INTO = join(DIST, "cjs");
const LOADER = `try {
  module.exports = require("../index.js");
} catch (error) {
  if (error.code !== "ERR_REQUIRE_ESM") throw error;
  throw new Error("distillery: require() needs Node 20.19 or later, this is " + process.version + ": use import()");
}
`;

/**
 * Declarations for other settings and versions than ours: optional properties may be undefined too, as everything here
 * takes them, for exactOptionalPropertyTypes; typed arrays have no argument, which TypeScript before 5.7 does not know.
 */
function portable(text) {
  return text
    .replaceAll(/\b(\w+Array)<ArrayBuffer(?:Like)?>/g, "$1")
    .replaceAll(/^( +(?:readonly )?[\w$]+\?: )(.*[^{(\s]);$/gm, (line, name, type) =>
      /\bundefined$/.test(type) || endsParameters(type) ? line : `${name}(${type}) | undefined;`,
    )
    .replaceAll(/^( +)((?:readonly )?[\w$]+\?: \{\n(?:\1 .*\n)*)\1\};$/gm, "$1$2$1} | undefined;");
}

/** Whether a line's type ends a list of parameters, which take undefined anyway. */
function endsParameters(type) {
  return type.split(")").length > type.split("(").length;
}

rmSync(INTO, { recursive: true, force: true });
mkdirSync(INTO);
writeFileSync(join(INTO, "package.json"), '{ "type": "commonjs" }\n');
writeFileSync(join(INTO, "index.js"), LOADER);
const files = new Set([join(DIST, "index.d.ts")]);
for (const file of files) {
  const text = readFileSync(file, "utf8");
  for (const [, path] of text.matchAll(/(?:from|import\()\s*"(\.[^"]*)\.js"/g))
    files.add(join(dirname(file), `${path}.d.ts`));
  const within = relative(DIST, file);
  if (within.startsWith("..")) throw new Error(`commonjs: ${within} is outside of dist`);
  mkdirSync(dirname(join(INTO, within)), { recursive: true });
  writeFileSync(join(INTO, within), portable(text));
  rmSync(file);
}
writeFileSync(join(DIST, "index.d.ts"), 'export * from "./cjs/index.js";\n');
