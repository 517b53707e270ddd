import { copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { zipStored } from "../../src/checkpoint/zip_writer.js";
import { LOSSES } from "../../src/losses/index.js";
import { encodePng } from "../../src/report/png.js";
import { image } from "../data/image_support.js";
import { npy } from "../data/numpy_support.js";
import { idx } from "../data/support.js";
import { temporaryFolder } from "../support.js";
import { commandsOf, documentation, shellLines } from "./documented_commands.js";
import { ended, launch, STUDENT, succeed, tree, userFolder } from "./support.js";

// Comparisons as they are documented, with all their seeds.
vi.setConfig({ testTimeout: 300_000 });

const folder = temporaryFolder();
const SIDE = 28;
const before = process.env.DISTILLERY_DATA;
let cwd: string;

/**
 * What a user has who types the commands: a table, a folder of modules, two images, and Fashion-MNIST, here a small
 * one.
 */
beforeAll(() => {
  cwd = userFolder(folder);
  const flowers = Array.from({ length: 120 }, (_, i) => `${(i % 3) + (i % 7) / 20},${2 - (i % 3)},${"rgb"[i % 3]}`);
  writeFileSync(join(cwd, "flowers.csv"), ["width,height,label", ...flowers].join("\n"));
  writeTargets();
  writeTexts();
  writeFileSync(join(cwd, "new.csv"), "width,height\n1.1,0.9\n0.1,2\n");
  const examples = new URL("../../examples/", import.meta.url);
  for (const file of readdirSync(examples).filter((name) => name.endsWith(".mjs"))) {
    copyFileSync(new URL(file, examples), join(cwd, file));
  }
  writeFileSync(
    join(cwd, "breast_cancer.csv"),
    [
      "radius,texture,diagnosis",
      ...flowers
        .slice(0, 60)
        .map((row) => row.replace(/,[rgb]$/, (end) => end.replace(/[rgb]/, (at) => (at === "r" ? "M" : "B")))),
    ].join("\n"),
  );
  writeFileSync(
    join(cwd, "breast_cancer_teacher.npy"),
    npy(
      [60, 2],
      Float32Array.from({ length: 120 }, (_, i) => (i * 7) % 5),
    ),
  );
  for (const [i, name] of ["cat", "dog"].entries()) {
    mkdirSync(join(cwd, "pets", name), { recursive: true });
    for (let one = 0; one < 12; one++) {
      writeFileSync(
        join(cwd, "pets", name, `${one}.png`),
        encodePng(Uint8Array.from(pixels(3 * i + (one % 3))), SIDE, SIDE),
      );
    }
  }
  writeFileSync(join(cwd, "new.jpg"), image("shades.jpg"));
  writeFileSync(join(cwd, "shoe.png"), encodePng(Uint8Array.from(pixels(0)), SIDE, SIDE));
  writeFileSync(join(cwd, "boot.jpg"), image("shades.jpg"));
  const data = join(folder, "data", "fashion-mnist");
  mkdirSync(data, { recursive: true });
  for (const [part, samples] of Object.entries({ train: 120, t10k: 30 })) {
    const labels = Array.from({ length: samples }, (_, i) => i % 10);
    writeFileSync(join(data, `${part}-images-idx3-ubyte`), idx([samples, SIDE, SIDE], labels.flatMap(pixels)));
    writeFileSync(join(data, `${part}-labels-idx1-ubyte`), idx([samples], labels));
  }
  process.env.DISTILLERY_DATA = join(folder, "data");
});
afterAll(() => {
  if (before === undefined) delete process.env.DISTILLERY_DATA;
  else process.env.DISTILLERY_DATA = before;
});

/**
 * Small ones of the data of other tasks: a table of numbers, one of labels, vectors, and what a teacher says of them.
 */
function writeTargets(): void {
  const rows = Array.from({ length: 80 }, (_, i) => [(i % 9) / 4 - 1, ((i * i) % 11) / 5 - 1, ((7 * i) % 13) / 6 - 1]);
  const table = (names: string, of: (row: number[]) => number[], from: number, to: number) =>
    [`a,b,c,${names}`, ...rows.slice(from, to).map((row) => [...row, ...of(row)].join(","))].join("\n");
  const progression = ([a = 0, b = 0, c = 0]: number[]) => [150 + 40 * a - 25 * b + 10 * c * c];
  writeFileSync(join(cwd, "diabetes.csv"), table("progression", progression, 0, 60));
  writeFileSync(join(cwd, "diabetes_test.csv"), table("progression", progression, 60, 80));
  writeFileSync(
    join(cwd, "diabetes_teacher.npy"),
    npy([60], Float32Array.from(rows.slice(0, 60).flatMap(progression))),
  );
  const labels = ([a = 0, b = 0, c = 0]: number[]) => [a + b, b - c, a].map((x) => Number(x > 0));
  writeFileSync(join(cwd, "tags.csv"), table("red,green,blue", labels, 0, 80));
  const vectors = Float32Array.from(
    rows.flatMap(([a = 0, b = 0, c = 0]) => [a, b, c, a * b, b + c, c - a, a + b + c, b * c, 1, a, b, c]),
  );
  writeFileSync(join(cwd, "vectors_teacher.npy"), npy([80, 12], vectors));
  const arrays = { x: npy([80, 3], Float32Array.from(rows.flat())), y: npy([80, 12], vectors) };
  writeFileSync(
    join(cwd, "vectors.npz"),
    zipStored(Object.entries(arrays).map(([name, data]) => ({ name: `${name}.npy`, data }))),
  );
}

/** Reviews, good and bad, and a new one. */
function writeTexts(): void {
  const words = { good: ["quiet", "light", "fast", "bright"], bad: ["loud", "slow", "broken", "dim"] };
  const lines = Array.from({ length: 60 }, (_, i) => {
    const label = i % 2 === 0 ? "good" : "bad";
    const of = (n: number) => words[label][(i * n) % 4];
    return JSON.stringify({ label, text: `A ${of(1)} machine, and a ${of(3)} screen: ${i}` });
  });
  writeFileSync(join(cwd, "reviews.jsonl"), lines.join("\n"));
  writeFileSync(join(cwd, "new.jsonl"), JSON.stringify({ text: "quiet, light and bright" }));
  const of = (path: string) => new URL(`../${path}`, import.meta.url);
  const encoder = join(cwd, "all-MiniLM-L6-v2");
  cpSync(of("models/fixtures/bert"), encoder, { recursive: true });
  cpSync(of("data/fixtures/tokenizer/wordpiece.json"), join(encoder, "tokenizer.json"));
}

/** An image of a class, by a bright column. */
function pixels(label: number): number[] {
  return Array.from({ length: SIDE * SIDE }, (_, at) => (Math.floor((at % SIDE) / 2) === label ? 220 : 10 + (at % 5)));
}

/** A command with the values of these flags in place of its own. */
function having(command: readonly string[], flags: Readonly<Record<string, string>>): string[] {
  const kept = command.filter((word, i) => !(word in flags) && !((command[i - 1] ?? "") in flags));
  return [...kept, ...Object.entries(flags).flat()];
}

/** Runs commands, each as it stands in the documentation; gives what the last one printed. */
async function run(commands: readonly string[][]): Promise<string> {
  expect(commands.length).toBeGreaterThan(0);
  let last = "";
  for (const command of commands) last = await succeed(command, cwd);
  return last;
}

const README = commandsOf(documentation("README.md"));
const START = commandsOf(documentation("docs/start.md"));

/** For images of 28 x 28. */
const SMALL_NETWORKS = { "--teacher-network": "teacher(hidden=[16, 12, 8])", "--student": "student(hidden=[16, 8])" };
/** In this process: that others start is a comparison's own test. */
const ONE = { "--seeds": "1", "--parallel": "1" };

test("README: does distillation help", async () => {
  const [compare] = README;
  const less = compare.map((words) =>
    words[0] === "compare" ? having(words, { "--epochs": "2", "--seeds": "2", ...SMALL_NETWORKS }) : words,
  );
  expect(await run(less)).toMatch(/^accuracy, best epoch .*/m);
  expect(tree(join(cwd, "runs", "compare"))).toEqual(expect.arrayContaining(["compare.json", "report.html"]));
});

test("get started: a teacher, a student, its use", async () => {
  const [, steps] = START;
  const { "--teacher-network": network, "--student": student } = SMALL_NETWORKS;
  const small: Record<string, Record<string, string>> = {
    "train-teacher": { "--teacher-network": network },
    distill: { "--student": student },
  };
  const less = steps.map((words) =>
    words.includes("--epochs") ? having(words, { "--epochs": "2", ...small[words[0]] }) : words,
  );
  expect(await run(less)).toMatch(new RegExp(`^runs/distill/${STUDENT}\\.onnx: .* [kM]B, opset `));
  // For the last test.
  for (const ending of ["pth", "safetensors"]) {
    copyFileSync(join(cwd, `runs/teacher/teacher.${ending}`), join(cwd, `images.${ending}`));
  }
});

test.each<[at: [page: string, section?: string], printed: RegExp]>([
  [["docs/guide.md", "Precision"], /^Test accuracy: student \d+\.\d\d%/m],
  [["docs/guide.md", "Networks of images"], /^Test accuracy: student \d+\.\d\d%/m],
  [
    ["docs/methods.md", "Weights and schedules"],
    /^kd\(temperature=3.5, alpha=0.6\), calibrated teacher: .* against kd\(.*\), teacher as it is \(1 seed\): give more seeds\./m,
  ],
  [["docs/methods.md", "Side by side"], /^cross-entropy \+ rkd: .* give more seeds\.$/m],
  [["docs/methods.md", "Trees as teachers"], /^kd\(temperature=2\): .* give more seeds\.$/m],
  [["docs/scale.md", "Shares"], /^Distilling changed test accuracy by .* \(1 seed\)/m],
  [["docs/how-to/images.md"], /^new\.jpg +(cat|dog) \d+\.\d\d%/m],
])("%j: its commands that take long, with one seed and one epoch", async (at, printed) => {
  const less = shellLines(documentation(...at)).flatMap((words) => {
    if (!words.includes("distillery")) return [];
    const [name = "", ...flags] = words
      .slice(words.indexOf("distillery") + 1)
      .map((word) => word.replace(/^\/shared/, "shared"));
    if (name === "predict") return [[name, ...flags]];
    const share: Record<string, string> = flags.includes("--of") ? { "--of": "2" } : {};
    const small: Record<string, string> = name === "compare" && flags.includes("fashion-mnist") ? SMALL_NETWORKS : {};
    const short = having([name, ...flags], { "--epochs": "1", ...share, ...small });
    return [name === "compare" ? having(short, ONE) : [...short, "--overwrite"]];
  });
  expect(await run(less)).toMatch(printed);
});

test("get started: ship it", async () => {
  const [, , , ship] = START;
  expect(await run(ship)).toMatch(/^demo\.html: .* kB, a page to try the network, weights in 8 bits/);
});

test("get started: losses and networks by name, and one's own", async () => {
  const [, , own] = START;
  expect(own).toHaveLength(3);
  expect(await run(own.map((command) => having(command, { "--epochs": "1" })))).toMatch(/^Test accuracy: student /m);
  copyFileSync(join(cwd, "runs/flowers/teacher.safetensors"), join(cwd, "teacher.safetensors"));
});

test("README: ship it", async () => {
  const [, [compare, exported]] = README;
  const rows = Array.from({ length: 60 }, (_, i) => {
    const [section, word] = i % 2 === 0 ? ["games", "chess"] : ["haskell", "library"];
    return JSON.stringify({ section, description: `A ${word} for people, number ${i}` });
  });
  writeFileSync(join(cwd, "packages.jsonl"), rows.join("\n"));
  expect(await run([compare])).toContain("Written to runs/packages/compare.json");
  expect(await run([exported])).toMatch(/^demo\.html: .* kB, a page to try the network, weights in 8 bits/m);
  const { classify } = (await import(join(cwd, "student.mjs"))) as { classify(text: string): { className: string } };
  expect(["games", "haskell"]).toContain(classify("chess").className);
});

test("README and get started have no other commands", () => {
  expect(START).toHaveLength(4);
  expect(README).toHaveLength(2);
  expect(README[0]).toEqual(START[0]);
});

test("how to: the commands of each page, one page after the other", async () => {
  const other = userFolder(folder);
  for (const file of ["flowers.csv", "new.csv"]) copyFileSync(join(cwd, file), join(other, file));
  const pages = ["csv", "loss", "network", "ship", "resume"].map((name) =>
    commandsOf(documentation(`docs/how-to/${name}.md`)).flat(),
  );
  expect(pages.filter((commands) => commands.length === 0)).toEqual([]);
  let last = "";
  for (const command of pages.flat()) last = await succeed(command, other);
  expect(last).toMatch(/^Epoch \[8\/8\]/m);
});

test("the guide: losses, networks, optimizers by name, and modules of one's own", async () => {
  const blocks = commandsOf(documentation("docs/guide.md", "Losses, networks, teachers, optimizers"));
  expect(blocks).toHaveLength(2);
  expect(await run(blocks.flat().map((command) => [...having(command, { "--epochs": "1" }), "--overwrite"]))).toMatch(
    /^Test accuracy: student /m,
  );
});

test("the guide: every loss by its name", async () => {
  const [[command]] = commandsOf(documentation("docs/guide.md", "Losses"));
  // Those of targets, and of feature maps.
  const others = ["mse", "mae", "huber", "bce", "cosine", "attention-transfer", "review-kd"];
  const named = LOSSES.names.filter((name) => !others.includes(name));
  expect(named.filter((name) => !command.join(" ").includes(name))).toEqual([]);
  expect(await run([[...having(command, { "--epochs": "2", ...ONE }), "--no-report"]])).toMatch(
    /^\[0\.9, 0\]\*kd\(temperature=\[4, 1\]\)/m,
  );
});

test("the guide: texts", async () => {
  const [commands] = commandsOf(documentation("docs/guide.md", "Texts"));
  const last = await run(
    commands.map((command) => (command[0] === "predict" ? command : having(command, { "--epochs": "4" }))),
  );
  expect(last).toMatch(/^line 1 +(good|bad) \d+\.\d\d% /m);
});

test.each([
  ["Regression", /^baseline student +-?\d\.\d{4} /m],
  ["Several labels at once", /^green +\d+\.\d\d% /m],
  ["Vectors of texts", /^retrieval agreement @10 +\d+\.\d\d%$/m],
  ["Vectors", /^retrieval agreement @10 +\d+\.\d\d%$/m],
])("the guide: %s", async (section, printed) => {
  const [commands] = commandsOf(documentation("docs/guide.md", section));
  const fewer = commands.map((command) => {
    if (!command.includes("--epochs")) return command;
    const short = having(command, { "--epochs": "2" });
    return command[0] === "compare" ? [...having(short, ONE), "--no-report"] : short;
  });
  expect(await run(fewer)).toMatch(printed);
});

test("the guide: compare and sweep", async () => {
  const blocks = commandsOf(documentation("docs/guide.md", "Does distillation help?"));
  expect(blocks.map(([command]) => command.slice(0, 3))).toEqual([
    ["compare", "--data", "fashion-mnist"],
    ["sweep", "--data", "fashion-mnist"],
  ]);
  const small = { "--epochs": "2", "--parallel": "1", "--teacher-network": "mlp([16])", "--student": "mlp([8])" };
  expect(await run([having(blocks[1][0], small)])).toContain("temperature");
});

test("the guide: using a student", async () => {
  const [commands] = commandsOf(documentation("docs/guide.md", "Using a student"));
  for (const ending of ["pth", "safetensors"]) {
    copyFileSync(join(cwd, `runs/flowers/teacher.${ending}`), join(cwd, `runs/distill/${STUDENT}_best.${ending}`));
    copyFileSync(join(cwd, `images.${ending}`), join(cwd, `student.${ending}`));
    copyFileSync(join(cwd, `images.${ending}`), join(cwd, `teacher.${ending}`));
  }
  expect(await run(commands)).toMatch(/^student\.onnx: /);
});

test("the guide: a server", async () => {
  const [[command]] = commandsOf(documentation("docs/guide.md", "A server"));
  copyFileSync(join(cwd, "teacher.safetensors"), join(cwd, "student.safetensors"));
  const child = launch([...having(command ?? [], { "--port": "0" }), "--json"], cwd);
  const end = ended(child);
  const line = await new Promise<string>((resolve) => child.stdout?.once("data", (part) => resolve(String(part))));
  const { url } = JSON.parse(line) as { url: string };
  expect((await fetch(`${url}healthz`)).status).toBe(200);
  child.kill("SIGTERM");
  expect((await end).code).toBe(0);
});

test("the guide: a page to try it", async () => {
  const [commands] = commandsOf(documentation("docs/guide.md", "A page to try it"));
  copyFileSync(join(cwd, "teacher.safetensors"), join(cwd, "student.safetensors"));
  expect(await run(commands)).toMatch(/^demo\.html: .* kB, a page to try the network, weights in 8 bits/);
});

test("the guide: one JavaScript module", async () => {
  const [commands] = commandsOf(documentation("docs/guide.md", "One JavaScript module"));
  expect(await run(commands)).toMatch(/^flowers\.mjs: .*\nTest accuracy: /);
});
