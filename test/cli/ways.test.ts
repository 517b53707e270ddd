import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  averaged,
  type ConfigOf,
  type Dataset,
  defineConfig,
  evaluate,
  loadData,
  loadNetwork,
} from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { failure, temporaryFolder } from "../support.js";
import { commandsOf, documentation } from "./documented_commands.js";
import { bytes, distillery, jsonLines, refused, STUDENT, succeed, userFolder } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;

/** The commands of a section of the guide, as arguments. */
function guided(section: string): string[][] {
  return commandsOf(documentation("docs/guide.md", section)).flat();
}

async function runSection(section: string): Promise<string> {
  const commands = guided(section);
  expect(commands.length).toBeGreaterThan(0);
  let last = "";
  for (const command of commands) last = await succeed(command, cwd);
  return last;
}
const configOf = (...out: string[]) => JSON.parse(readFileSync(join(cwd, ...out, "config.json"), "utf8"));

beforeAll(() => {
  cwd = userFolder(temporary);
  copyFileSync(join(cwd, "rows.csv"), join(cwd, "flowers.csv"));
  // Right but for every fourth flower, of which they are too sure.
  const logits = Float32Array.from({ length: 270 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3];
    const right = column === 2 - (row % 3);
    return row % 4 === 1 ? (right ? 0 : 9 * column) : right ? 4 : 0;
  });
  writeFileSync(join(cwd, "logits.npy"), npy([90, 3], logits));
});

describe("several teachers", () => {
  const two = ["--teacher", "runs/a/teacher.safetensors", "--teacher", "runs/b/teacher.safetensors"];
  const common = ["--data", "flowers.csv", "--epochs", "2"];

  const printed: string[] = [];

  beforeAll(async () => {
    for (const command of guided("Several teachers")) printed.push(await succeed(command, cwd));
  });

  test("the guide's commands give the average and the most confident", () => {
    expect(printed.at(-2)).toMatch(/Test accuracy: student .*, teacher .*, agreement /);
    expect(configOf("runs", "confident").teacherTemperature).toBeGreaterThan(1);
    expect(configOf("runs", "averaged")).toMatchObject({
      teacherNetwork: expect.stringContaining("hidden=[64]"),
      average: "probabilities",
      teacherWeights: [2, 1],
      userOptions: { teacher: ["runs/a/teacher_best.safetensors", "runs/b/teacher_best.safetensors"] },
    });
  });

  test("the configuration of the run, as a file, repeats it; other weights do not resume it", async () => {
    const again = ["distill", "--config", "runs/averaged/config.json", "--out", "again", "--no-report"];
    await succeed(again, cwd);
    expect(configOf("again")).toEqual(configOf("runs", "averaged"));
    const other = await refused([...again, "--resume", "--teacher-weights", "1,1"], cwd, 78, "BAD_CONFIG");
    expect(other).toMatch(/teacherWeights was \[2,1\], is \[1,1\]/);
  });

  test("compare trains students with the average, in processes", async () => {
    const compare = ["compare", ...common, ...two, "--seeds", "2", "--teacher-confidence", "--no-report"];
    expect(await succeed([...compare, "--out", "compared"], cwd)).toMatch(/agreement with the teacher/);
  });

  test("one flag, as it is named on the command line, is refused in one line", async () => {
    const wrong = ["distill", ...common, ...two, "--teacher-weights", "1,2,3", "--out", "refused"];
    const message = "--teacher-weights: expected 2 numbers, one for each teacher, got 3 (BAD_ARGUMENT)";
    expect(await refused(wrong, cwd, 2, "BAD_ARGUMENT")).toBe(message);
  });
});

