import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { newFolder, refused, STUDENT, succeed } from "./support.js";

const folder = temporaryFolder();
const WORDS = [
  ["puzzle", "card", "board", "arcade"],
  ["matrix", "solver", "algebra", "physics"],
];
const ENCODING = ["--text-encoding", "hash(buckets=500, length=40)"];
const RUN = ["--epochs", "12", "--lr", "0.03", "--no-report"];
let cwd: string;

const textOf = (i: number) => [1, 3, 7].map((n) => WORDS[i % 2][(i * n) % 4]).join(" ");

beforeAll(async () => {
  cwd = newFolder(folder);
  const section = (i: number) => ["games", "science"][i % 2];
  const rows = Array.from({ length: 120 }, (_, i) => ({ id: i, section: section(i), summary: textOf(i) }));
  writeFileSync(join(cwd, "t.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  const some = rows.map((row, i) => (i % 4 < 2 ? row : { ...row, section: null }));
  writeFileSync(join(cwd, "some.jsonl"), some.map((row) => JSON.stringify(row)).join("\n"));
  writeFileSync(join(cwd, "new.csv"), 'id,summary\n1,"a board, a card"\n2,🎲 solver of physics\n3,\n');
  const lengths = rows.map(({ summary }, i) => `${summary},${summary.length},${i % 2},${1 - (i % 2)}`);
  writeFileSync(join(cwd, "targets.csv"), ["summary,length,odd,even", ...lengths].join("\n"));
  const data = ["--data", "t.jsonl", "--label-column", "section", "--text-column", "summary", ...ENCODING];
  const network = ["--teacher-network", "text_bag(buckets=500, dim=16, hidden=16)"];
  await succeed(["train-teacher", ...data, ...network, ...RUN, "--out", "teacher"], cwd);
});

const DATA = ["--data", "t.jsonl", "--label-column", "section", "--text-column", "summary", ...ENCODING];
const STUDENT_NETWORK = ["--student", "text_bag(dim=4)"];
const TEACHER = ["--teacher", "teacher/teacher.safetensors"];

test("a student of texts is distilled, evaluated, exported, and predicts from raw texts", async () => {
  const out = await succeed(["distill", ...DATA, ...TEACHER, ...STUDENT_NETWORK, ...RUN, "--out", "student"], cwd);
  expect(out).toMatch(/^Test accuracy: student 100\.00%, teacher 100\.00%, agreement 100\.00%$/m);
  const student = `student/${STUDENT}.safetensors`;
  const file = readFileSync(join(cwd, student)).toString("latin1");
  expect(file).toContain('\\"kind\\":\\"hash\\",\\"buckets\\":500');
  expect(file).toContain("text_bag(buckets=500, dim=4, hidden=0)");
  const lines = (await succeed(["predict", "new.csv", "--student", student, "--json"], cwd)).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).className).slice(0, 2)).toEqual(["games", "science"]);
  expect(lines).toHaveLength(3);
  expect(await succeed(["evaluate", student, "--data", "t.jsonl"], cwd)).toContain("100.00%");
  expect(await succeed(["export", student, "--onnx", "s.onnx"], cwd)).toContain(
    "Left to the caller: the ids of each text, by the encoding in the metadata (distillery.preprocessing)\n",
  );
});

test("a transformer's module and page say what they cost in accuracy", async () => {
  const network = ["--student", "text_transformer(layers=1, dim=8, heads=2)"];
  await succeed(["distill", ...DATA, ...TEACHER, ...network, ...RUN, "--out", "transformer"], cwd);
  const file = `transformer/${STUDENT}.safetensors`;
  const out = await succeed(["export", file, "--js", "t.mjs", "--html", "t.html", "--data", "t.jsonl"], cwd);
  const accuracy = /\d+\.\d\d%/.exec(await succeed(["evaluate", file, "--data", "t.jsonl"], cwd))?.[0];
  for (const written of ["t.mjs", "t.html"]) {
    expect(out).toContain(
      `Test accuracy: ${file} ${accuracy}, ${written} ${accuracy}, lost 0.00 points; by Distillery's`,
    );
  }
});

test("streamed, the same run gives the same bits", async () => {
  const common = ["distill", ...DATA, ...TEACHER, ...STUDENT_NETWORK, "--epochs", "2", "--no-report", "--no-shuffle"];
  await succeed([...common, "--out", "whole"], cwd);
  await succeed([...common, "--stream", "--out", "streamed"], cwd);
  const [whole, streamed] = ["whole", "streamed"].map((out) => readFileSync(join(cwd, out, `${STUDENT}.pth`)));
  expect(whole.equals(streamed)).toBe(true);
});

