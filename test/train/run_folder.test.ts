import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { changesOf } from "../../src/checkpoint/config_changes.js";
import { removeReplacedLinks } from "../../src/checkpoint/replaced.js";
import { makeFolder } from "../../src/files/index.js";
import { csvLog, Generator, trainTeacher, withGenerator } from "../../src/index.js";
import { cpuTime } from "../helpers/cpu_time.js";
import { ORDINARY_USER, testWith } from "../helpers/needs.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, type Options, setting, start } from "./support.js";

const folder = temporaryFolder();
const configOf = (out: string) => JSON.parse(readFileSync(join(out, "config.json"), "utf8")) as Record<string, unknown>;
const isWindows = process.platform === "win32";
let count = 0;

/** A folder with a finished run of one epoch. */
async function finished(options: Options = {}): Promise<string> {
  const out = join(folder, `run-${count++}`);
  await start({ epochs: 1, ...options, out }).done;
  return out;
}

describe("a run where another one is", () => {
  test("of the same options begins anew", async () => {
    const out = await finished();
    await start({ epochs: 1, out }).done;
  });

  test("of other options is refused, with what differs, and nothing changes", async () => {
    const out = await finished();
    const before = readdirSync(out).map((name) => [name, readFileSync(join(out, name))]);
    const { message } = await failure(start({ epochs: 1, lr: 0.5, out }).done, "BAD_CONFIG");
    expect(message).toBe(
      `${out}: a run with other options is there: lr was 0.01, is 0.5: --overwrite replaces it (overwrite: true in a ` +
        "program), or choose another folder",
    );
    expect(readdirSync(out).map((name) => [name, readFileSync(join(out, name))])).toEqual(before);
    await start({ epochs: 1, lr: 0.5, out, overwrite: true }).done;
    expect(configOf(out).lr).toBe(0.5);
  });

  test("is replaced with the weights and the report that it wrote, once the options are others; what is beside it stays", async () => {
    const out = join(folder, "replaced");
    const begin = async (options: object, signal = new AbortController().signal) =>
      withGenerator(new Generator(0), () => {
        const { data, teacher } = setting();
        return trainTeacher({ model: teacher.unfreeze(), data, batchSize: BATCH, epochs: 1, out, signal, ...options });
      });
    const [validated, stopped] = [{ validation: setting().data }, AbortSignal.abort()];
    await begin(validated);
    for (const name of ["mine.safetensors", "teacher_old.pth", "notes.txt"]) writeFileSync(join(out, name), "x");
    const before = readdirSync(out).sort();
    expect(before).toEqual(expect.arrayContaining(["report.html", "teacher_best.pth", "teacher_best.safetensors"]));
    await failure(begin({ ...validated, overwrite: true }, stopped), "ABORTED");
    expect(readdirSync(out).sort()).toEqual(before.filter((name) => name !== "metrics.jsonl"));
    await failure(begin({ lr: 0.5, overwrite: true }, stopped), "ABORTED");
    const others = ["config.json", "mine.safetensors", "notes.txt", "run.lock", "teacher_old.pth"];
    expect(readdirSync(out).sort()).toEqual(["checkpoint.safetensors", ...others]);
    await begin({ lr: 0.5, resume: true, report: false });
    expect(readdirSync(out)).not.toContain("report.html");
    expect(
      readdirSync(out)
        .filter((name) => name.startsWith("teacher"))
        .sort(),
    ).toEqual(["teacher.pth", "teacher.safetensors", "teacher_old.pth"]);
  });

  test("with more epochs can go on, another module has changed, and hashes are no words for it", async () => {
    const out = await finished();
    const longer = await failure(start({ epochs: 2, out }).done, "BAD_CONFIG");
    expect(longer.message).toContain(
      "epochs was 1, is 2: --resume goes on with it (resume: true in a program), --over",
    );
    const other = await failure(start({ epochs: 1, out, teacher: setting(60).teacher }).done, "BAD_CONFIG");
    expect(other.message).toContain("the teacher's file (its weights or logits) has changed: --overwrite");
    const own = { ...configOf(out), modules: { "./loss.mjs": "12" } };
    expect(changesOf(own, { ...own, modules: { "./loss.mjs": "34", "./net.mjs": "5" } })).toEqual([
      "./loss.mjs has changed",
      "./net.mjs was not used",
    ]);
    expect(changesOf(own, { ...own, augment: { flip: 0.5 } })).toEqual(['augment was not set, is {"flip":0.5}']);
  });

  test("failed in its first step, and left nothing but its configuration", async () => {
    const out = join(folder, "failed");
    const loss = () => {
      throw new Error("thrown");
    };
    await expect(start({ epochs: 1, loss, out }).done).rejects.toThrow("thrown");
    expect(readdirSync(out).sort()).toEqual(["config.json", "run.lock"]);
    await start({ epochs: 1, out }).done;
    expect(configOf(out).temperature).toBe(3.5);
  });

  test("of another command, or with a configuration that is damaged", async () => {
    const out = await finished();
    const { data, teacher: model } = setting();
    const run = () => trainTeacher({ model: model.unfreeze(), data, epochs: 1, batchSize: BATCH, out });
    expect((await failure(run(), "BAD_CONFIG")).message).toContain('command was "distill", is "train-teacher"');
    writeFileSync(join(out, "config.json"), "{");
    expect((await failure(run(), "BAD_CONFIG")).message).toContain("is not JSON: --overwrite replaces it");
  });
});

