import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { defineConfig, readConfig } from "../../src/config/index.js";
import { refusal as refusedBy } from "../data/support.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();
let files = 0;

/** A new file with this text. */
function fileOf(text: string | Uint8Array, extension = "yaml"): string {
  const file = join(folder, `config-${files++}.${extension}`);
  writeFileSync(file, text);
  return file;
}

/** The message that such a file is refused with, without its name. */
async function refused(text: string | Uint8Array, extension?: string): Promise<string> {
  const file = fileOf(text, extension);
  const message = await refusedBy("BAD_CONFIG", () => readConfig("distill", file));
  expect(message.startsWith(`${file}: `), message).toBe(true);
  return message.slice(file.length + 2);
}

const GIVEN = { data: "rows", teacher: "t.pth", epochs: 3, lr: 0.001, augment: { shift: 2 }, checkpointEvery: 5 };
const YAML = `# a comment
data: rows
teacher: t.pth
epochs: 3
lr: 1e-3
augment:
  shift: 2
checkpointEvery: 5
`;

describe("a configuration file", () => {
  test.each([
    ["YAML", YAML, "yaml"],
    ["YAML, by its other name", YAML, "yml"],
    ["JSON", JSON.stringify(GIVEN), "json"],
    ["JSON with tabs", JSON.stringify(GIVEN, null, "\t"), "JSON"],
  ])("%s", async (_, text, extension) => {
    expect(await readConfig("distill", fileOf(text, extension))).toEqual(defineConfig("distill", GIVEN));
  });

  test("what else is given goes before it", async () => {
    const config = await readConfig("distill", fileOf(YAML), { lr: 0.1, epochs: 7 });
    expect(config).toEqual(defineConfig("distill", { ...GIVEN, lr: 0.1, epochs: 7 }));
  });

  test("the config.json of a run: what was given then", async () => {
    const ofRun = { command: "distill", epochs: 3, dataHash: "00", userOptions: GIVEN };
    const config = await readConfig("distill", fileOf(JSON.stringify(ofRun), "json"));
    expect(config).toEqual(defineConfig("distill", GIVEN));
  });
});

describe("mistakes", () => {
  test("all of them, each with its line", async () => {
    const text = `data: rows\nteacher: t.pth\nlrr: 1\nepochs: many\naugment:\n  shift: 2\n  flip: 3\nbatch-size: 32\n`;
    expect((await refused(text)).split("; ")).toEqual([
      "line 3: lrr: unknown option, did you mean lr?",
      'line 4: epochs: expected a whole number of at least 1, got "many"',
      "line 7: augment.flip: expected a number from 0 to 1, got 3",
      "line 8: batch-size: unknown option, did you mean batchSize?",
    ]);
  });

  test("in JSON, too, and in a run's config.json", async () => {
    const json = `{\n  "command": "distill",\n  "userOptions": {\n    "epochs": 0\n  }\n}`;
    expect(await refused(json, "json")).toBe("line 4: epochs: expected a whole number of at least 1, got 0");
    expect(await refused('{\n"seed": 1,\n"seed": 2\n}', "json")).toBe("line 3: a name occurs twice in an object");
    expect(await refused('{\n"seed": 1', "json")).toMatch(/^line 2: .* in JSON/);
  });

  test.each<[string, string, string, RegExp]>([
    ["YAML that is none", "a: [1\nb: 2\n", "yaml", /^line 2: Flow sequence/],
    ["a name that occurs twice", "lr: 1\nepochs: 2\nlr: 2\n", "yaml", /^line 3: Map keys must be unique$/],
    ["two documents", "lr: 1\n---\nlr: 2\n", "yaml", /^line 2: expected one document, got several \(---\)$/],
    ["a tag of someone's own", "lr: !run rm\n", "yaml", /^line 1: Unresolved tag: !run$/],
    ["JSON that is none", '{\n"lr": 1,\n}', "json", /^line 3: .* in JSON/],
    ["JSON that ends early", '{"lr": 1', "json", /^line 1: /],
    ["nothing", "", "yaml", /^expected options by their names, got null$/],
    ["a list", "- lr\n", "yaml", /^expected options by their names, got a value of type Array$/],
    ["a text", "lr", "yaml", /^expected options by their names, got "lr"$/],
    ["null where a text is meant", "data:\n", "yaml", /^line 1: data: expected a data set's name.*, got null$/],
    ["yes, which is a text", "report: yes\n", "yaml", /^line 1: report: expected true or false, got "yes"$/],
    ["not a number", "lr: .nan\n", "yaml", /^line 1: lr: expected a number above 0, got NaN$/],
    ["infinity", "lr: .inf\n", "yaml", /^line 1: lr: expected a number above 0, got Infinity$/],
    ["another object's names", "__proto__:\n  lr: 1\n", "yaml", /^line 1: __proto__: unknown option$/],
  ])("%s", async (_, text, extension, message) => {
    expect(await refused(text, extension)).toMatch(message);
  });

  test("what would take the memory of the machine, or its stack", async () => {
    const laughs = Array.from({ length: 12 }, (_, i) => `a${i}: &a${i} [${`*a${i - 1}, `.repeat(i && 9)}1]\n`).join("");
    expect(await refused(laughs)).toMatch(/Excessive alias count/);
    expect(await refused("[".repeat(60_000))).not.toBe("");
    expect(await refused(`{"a":${"[".repeat(60_000)}`, "json")).not.toBe("");
    expect(await refused("#".repeat(2 ** 16 + 1))).toBe("65537 bytes; a configuration has at most 65536");
  });

  test("what is no text, another kind of file, no file", async () => {
    expect(await refused(Uint8Array.of(0x61, 0xff))).toBe("is no text in UTF-8");
    expect(await refused("lr: 1", "toml")).toBe("expected a file whose name ends in .json, .yaml or .yml");
    const missing = join(folder, "missing.yaml");
    expect(await refusedBy("NOT_FOUND", () => readConfig("distill", missing))).toBe(`${missing}: no such file`);
  });

  test("options that exclude each other are refused without a line number", async () => {
    const file = fileOf("data: rows\n");
    expect(await refusedBy("BAD_CONFIG", () => readConfig("distill", file))).toBe(
      "teacher: needed with data rows; `distillery train-teacher` makes one",
    );
  });
});

test("~ is the home folder, where it stands for one", () => {
  const given = { data: "~/a.csv", out: "~", csv: "~/x/m.csv", logFile: "~other/log", tensorboard: "a/~" };
  expect(defineConfig("train-teacher", given)).toMatchObject({
    data: join(homedir(), "a.csv"),
    out: homedir(),
    csv: join(homedir(), "x", "m.csv"),
    logFile: "~other/log",
    tensorboard: "a/~",
  });
  const teacher = { data: "rows", teacher: "./t.mjs", teacherAnswers: "~/answers" };
  expect(defineConfig("distill", teacher)).toMatchObject({ teacherAnswers: join(homedir(), "answers") });
});

test("a call without the command, or with a file that is no name, is refused", async () => {
  const read = readConfig as unknown as (...given: unknown[]) => Promise<unknown>;
  expect(await refusedBy("BAD_ARGUMENT", () => read("x.yaml", {}))).toMatch(/^command: expected .*distill.*x\.yaml/);
  expect(await refusedBy("BAD_ARGUMENT", () => read("distill", {}))).toMatch(
    /^file: expected the name of a file, got /,
  );
});