test("of texts alone a teacher gives the logits that it gives beside labels, and predict takes a file without its label", async () => {
  const alone = Array.from({ length: 120 }, (_, i) => textOf(i));
  writeFileSync(join(cwd, "alone.csv"), ["summary", ...alone].join("\n"));
  writeFileSync(join(cwd, "ids.csv"), ["id,summary", ...alone.map((text, i) => `${i},${text}`)].join("\n"));
  const logits = async (...args: string[]) => {
    await succeed(["logits", ...TEACHER, ...args, ...ENCODING, "--out", "l.npy", "--overwrite"], cwd);
    return readFileSync(join(cwd, "l.npy"));
  };
  const column = ["--text-column", "summary"];
  const wanted = await logits("--data", "t.jsonl", "--label-column", "section", ...column);
  expect(await logits("--data", "alone.csv", ...column)).toEqual(wanted);
  expect(await logits("--data", "ids.csv", "--drop-columns", "id", ...column)).toEqual(wanted);
  const training = ["train-teacher", "--data", "alone.csv", ...column, ...ENCODING, "--out", "none"];
  expect(await refused(training, cwd, 1, "BAD_DATA")).toContain(
    "no sample has a label, which classes need; a text encoder's vectors need none: `distillery logits --teacher ENCODER " +
      "--data alone.csv --out vectors.npy`, then `distillery distill --data alone.csv --teacher vectors.npy --targets vectors.npy` (BAD_DATA)",
  );
  const predict = async (...args: string[]) =>
    (await succeed(["predict", ...args, "--student", TEACHER[1], "--json"], cwd))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  const labelled = await predict("t.jsonl");
  const plain = await predict("t.jsonl", "--drop-columns", "section");
  expect(labelled.map(({ label, ...rest }) => [typeof label, rest])).toEqual(plain.map((one) => ["number", one]));
  const both = ["predict", "t.jsonl", "--student", TEACHER[1], "--drop-columns", "section,summary"];
  expect(await refused(both, cwd, 2, "BAD_ARGUMENT")).toContain('trained with the columns "summary", "section"');
});

// 17: the last batch of the 86 samples has one, so that the loss's modules are looked at before the run.
test.each([
  ["distill", ["--loss", "cross-entropy + hint"], /^Epoch \[1\/1\] .* hint: \d\.\d{4} /m],
  [
    "compare",
    ["--losses", "cross-entropy + hint, kd + crd(negatives=4)", "--seeds", "1"],
    /^Written to .*compare\.json/m,
  ],
  ["sweep", ["--loss", "kd + hint", "--temperatures", "1,2"], /^Written to .*sweep\.json/m],
])("%s reads the hidden outputs of a teacher that has an encoding of its own", async (command, loss, printed) => {
  const table = ["--data", "t.jsonl", "--label-column", "section", "--text-column", "summary"];
  const own = ["--text-encoding", "hash(buckets=900, length=30)", "--batch-size", "17", "--epochs", "1"];
  const to = ["--no-report", "--out", `hidden-${command}`];
  const out = await succeed([command, ...table, ...own, ...TEACHER, ...STUDENT_NETWORK, ...loss, ...to], cwd);
  expect(out).toMatch(printed);
});

test("texts without a label teach too", async () => {
  const data = ["--data", "some.jsonl", "--unlabelled", ...DATA.slice(2)];
  const out = await succeed(["distill", ...data, ...TEACHER, ...STUDENT_NETWORK, ...RUN, "--out", "unlabelled"], cwd);
  expect(out).toMatch(/^Test accuracy: student (9\d|100)/m);
});

test.each([
  ["regression", ["--label-column", "length"], /R2/],
  ["multi-label", ["--label-columns", "odd,even"], /average precision/i],
])("%s of texts", async (task, labels, printed) => {
  const data = ["--data", "targets.csv", "--text-column", "summary", ...labels, "--task", task, ...ENCODING];
  const network = ["--teacher-network", "text_bag(buckets=500, dim=8)"];
  const out = await succeed(["train-teacher", ...data, ...network, ...RUN, "--out", task], cwd);
  expect(out).toMatch(printed);
});