describe("a finished run goes on", () => {
  test("with more epochs, recorded in config.json, and resumes as such to the bit", async () => {
    const notes: string[] = [];
    const schedule = "constant";
    const out = await finished({ schedule });
    const longer = { schedule, epochs: 3, resume: true, onNote: (text: string) => notes.push(text) };
    const controller = new AbortController();
    const stop: Options = { signal: controller.signal, onStep: ({ step }) => step === 6 && controller.abort() };
    await failure(start({ ...longer, ...stop, out }).done, "ABORTED");
    expect(notes[0]).toBe(`${out}: goes on to epoch 3 instead of 1, by the schedule of 3 from here on`);
    expect(configOf(out)).toMatchObject({ epochs: 3, extended: [{ epochs: 1 }] });
    const end = await start({ ...longer, out }).end;
    // A constant rate does not depend on the number of epochs: the run is the one that had three from its beginning.
    const whole = await start({ schedule, epochs: 3 }).end;
    expect(end).toEqual({
      ...whole,
      history: whole.history.map((record, i) => (i === 0 ? { ...record, epochs: 1 } : record)),
    });
  });

  test("not one that keeps no optimizer's state, whose result is there all the same", async () => {
    const out = await finished({ keepCheckpoints: 0 });
    const kept = await finished();
    const size = (folder: string) => statSync(join(folder, "checkpoint.safetensors")).size;
    expect(size(out)).toBeLessThan(0.6 * size(kept));
    expect(readdirSync(out).filter((name) => name.startsWith("checkpoint."))).toEqual(["checkpoint.safetensors"]);
    const { history } = await start({ epochs: 1, out, keepCheckpoints: 0, resume: true }).done;
    expect(history).toHaveLength(1);
    const before = configOf(out);
    const notes: string[] = [];
    const onNote = (text: string) => notes.push(text);
    const { message } = await failure(start({ epochs: 2, out, resume: true, onNote }).done, "BAD_CHECKPOINT");
    expect(notes).toEqual([]);
    expect(message).toContain("is of a finished run, kept without the optimizer's state: it can't go on");
    expect(configOf(out)).toEqual(before);
  });

  test("not with fewer epochs, and not with other options too", async () => {
    const out = await finished({ epochs: 2 });
    expect((await failure(start({ epochs: 1, out, resume: true }).done, "BAD_CONFIG")).message).toContain(
      "epochs was 2, is 1",
    );
    const { message } = await failure(start({ epochs: 3, lr: 0.5, out, resume: true }).done, "BAD_CONFIG");
    expect(message).toContain("configuration: lr was 0.01, is 0.5: ");
  });
});

