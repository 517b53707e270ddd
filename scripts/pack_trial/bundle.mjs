// Bundles entry.mjs with each bundler, distillery outside as the guide says and inside: out/BUNDLER/{outside,inside}.
import commonjs from "@rollup/plugin-commonjs";
import resolve from "@rollup/plugin-node-resolve";
import * as esbuild from "esbuild";
import { rollup } from "rollup";
import { build as vite } from "vite";
import webpack from "webpack";

const entry = "entry.mjs";
const REQUIRE = 'import { createRequire as c } from "node:module"; const require = c(import.meta.url);';

for (const inside of [false, true]) {
  const into = (bundler) => `out/${bundler}/${inside ? "inside" : "outside"}`;
  for (const format of ["esm", "cjs"]) {
    await esbuild.build({
      entryPoints: [entry],
      bundle: true,
      platform: "node",
      format,
      outfile: `${into("esbuild")}/${format}.${format === "esm" ? "mjs" : "cjs"}`,
      logLevel: "error",
      ...(inside ? format === "esm" && { banner: { js: REQUIRE } } : { external: ["distillery"] }),
    });
  }
  const rolled = await rollup({
    input: entry,
    plugins: [resolve({ preferBuiltins: true }), commonjs()],
    onLog: () => {},
    ...(!inside && { external: ["distillery"] }),
  });
  await rolled.write({ dir: into("rollup"), format: "es", entryFileNames: "esm.mjs", chunkFileNames: "[name].mjs" });
  await vite({
    logLevel: "error",
    build: { ssr: entry, outDir: into("vite"), rollupOptions: { output: { entryFileNames: "esm.mjs" } } },
    ...(inside && { ssr: { noExternal: ["distillery"] } }),
  });
  await packed(into("webpack"), inside ? {} : { externals: { distillery: "commonjs distillery" } });
}

/** webpack's calls as a promise; rejected if it could not build. */
function packed(folder, options) {
  const path = new URL(`${folder}/`, import.meta.url).pathname;
  const config = { mode: "production", target: "node", entry: `./${entry}`, output: { path, filename: "cjs.cjs" } };
  return new Promise((done, fail) => {
    webpack({ ...config, ...options }, (error, stats) => {
      if (error ?? stats.hasErrors()) fail(error ?? new Error(stats.toString({ all: false, errors: true })));
      else done();
    });
  });
}