describe("a chain and generations", () => {
  const common = ["--data", "flowers.csv", "--epochs", "3", "--lr", "0.01", "--no-report"];
  const weights = (...out: string[]) => bytes(cwd, ...out, `${STUDENT}_best.safetensors`);
  const best = (out: string, name = STUDENT) => join(out, `${name}_best.safetensors`);

  test("the guide's commands print a line for each link and generation", async () => {
    const chain = await runSection("Teacher assistants");
    expect(chain).toMatch(/^link-1 +mlp\(hidden=\[64\].*\n *link-2 .*\n *link-3 +mlp\(hidden=\[8\]/m);
    expect(chain).toMatch(/^Student: runs.chain.link-3.distilled_student_model_lowest_best\.safetensors$/m);
    const generations = await runSection("Born-again networks");
    expect(generations).toMatch(
      /^generation-0 .*\n *generation-1 .*\n *generation-2 .*\n *generation-3 .*\n *ensemble +\d/m,
    );
    const { ensemble, links } = JSON.parse(readFileSync(join(cwd, "runs", "born-again", "generations.json"), "utf8"));
    expect(links.map(({ seed }: { seed: number }) => seed)).toEqual([0, 1, 2, 3]);
    expect(configOf("runs", "born-again", "generation-1").loss).toMatchObject({ name: "kd", temperature: 1 });
    const files = links.slice(1).map(({ file }: { file: string }) => join(cwd, file));
    const networks = await Promise.all(files.map((file: string) => loadNetwork(file)));
    const { test: held } = await loadData(join(cwd, "flowers.csv"));
    expect(ensemble).toBe(evaluate(averaged(networks, { average: "probabilities" }), held as Dataset).accuracy);
  });

  test("links are the runs of the single commands, to the bit", async () => {
    const networks = ["mlp(hidden=[16])", "mlp(hidden=[8])", "mlp(hidden=[4])"];
    const text = await succeed(["distill", ...common, "--chain", networks.join(" -> "), "--out", "chain"], cwd);
    expect(text).toMatch(/^The test set is for the end: .*; runs in this folder looked at it 3 times\.\nWritten to /m);
    const out = (i: number) => `hand-${i}`;
    await succeed(["train-teacher", ...common, "--teacher-network", networks[0], "--out", out(1)], cwd);
    const second = ["--teacher", best(out(1), "teacher"), "--student", networks[1], "--seed", "1", "--out", out(2)];
    await succeed(["distill", ...common, ...second], cwd);
    const third = ["--teacher", best(out(2)), "--student", networks[2], "--seed", "2", "--out", out(3)];
    await succeed(["distill", ...common, ...third], cwd);
    for (const i of [2, 3]) {
      expect(weights("chain", `link-${i}`)).toBe(weights(out(i)));
      const { userOptions, ...config } = configOf("chain", `link-${i}`);
      const { userOptions: ofHand, ...byHand } = configOf(out(i));
      expect(config).toEqual(byHand);
      expect(userOptions.seed).toEqual(ofHand.seed);
    }

    // Interrupted after the first link; a link that is done stays as it is.
    const before = ["link-2", "link-3"].map((link) => weights("chain", link));
    rmSync(join(cwd, "chain", "link-3"), { recursive: true });
    rmSync(join(cwd, "chain", "link-2", "checkpoint.safetensors"));
    await succeed(["distill", ...common, "--chain", networks.join(" -> "), "--out", "chain", "--resume"], cwd);
    expect(["link-2", "link-3"].map((link) => weights("chain", link))).toEqual(before);
    const other = ["distill", ...common, "--chain", "mlp([16]) -> mlp([8]) -> mlp([5])", "--out", "chain", "--resume"];
    const { code, stderr } = await distillery(other, cwd);
    expect(code).toBe(78);
    expect(stderr).toMatch(/^distillery: chain.link-3: can't resume .* student was .*\[4\].*, is .*\[5\]/m);

    // Nor does a call without --overwrite replace it.
    const kept = () =>
      ["link-1", "link-2", "link-3"].map((link) => bytes(cwd, "chain", link, "checkpoint.safetensors"));
    const checkpoints = kept();
    const longer = other.slice(0, -1).map((text) => (text === "3" ? "4" : text));
    const replaced = await distillery(longer, cwd);
    expect(replaced.code).toBe(78);
    expect(replaced.stderr).toMatch(
      /^distillery: chain.link-1: a run with other options is there: epochs was 3, is 4/m,
    );
    expect(kept()).toEqual(checkpoints);
  });

  test("links and generations are modules of the user's own too", async () => {
    const own = "./net.mjs#Tiny(hidden=6)";
    const chain = ["distill", ...common, "--chain", `${own} -> ./net.mjs#Tiny -> mlp([4])`, "--out", "own"];
    expect(await succeed(chain, cwd)).toMatch(/^link-3 +mlp\(hidden=\[4\]/m);
    expect(configOf("own", "link-2").teacherNetwork).toBe(own);
    const again = ["distill", ...common, "--student", own, "--generations", "2", "--out", "own-generations"];
    expect(await succeed(again, cwd)).toMatch(/^ensemble +\d/m);
  });

  test("a first link that is refused leaves nothing, and what was there", async () => {
    const chain = ["distill", ...common, "--chain", "mlp([4]) -> mlp([2])", "--teacher", "missing.pth"];
    mkdirSync(join(cwd, "was-there"));
    for (const out of [join("no", "chain"), "was-there"]) {
      const { stderr } = await distillery([...chain, "--out", out], cwd);
      expect(stderr).toMatch(/^distillery: missing\.pth: no such file \(NOT_FOUND\)$/m);
    }
    expect(existsSync(join(cwd, "no"))).toBe(false);
    expect(readdirSync(join(cwd, "was-there"))).toEqual([]);
  });

  test.each([
    ["mlp([4]) -> resnet8", [], "resnet8 takes images [channels, height, width], got samples of [2]"],
    ["mlp([4]) -> text_bag(dim=4)", [], "reads texts, and flowers has none: --text-column names their column"],
    [
      "mlp([4]) -> mlp([2])",
      ["--loss", "hint(student=no, teacher=fc1)"],
      '--loss: hint: student: no module "no". It has',
    ],
    [
      "mlp([4]) -> mlp([2])",
      ["--loss", "cross-entropy + hint", "--calibrate-teacher"],
      "--calibrate-teacher: is for losses of the teacher's logits, and cross-entropy+hint does not read them",
    ],
    [
      "mlp([4]) -> mlp([2])",
      ["--loss", "cross-entropy + hint", "--teacher-cache"],
      "--teacher-cache: the loss reads hidden outputs of the teacher",
    ],
    [
      "mlp([4]) -> mlp([2])",
      ["--loss", "cross-entropy + hint", "--optimizer", "./first_two.mjs"],
      "--optimizer: does not move the parameters of hint",
    ],
    [
      "mlp([4]) -> mlp([2])",
      ["--calibrate-teacher", "--teacher-mode", "train"],
      "--calibrate-teacher: a teacher in train mode changes with the run",
    ],
    [
      "mlp([4]) -> mlp([4], norm=batch)",
      ["--batch-size", "1"],
      "--batch-size: 1 makes batches of one sample, which BatchNorm can't take",
    ],
  ])("a later link that does not fit is refused before the first is trained: %s %j", async (chain, more, text) => {
    const optimizer = "({ params, lr }) => new SGD(params.slice(0, 2), { lr })";
    writeFileSync(join(cwd, "first_two.mjs"), `import { SGD } from "distillery";\nexport default ${optimizer};\n`);
    const args = ["distill", ...common, "--chain", chain, ...more, "--out", "late"];
    expect(await refused(args, cwd, 2, "BAD_ARGUMENT")).toContain(`--chain: link 2: ${text}`);
    expect(existsSync(join(cwd, "late"))).toBe(false);
  });

  test("a loss that the data are not for is refused, also as a module's object", async () => {
    const numbers = Array.from({ length: 60 }, (_, i) => `${i % 7},${i % 5},${(i % 7) * 10.5 + (i % 5)}`);
    writeFileSync(join(cwd, "numbers.csv"), ["a,b,price", ...numbers].join("\n"));
    const text = 'import { kdDistillationLoss } from "distillery";\nexport default () => kdDistillationLoss();\n';
    writeFileSync(join(cwd, "kd_object.mjs"), text);
    const chain = [
      "distill",
      "--data",
      "numbers.csv",
      "--task",
      "regression",
      "--epochs",
      "1",
      "--chain",
      "mlp([4]) -> mlp([2])",
    ];
    for (const [i, loss] of ["kd", "mse + 0.5*kd(warmup=1)", "./kd_object.mjs"].entries()) {
      const { stderr, code } = await distillery([...chain, "--loss", loss, "--out", `no-${i}`, "--no-report"], cwd);
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /^distillery: .*loss: kd is for classification, and the data are for regression: .*mse, mae, huber/m,
      );
    }
  });

  test("a later link's dimensions are its own, and refused before the first is trained", async () => {
    const [x, y] = [2, 4].map((k) =>
      npy(
        [40, k],
        Float32Array.from({ length: 40 * k }, (_, i) => Math.sin(i * i)),
      ),
    );
    mkdirSync(join(cwd, "vectors"));
    writeFileSync(join(cwd, "vectors", "x.npy"), x);
    writeFileSync(join(cwd, "vectors", "y.npy"), y);
    const data = ["--data", "vectors", "--task", "vectors", "--epochs", "1", "--no-report"];
    const chain = ["distill", ...data, "--chain", "mlp([4]) -> mlp([2])", "--dimensions", "3", "--out", "short"];
    const { code, stderr } = await distillery(chain, cwd);
    expect(code).toBe(1);
    expect(stderr).toContain("--chain: link 2: student: expected the targets' 4 dimensions, as the default loss");
    const same = await distillery([...chain, "--loss", "logit-mse"], cwd);
    expect(same.stderr).toContain(
      "--chain: link 2: student: gives 3 dimensions a sample and the teacher 4, which logit-mse compares",
    );
    expect(existsSync(join(cwd, "short"))).toBe(false);
    const projected = [...chain, "--loss", "vector-kd(projection=true)"];
    expect(await succeed([...projected, "--dry-run"], cwd)).toMatch(/^student: Mlp.*\n.*\n.*\n.*out_features=3, /m);
    await succeed(projected, cwd);
  });

  test("generations from a teacher: the first is distilled from it", async () => {
    const first = ["--teacher-network", "mlp(hidden=[16])", "--out", "first"];
    await succeed(["train-teacher", ...common, ...first], cwd);
    const teacher = ["--teacher", best("first", "teacher"), "--student", "mlp(hidden=[8])"];
    const text = await succeed(["distill", ...common, ...teacher, "--generations", "2", "--out", "generations"], cwd);
    await succeed(["distill", ...common, ...teacher, "--out", "alone"], cwd);
    expect(weights("generations", "generation-1")).toBe(weights("alone"));
    // Those of both generations, and that of all together.
    expect(text).toMatch(/^The test set is for the end: .*; runs in this folder looked at it 3 times\.$/m);
    expect(configOf("generations", "generation-2").testEvaluations.count).toBe(2);
    // The second has learned from the first, which more epochs would change.
    const longer = ["distill", ...common.with(3, "4"), ...teacher, "--generations", "2", "--out", "generations"];
    expect(await refused([...longer, "--resume"], cwd, 78, "BAD_CONFIG")).toContain(
      "generation-1: epochs was 3, is 4, and generation-2 has learned from it: give the options of before",
    );
    expect(weights("generations", "generation-1")).toBe(weights("alone"));
    expect(readdirSync(join(cwd, "generations")).sort()).toEqual([
      "generation-1",
      "generation-2",
      "generations.json",
      "run.lock",
    ]);
  });

  test("a dry run names each link and writes nothing", async () => {
    const chain = ["--chain", "mlp([16]) -> mlp([8])", "--out", "dry", "--dry-run"];
    const text = await succeed(["distill", ...common, ...chain], cwd);
    expect(text).toMatch(/^Time of link-1, about: .*\nTime of link-2, about: /m);
    expect(existsSync(join(cwd, "dry"))).toBe(false);
    // The first link alone reads the label smoothing.
    const smoothed = [...common, ...chain, "--alpha", "1", "--label-smoothing", "0.1"];
    expect(await succeed(["distill", ...smoothed], cwd)).toMatch(/^Time of link-2, about: /m);
    // Generations are tried once: a thousand take no longer than two.
    const many = await succeed(["distill", ...common, "--generations", "1000", "--out", "dry", "--dry-run"], cwd);
    expect(many).toMatch(/^Time of generation-0, .*\nTime of generation-1 to generation-1000, about: 1000 times /m);
    const refusedLate = ["--loss", "cross-entropy + hint", "--calibrate-teacher"];
    await refused(["distill", ...common, ...chain, ...refusedLate], cwd, 2, "BAD_ARGUMENT");
  });
});

test("mutual learning: the guide's command, resumed and as a dry run", async () => {
  const text = await runSection("Mutual learning");
  expect(text).toMatch(/^student-1 .*\n *student-2 .*\n *together +mean of the probabilities .*\d%$/m);
  expect(text).toContain(`Students saved to ${join("runs", "mutual", "student-1_best.safetensors")}, `);
  expect(configOf("runs", "mutual")).toMatchObject({
    command: "mutual",
    student: [expect.stringContaining("hidden=[32]"), expect.stringContaining("hidden=[16, 16]")],
    userOptions: { student: ["mlp(hidden=[32])", "mlp(hidden=[16, 16])"] },
  });
  expect(text).toContain("The test set is for the end: choose by the validation set.");
  expect(configOf("runs", "mutual").testEvaluations.count).toBe(1);
  const [command] = guided("Mutual learning");
  const weights = () => bytes(cwd, "runs", "mutual", "student-2_best.safetensors");
  const before = weights();
  rmSync(join(cwd, "runs", "mutual", "student-2_best.safetensors"));
  await succeed([...command, "--resume", "--no-report"], cwd);
  expect(weights()).toBe(before);
  expect(await succeed([...command, "--out", "dry", "--dry-run"], cwd)).toMatch(/^Nothing was written\.$/m);
  expect(await succeed(["evaluate", "runs/mutual/student-1_best.safetensors", "--data", "flowers.csv"], cwd)).toMatch(
    /\d%/,
  );
});

test("without labels: the guide's command", async () => {
  const [header, ...rows] = readFileSync(join(cwd, "flowers.csv"), "utf8").split("\n");
  const partly = rows.map((row, i) => (i % 3 === 0 ? row.replace(/[^,]*$/, "") : row));
  writeFileSync(join(cwd, "more.csv"), [header, ...partly].join("\n"));
  const classes = ["--epochs", "20", "--teacher-network", "mlp(hidden=[64])", "--no-report", "--out", "runs/a"];
  await succeed(["train-teacher", "--data", "flowers.csv", ...classes], cwd);
  expect(await runSection("Without labels")).toMatch(/Test accuracy: student .*, teacher .*, agreement /);
  const [record] = jsonLines(readFileSync(join(cwd, "runs", "partly", "metrics.jsonl"), "utf8"));
  expect(record.labelled).toBeGreaterThan(0);
  expect(configOf("runs", "partly").unlabelled).toBe(true);
});

test("the guide's programs of losses and ways to train", async () => {
  const programs = ["Teacher assistants", "Born-again networks", "Mutual learning", "Without labels", "Losses"].map(
    (section) => {
      const text = documentation("docs/guide.md", section);
      return /```ts\n(.*?)```/s.exec(text)?.[1] ?? "";
    },
  );
  const names =
    "createNetwork, distill, distillChain, dkdLoss, Ensemble, evaluate, loadData, mutual, rkdLoss, splitDataset, TensorDataset, tensor";
  const library = new URL("../../dist/index.js", import.meta.url).href;
  const source = [`import { ${names} } from ${JSON.stringify(library)};`, ...programs].join("\n");
  // The only types in them.
  writeFileSync(
    join(cwd, "program.mjs"),
    source.replace("(network: string)", "(network)").replace("links[0]!", "links[0]"),
  );
  const { stdout, stderr } = spawnSync(process.execPath, ["program.mjs"], { cwd, encoding: "utf8" });
  expect(stdout, stderr).toMatch(
    /^link-1 [\d.]+\nlink-2 [\d.]+\nlink-3 [\d.]+\n[\d.]+\nwithout labels [\d.]+\n[\d.]+ \[ 2, 3 \]\n$/,
  );
  // The first run is that of the command, to the bit; later a command draws the teacher that it reads before the
  // student.
  const command = ["train-teacher", "--data", "flowers.csv", "--epochs", "20", "--out", "by-itself", "--no-report"];
  await succeed([...command, "--teacher-network", "mlp(hidden=[64])"], cwd);
  const first = (...out: string[]) => bytes(cwd, ...out, "teacher_best.safetensors");
  expect(first("runs/chain-of-a-program", "link-1")).toBe(first("by-itself"));
  expect(existsSync(join(cwd, "runs/mutual-of-a-program/student-2.safetensors"))).toBe(true);
});

test("patient and consistent: the guide's command", async () => {
  await runSection("Patient and consistent");
  expect(configOf("runs", "patient")).toMatchObject({ augment: { mixup: 1, noise: 0.1 }, teacherMode: "eval" });
});

test("self-distillation: the guide's command", async () => {
  expect(await runSection("Self-distillation")).toMatch(/^Test accuracy: student \d+\.\d\d%$/m);
  expect(configOf("runs", "self")).toMatchObject({ teacher: "ema(decay=0.99)", teacherHash: null });
});

const data = "flowers.csv";
const [A, B] = ["a.safetensors", "b.safetensors"];
const chain = "mlp([16]) -> mlp([8])";
test.each<[string, ConfigOf<"distill">, string]>([
  ["an average of one", { teacher: A, average: "logits" }, "average: needs two teachers or more, got 1"],
  ["an ONNX teacher's size of none", { teacherSize: 8 }, "teacherSize: needs a teacher's file (--teacher)"],
  [
    "an ONNX teacher's size of a column",
    { teacherColumn: "scores", teacherClasses: ["a", "b"], teacherSize: 8 },
    "teacherSize: needs a teacher's file (--teacher)",
  ],
  [
    "answers of a chain that asks none",
    { chain: "mlp([4]) -> mlp([2])", teacherAnswers: "a" },
    "teacherAnswers: needs a teacher's file (--teacher)",
  ],
  ["weights of none", { teacherWeights: [1] }, "teacherWeights: needs two teachers or more, got 0"],
  ["a weight of 0", { teacher: [A, B], teacherWeights: [1, 0] }, "teacherWeights.1: expected a number above 0, got 0"],
  [
    "another average",
    { teacher: [A, B], average: "mean" as "logits" },
    'average: expected "logits" or "probabilities", got "mean"',
  ],
  ["an empty list", { teacher: [] }, "teacher: expected a file, or a list of files"],
  [
    "one link",
    { chain: "mlp([16])" },
    'chain: expected two networks or more, as "mlp(hidden=[64]) -> mlp(hidden=[16])", got "mlp([16])"',
  ],
  ["an unknown network", { chain: "mlp([16]) -> mpl([8])" }, 'chain: link 2: unknown network "mpl"'],
  [
    "a student beside a chain",
    { chain, student: "student" },
    "student: the last network of the chain is the student: leave this option out",
  ],
  ["chain and generations", { chain, generations: 2 }, "generations: chain is given too: leave one of the two out"],
  ["no generation", { generations: 0 }, "generations: expected a whole number of at least 1, got 0"],
  [
    "one table for all links",
    { chain, csv: "all.csv" },
    'csv: expected true or false, got "all.csv": each network of the chain has its own in its folder',
  ],
])("refused: %s", async (_, options, message) => {
  const config = async () => defineConfig("distill", { data, ...options });
  expect((await failure(config(), "BAD_CONFIG")).message).toContain(message);
});

test("refused: one student of a mutual run", async () => {
  const one = async () => defineConfig("mutual", { data, student: ["student"] });
  const flag = await refused(["mutual", "--data", data, "--student", "mlp([8])"], cwd, 2, "BAD_ARGUMENT");
  const expected = "expected two networks or more (--student for each, in a file or a program a list)";
  expect(flag).toBe(`--student: ${expected}, got "mlp([8])" (BAD_ARGUMENT)`);
  const list = await refused(["mutual", "--data", data, "--student", "mlp([8]), mlp"], cwd, 2, "BAD_ARGUMENT");
  expect(list).toBe(`--student: ${expected}, got "mlp([8]), mlp" (BAD_ARGUMENT)`);
  expect((await failure(one(), "BAD_CONFIG")).message).toBe(`student: ${expected}, got ["student(hidden=[512, 256])"]`);
});

test("refused: a loss that a mutual run does not take, before a dry run too", async () => {
  const args = ["mutual", "--data", "flowers.csv", "--student", "mlp([4])", "--student", "mlp([4])", "--dry-run"];
  expect(await refused([...args, "--loss", "cross-entropy + rkd"], cwd, 2, "BAD_ARGUMENT")).toMatch(
    /^--loss: expected one that compares logits, as .*, got cross-entropy\+rkd /,
  );
  const unread = ["--loss", "kd(temperature=1)", "--label-smoothing", "0.1"];
  expect(await refused([...args, ...unread], cwd, 2, "BAD_ARGUMENT")).toMatch(/^--label-smoothing: no term /);
});

test("refused: students of a mutual run that learn no classes, before a dry run too", async () => {
  const table = join(cwd, "numbers.csv");
  writeFileSync(table, ["a,y", ...Array.from({ length: 40 }, (_, i) => `${i / 7},${i / 3}`)].join("\n"));
  const args = ["mutual", "--data", table, "--label-column", "y", "--task", "regression", "--dry-run"];
  expect(await refused(args, cwd, 2, "BAD_ARGUMENT")).toBe(
    "--data: students teach each other classes, and the data are for regression: train a network by itself " +
      "(train-teacher) and distil it (distill) (BAD_ARGUMENT)",
  );
});

test("notes about the data are not said with --quiet, and not once more at a chain's end", async () => {
  const rows = Array.from(
    { length: 60 },
    (_, i) => `${["good film", "bad film", "so so"][i % 3]} ${i},${"abc"[i % 3]}`,
  );
  writeFileSync(join(cwd, "reviews.csv"), ["text,label", ...rows].join("\n"));
  const common = ["--data", "reviews.csv", "--epochs", "1", "--no-report"];
  const network = "text_bag(dim=4)";
  const stderrOf = async (...args: string[]) => {
    const { code, stderr } = await distillery(args, cwd);
    expect(code, stderr).toBe(0);
    return stderr;
  };
  const mutual = ["mutual", ...common, "--student", network, "--student", network];
  expect(await stderrOf(...mutual, "--out", "told")).toContain('"text" is read as text');
  expect(await stderrOf(...mutual, "--out", "quiet", "--quiet")).toBe("");
  const generations = ["distill", ...common, "--student", network, "--generations", "1"];
  // Once a link.
  expect((await stderrOf(...generations, "--out", "noted")).match(/"text" is read as text/g)).toHaveLength(2);
  expect(await stderrOf(...generations, "--out", "quiet-chain", "--quiet")).toBe("");
  expect(await stderrOf(...generations, "--out", "dry", "--dry-run", "--quiet")).toBe("");
});