describe("a folder that is no place for a run", () => {
  test("one that holds other things and no run; one with weights and a module is", async () => {
    const out = join(folder, "others");
    mkdirSync(join(out, "src"), { recursive: true });
    const { message } = await failure(start({ epochs: 1, out }).done, "BAD_ARGUMENT");
    expect(message).toBe(`${out}: holds other things, as "src", and no run: choose a folder of its own`);
    expect(readdirSync(out)).toEqual(["src"]);
    rmSync(join(out, "src"), { recursive: true });
    for (const name of [".gitkeep", "teacher.pth", "loss.mjs"]) writeFileSync(join(out, name), "");
    await start({ epochs: 1, out }).done;
  });

  test("one inside of another run's", async () => {
    const out = await finished();
    const { message } = await failure(start({ epochs: 1, out: join(out, "a", "b") }).done, "BAD_ARGUMENT");
    expect(message).toBe(`${join(out, "a", "b")}: lies in the folder of another run, ${out}: choose another`);
    expect(existsSync(join(out, "a"))).toBe(false);
  });

  testWith(ORDINARY_USER, "one below a folder that may not be listed, as homes are on clusters, is", async () => {
    const above = join(folder, "unlisted");
    mkdirSync(join(above, "mine"), { recursive: true });
    chmodSync(above, 0o311);
    await start({ epochs: 1, out: join(above, "mine", "run") }).done;
    chmodSync(above, 0o755);
    expect(existsSync(join(above, "mine", "run", "metrics.jsonl"))).toBe(true);
  });

  test.skipIf(process.platform !== "linux")("one that the system does not make: one line, at once", async () => {
    const { message } = await failure(start({ epochs: 1, out: "/proc/x/y" }).done, "IO_ERROR");
    expect(message).toBe("/proc/x/y: the system makes no folder there: choose another");
  });

  test.skipIf(isWindows)("a pipe as run.lock, run.owner or metrics.jsonl: one line, at once", async () => {
    for (const name of ["run.lock", "run.owner", "metrics.jsonl"]) {
      const out = join(folder, `pipe-${name}`);
      mkdirSync(out);
      execFileSync("mkfifo", [join(out, name)]);
      expect((await failure(start({ epochs: 1, out }).done, "IO_ERROR")).message).toContain(
        `${join(out, name)}: expected a file of a run, found a pipe`,
      );
    }
  });

  test("makeFolder makes those above, through links, and names the file in its way", () => {
    const path = join(folder, "one", "two", "three");
    makeFolder(path);
    makeFolder(path);
    expect(existsSync(path)).toBe(true);
    if (!isWindows) {
      symlinkSync(join(folder, "one"), join(folder, "link"));
      makeFolder(join(folder, "link", "four"));
      expect(existsSync(join(folder, "one", "four"))).toBe(true);
    }
    writeFileSync(join(folder, "file"), "");
    expect(() => makeFolder(join(folder, "file", "x"))).toThrow(/file.x: can't write it: a part of its path is a file/);
    if (isWindows) return;
    symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));
    expect(() => makeFolder(join(folder, "dangling"))).toThrow(
      /dangling: can't write it: .* a link that leads nowhere/,
    );
  });
});

test("what a killed process left half written is removed at the next start, and nothing else", async () => {
  const out = await finished();
  const left = [
    "checkpoint.safetensors.123456789",
    "metrics.jsonl.65433968",
    "metrics.csv.1213706598",
    "checkpoint.1.safetensors.new",
    "config.json.987654321",
    "run.owner.3000000000",
    "student.pth.4294967295",
  ];
  // A person's copies: numbered, by day, by seconds, by day and hour, and of files that are not the run's.
  const copies = [
    "student.pth.1",
    "best.pth.new",
    "checkpoint.safetensors.1718200000",
    "student.pth.2024061215",
    "student.pth.20240612",
  ];
  const others = ["notes.1", "data.csv.2", "results.json.20240612", "results.json.987654321", ...copies];
  for (const name of [...left, ...others]) writeFileSync(join(out, name), "x");
  await start({ epochs: 1, out, resume: true }).done;
  expect(readdirSync(out).filter((name) => left.includes(name))).toEqual([]);
  expect(readdirSync(out)).toEqual(expect.arrayContaining(others));
});