describe("one clear line for", () => {
  const distill = (...args: string[]) => ["distill", ...DATA, ...TEACHER, ...args, "--out", "refused"];

  test("a text column that is missing", async () => {
    const args = ["distill", "--data", "t.jsonl", "--text-column", "body", ...TEACHER, ...STUDENT_NETWORK];
    expect(await refused(args, cwd, 2, "BAD_ARGUMENT")).toContain(
      '--text-column: expected a column of t.jsonl, "id", "section", "summary"',
    );
  });

  test("a table with fewer rows than there are ids", async () => {
    const text = "its table has 100 rows, the encoding of t 500 ids: give both the same buckets (BAD_ARGUMENT)";
    const network = "text_bag(buckets=100)";
    expect(await refused(distill("--student", network), cwd, 2, "BAD_ARGUMENT")).toBe(`--student: ${text}`);
    const training = ["train-teacher", "--data", "t.jsonl", "--label-column", "section", "--text-column", "summary"];
    const teacher = [...training, ...ENCODING, "--drop-columns", "id", "--teacher-network", network];
    expect(await refused(teacher, cwd, 2, "BAD_ARGUMENT")).toBe(`--teacher-network: ${text}`);
  });

  test("an encoding of texts for a table without them", async () => {
    writeFileSync(join(cwd, "numbers.csv"), ["a,b,y", "1,2,p", "2,1,q", "1,3,p", "3,1,q", ""].join("\n"));
    const args = (...more: string[]) => ["distill", "--data", "numbers.csv", ...TEACHER, ...more, "--out", "refused"];
    const text = "numbers.csv has no text column, which would be encoded: textColumn (--text-column) names one";
    for (const [flag, value] of [
      ["--tokenizer", "nope.json"],
      ["--text-encoding", "tokenizer(file=nope.json)"],
      ["--text-encoding", "hash(buckets=10)"],
    ]) {
      expect(await refused(args(flag, value), cwd, 2, "BAD_ARGUMENT")).toBe(`${flag}: ${text} (BAD_ARGUMENT)`);
    }
  });

  test("options of numbers for texts", async () => {
    const args = ["train-teacher", ...DATA, "--out", "refused"];
    expect(await refused([...args, "--no-standardize"], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--no-standardize: is for columns of numbers, and t.jsonl has none: leave it out (BAD_ARGUMENT)",
    );
    expect(await refused([...args, "--missing", "mean"], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--missing: is for cells of numbers and categories, and t.jsonl has texts: leave it out (BAD_ARGUMENT)",
    );
  });

  test("what the network's file decides, unless it is the same", async () => {
    const file = TEACHER[1];
    const commands = [
      ["evaluate", file, "--data", "t.jsonl"],
      ["predict", "new.csv", "--student", file],
    ];
    const leave = "which its file says: leave it out (BAD_ARGUMENT)";
    for (const command of commands) {
      for (const [flag, value, own] of [
        ["--text-encoding", "hash", "another encoding, hash"],
        ["--text-column", "nope", 'the text column "summary"'],
        ["--label-column", "nope", 'the label "section"'],
        ["--drop-columns", "summary", 'the columns "summary", "section"'],
      ]) {
        const text = `${flag}: the network was trained with ${own}, ${leave}`;
        expect(await refused([...command, flag, value], cwd, 2, "BAD_ARGUMENT")).toBe(text);
      }
      expect(await refused([...command, "--tokenizer", "nope.json"], cwd, 1, "NOT_FOUND")).toContain("nope.json");
      const plain = JSON.parse((await succeed([...command, "--json"], cwd)).split("\n")[0]);
      const same = ["--label-column", "section", "--text-column", "summary", "--drop-columns", "id", ...ENCODING];
      const again = JSON.parse((await succeed([...command, ...same, "--json"], cwd)).split("\n")[0]);
      expect({ ...again, latencyMs: 0 }).toEqual({ ...plain, latencyMs: 0 });
    }
    expect(await refused([...commands[1], "--targets", "nope.npy"], cwd, 2, "BAD_ARGUMENT")).toBe(
      "--targets: says how --data are read, and the network's file says it all: leave it out (BAD_ARGUMENT)",
    );
  });

  test("a network of numbers, and random changes", async () => {
    expect(await refused(distill("--student", "mlp"), cwd, 2, "BAD_ARGUMENT")).toContain(
      "--student: takes numbers, and t has texts",
    );
    expect(await refused(distill(...STUDENT_NETWORK, "--augment", "mixup=1"), cwd, 2, "BAD_ARGUMENT")).toContain(
      "has texts, which are ids: they can't be shifted or mixed",
    );
  });
});
