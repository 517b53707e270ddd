// Compiles src/ops/web_assembly.wat, which exported modules carry, to dist/ops/web_assembly.wasm.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import wabt from "wabt";
import { ROOT } from "./shell.mjs";

const source = join(ROOT, "src", "ops", "web_assembly.wat");
const { parseWat } = await wabt();
try {
  const parsed = parseWat(source, readFileSync(source, "utf8"), { simd: true, bulk_memory: true });
  parsed.validate();
  writeFileSync(join(ROOT, "dist", "ops", "web_assembly.wasm"), parsed.toBinary({}).buffer);
} catch ({ message }) {
  // Where an error comes from, Node.js shows a line of wabt, all of which is one.
  console.error(message);
  process.exit(1);
}
