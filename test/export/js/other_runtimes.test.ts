import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { textEncoding } from "../../../src/data/text/encodings.js";
import { createNetwork, manualSeed, randn, StudentNet, saveJs, type TablePreprocessing } from "../../../src/index.js";
import { describeWith, RUNTIMES, runtimes } from "../../helpers/needs.js";
import { temporaryFolder } from "../../support.js";

const folder = temporaryFolder();
const script = join(folder, "use.mjs");
const PROGRAMS = {
  "Node.js 18": ["node-18/bin/node"],
  "Node.js 22": ["node-22/bin/node"],
  "Node.js 24": ["node-24/bin/node"],
  "Node.js 26": ["node-26/bin/node"],
  Deno: ["@deno/linux-x64-glibc/deno", "run", "--no-prompt"],
  Bun: ["@oven/bun-linux-x64/bin/bun"],
} as const;
const TOKENIZER = fileURLToPath(new URL("../../data/fixtures/tokenizer/wordpiece.json", import.meta.url));
const TEXT = "Play chess, or Пишу 日本 🎲 with cards";

/** What a program prints that runs the script. */
const printed = (program: string, ...args: readonly string[]): Record<string, unknown> =>
  JSON.parse(execFileSync(program, [...args, script], { encoding: "utf8" }));

describeWith(RUNTIMES, "exported modules give the same numbers as in this Node.js", () => {
  beforeAll(async () => {
    manualSeed(4);
    const student = new StudentNet();
    for (const quantize of ["float32", "float16", "int8"] as const) {
      await saveJs(student, join(folder, `${quantize}.mjs`), quantize === "float32" ? {} : { quantize });
    }
    await saveJs(createNetwork("resnet8()", { shape: [1, 12, 12], classes: 3 }).eval(), join(folder, "image.mjs"));
    const texts = {
      hashed: "hash(buckets=160, length=24)",
      tokens: `tokenizer(file=${JSON.stringify(TOKENIZER)}, length=24)`,
    };
    for (const [name, encoding] of Object.entries(texts)) {
      const preprocessing: TablePreprocessing = {
        kind: "table",
        header: true,
        label: { name: "label", index: 1 },
        classes: 2,
        classNames: ["a", "b"],
        columns: [{ name: "text", text: textEncoding(encoding) }],
      };
      const network = createNetwork("text_transformer(layers=1, dim=8, buckets=160)", { shape: [24], classes: 2 });
      await saveJs(network.eval(), join(folder, `${name}.mjs`), { preprocessing });
    }
    const rows = { script: [...randn([784]).data], image: [...randn([144]).data] };
    writeFileSync(
      script,
      `import * as float32 from "./float32.mjs";
import * as float16 from "./float16.mjs";
import * as int8 from "./int8.mjs";
import * as image from "./image.mjs";
import * as hashed from "./hashed.mjs";
import * as tokens from "./tokens.mjs";
const rows = ${JSON.stringify(rows)};
const text = ${JSON.stringify(TEXT)};
const dense = Object.entries({ float32, float16, int8 }).map(([name, { logits }]) => [name, [...logits(rows.script)]]);
console.log(JSON.stringify({
  ...Object.fromEntries(dense),
  image: [...image.logits(rows.image)],
  hashed: [...hashed.logits(text)],
  tokens: [...tokens.logits(text)],
  class: [int8.classify(rows.script).class, hashed.classify(text).className],
}));
`,
    );
  });

  test.each(Object.entries(PROGRAMS))("%s", (_, [program, ...args]) => {
    const { hashed, tokens, ...exact } = printed(process.execPath) as Record<string, number[]>;
    const got = printed(join(runtimes, "node_modules", program), ...args);
    // Their exponential may differ in its last bit, which attention takes; sums and products do not.
    const about = (logits: number[]) => logits.map((x) => expect.closeTo(x, 5));
    expect(got).toEqual({ ...exact, hashed: about(hashed), tokens: about(tokens) });
  });
});