test.skipIf(isWindows)(
  "links of a chain that a shorter one replaces go with what a run wrote, links to folders stay",
  async () => {
    const chain = join(folder, "chain");
    const link = (i: number) => join(chain, `link-${i}`);
    for (const i of [1, 2, 3]) {
      await start({ epochs: 1, out: link(i) }).done;
      writeFileSync(join(link(i), "other.pth"), "");
    }
    mkdirSync(join(chain, "link-4"));
    writeFileSync(join(chain, "link-4", "config.json"), "{}");
    symlinkSync(link(1), link(5));
    removeReplacedLinks(chain, ["link-1"]);
    expect(readdirSync(link(1))).toContain("report.html");
    expect([2, 3, 4].map((i) => readdirSync(link(i)))).toEqual([["other.pth"], ["other.pth"], ["config.json"]]);
  },
);

test("a folder with another program's numbered file alone is not a place for a run", async () => {
  const out = join(folder, "numbered");
  mkdirSync(out);
  writeFileSync(join(out, "results.json.20240612"), "x");
  await failure(start({ epochs: 1, out }).done, "BAD_ARGUMENT");
  expect(readdirSync(out)).toEqual(["results.json.20240612"]);
});

test("a preprocessing that no file of weights keeps is refused before the first step", async () => {
  const out = join(folder, "long");
  const { data } = setting();
  const long = Object.defineProperty(data, "classNames", { value: ["a".repeat(90_000_000), "b", "c"] });
  const { message } = await failure(start({ epochs: 1, data: long, out }).done, "BAD_ARGUMENT");
  expect(message).toMatch(/^data: expected names and texts of at most 90000000 bytes, got 900001\d\d/);
  expect(existsSync(out)).toBe(false);
});

test("a log on a file of the run itself is refused", async () => {
  const out = join(folder, "log");
  for (const name of ["metrics.jsonl", "checkpoint.safetensors", "run.lock", "distilled_student_model_lowest.pth"]) {
    const { message } = await failure(start({ epochs: 1, out, logs: [csvLog(join(out, name))] }).done, "BAD_ARGUMENT");
    expect(message).toBe(`logs[0]: ${join(out, name)} is a file of the run itself: give another name`);
  }
  await start({ epochs: 1, out, logs: [csvLog(join(out, "metrics.csv"))] }).done;
});

test("as many checkpoints as there are numbers cost no time", async () => {
  const out = join(folder, "many");
  const begin = cpuTime();
  await start({ epochs: 2, checkpointEvery: { steps: 1 }, keepCheckpoints: 100_000_000, out }).done;
  expect(cpuTime() - begin).toBeLessThan(20_000);
  const kept = readdirSync(out).filter((name) => name.startsWith("checkpoint."));
  expect(kept).toHaveLength(8);
  await start({ epochs: 2, keepCheckpoints: 100_000_000, out }).done;
  expect(readdirSync(out).filter((name) => name.startsWith("checkpoint."))).toEqual(["checkpoint.safetensors"]);
});

test("a program's run writes its report, before onEnd is called, unless it is told not to", async () => {
  const out = join(folder, "report");
  const seen: boolean[] = [];
  const validation = setting(30).data;
  await start({ epochs: 1, out, validation, onEnd: () => void seen.push(existsSync(join(out, "report.html"))) }).done;
  expect(seen).toEqual([true]);
  expect(readFileSync(join(out, "report.html"), "utf8")).toContain("Distillation on synthetic");
  const [without, bare] = [await start({ epochs: 1, validation }).end, join(folder, "bare")];
  expect((await start({ epochs: 1, validation, out: bare }).end).random).toEqual(without.random);
  const none = join(folder, "none");
  await start({ epochs: 1, validation, out: none, report: false }).done;
  expect([existsSync(join(bare, "report.html")), existsSync(join(none, "report.html"))]).toEqual([true, false]);
});
