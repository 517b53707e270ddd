import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { WatchedFolder } from "../../src/watch/watched_folder.js";
import { newFolder } from "../cli/support.js";
import { temporaryFolder } from "../support.js";

const temporary = temporaryFolder();
const row = (epoch: number, loss: number) =>
  `${JSON.stringify({ epoch, epochs: 3, loss, validationAccuracy: 0.5, lr: 0.1, seconds: 1, samplesPerSecond: 9 })}\n`;

/** A folder with one run, and a name for each of its files. */
function folder(name = "a") {
  const root = newFolder(temporary);
  const file = (...path: string[]) => join(root, name, ...path);
  mkdirSync(file());
  writeFileSync(file("config.json"), JSON.stringify({ command: "distill", data: "flowers", epochs: 3 }));
  return { root, file, watched: new WatchedFolder(root) };
}

test("a run's records come as its file grows, is cut off and goes on", () => {
  const { file, watched } = folder();
  const news = () =>
    watched.scan().changed.map(({ from, records }) => [from, records.map(({ metrics }) => metrics.loss)]);
  expect(news()).toEqual([[0, []]]);
  expect(news()).toEqual([]);
  // The process dies while it writes.
  writeFileSync(file("metrics.jsonl"), `${row(1, 3)}${row(2, 2)}{"epoch":3,"ep`);
  expect(news()).toEqual([[0, [3, 2]]]);
  // It is resumed from its first epoch, and comes to another second one.
  writeFileSync(file("metrics.jsonl"), `${row(1, 3)}${row(2, 2.5)}`);
  expect(news()).toEqual([[1, [2.5]]]);
  writeFileSync(file("metrics.jsonl"), `${row(1, 3)}${row(2, 2.5)}${row(3, 1)}`);
  expect(news()).toEqual([[2, [1]]]);
  expect(watched.all().changed).toMatchObject([
    { path: "a", command: "distill", data: "flowers", epochs: 3, state: "done" },
  ]);
  expect(watched.all().changed[0]?.records[0]).toEqual({
    epoch: 1,
    epochs: 3,
    lr: 0.1,
    seconds: 1,
    samplesPerSecond: 9,
    metrics: { loss: 3, validationAccuracy: 0.5 },
  });
  rmSync(file(), { recursive: true });
  expect(watched.scan()).toEqual({ changed: [], removed: ["a"] });
});

test("of a file that grew the new rows are read alone, of one that was replaced or cut off all", () => {
  const { file, watched } = folder();
  const metrics = file("metrics.jsonl");
  const news = () =>
    watched.scan().changed.map(({ from, records }) => [from, records.map(({ metrics }) => metrics.loss)]);
  const recordsOf = () => watched.all().changed[0]?.records ?? [];
  writeFileSync(metrics, `${row(1, 3)}${row(2, 2).slice(0, 9)}`);
  expect(news()).toEqual([[0, [3]]]);
  const [first] = recordsOf();
  appendFileSync(metrics, `${row(2, 2).slice(9)}no row\n${row(3, 1)}${row(4, 0.5)}`);
  expect(news()).toEqual([[1, [2, 1, 0.5]]]);
  expect(recordsOf()[0]).toBe(first);
  appendFileSync(metrics, row(5, 0.25).slice(0, 9));
  watched.scan();
  expect(recordsOf()).toHaveLength(4);
  appendFileSync(metrics, row(5, 0.25).slice(9));
  expect(news()).toEqual([[4, [0.25]]]);
  // Another file that is longer, then the same one with another row in place of the last.
  writeFileSync(file("other"), [3, 2.5, 1, 0.5, 0.25, 0.125].map((loss, i) => row(i + 1, loss)).join(""));
  renameSync(file("other"), metrics);
  expect(news()).toEqual([[1, [2.5, 1, 0.5, 0.25, 0.125]]]);
  writeFileSync(metrics, [3, 2.5, 1, 0.5, 0.25, 0.625].map((loss, i) => row(i + 1, loss)).join("") + row(7, 0));
  expect(news()).toEqual([[5, [0.625, 0]]]);
  truncateSync(metrics, row(1, 3).length);
  expect(news()).toEqual([[1, []]]);
  writeFileSync(metrics, "");
  expect(news()).toEqual([[0, []]]);
  writeFileSync(metrics, row(1, 4));
  expect(news()).toEqual([[0, [4]]]);
  rmSync(metrics);
  expect(news()).toEqual([[0, []]]);
});

test("a run is running while its owner shows signs of life, on this host and on another", () => {
  const { file, watched } = folder();
  const state = () => {
    watched.scan();
    return watched.all().changed.map((run) => run.state);
  };
  const owner = (host: string, pid: number) =>
    writeFileSync(
      file("run.owner"),
      JSON.stringify({ host, ...here(), ...(host === "far" && { boot: "x" }), pid, id: "x" }),
    );
  expect(state()).toEqual(["stopped"]);
  owner(hostname(), process.pid);
  expect(state()).toEqual(["running"]);
  owner(hostname(), 2 ** 22 + 1);
  expect(state()).toEqual(["stopped"]);
  owner("far", 1);
  expect(state()).toEqual(["running"]);
});

test("clocks of other hosts may differ: what counts is how long no sign of life came", () => {
  const { file, watched } = folder();
  const stateIn = (watching: WatchedFolder) => {
    watching.scan();
    return watching.all().changed[0]?.state;
  };
  let later = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + later);
  try {
    writeFileSync(file("run.owner"), JSON.stringify({ host: "far", boot: "x", pids: "x", pid: 1, id: "x" }));
    const beat = (ahead: number) => utimesSync(file("run.owner"), 0, (Date.now() + later + ahead) / 1000);
    beat(-40_000);
    expect(stateIn(watched)).toBe("stopped");
    for (const ahead of [-40_000, 600_000]) {
      for (let i = 0; i < 3; i++) {
        later += 5000;
        beat(ahead);
        expect(stateIn(watched)).toBe("running");
      }
      later += 31_000;
      expect(stateIn(watched)).toBe("stopped");
    }
    const other = new WatchedFolder(dirname(file()));
    expect(stateIn(other)).toBe("running");
    later += 31_000;
    expect(stateIn(other)).toBe("stopped");
  } finally {
    vi.restoreAllMocks();
  }
});

test("an experiment is done by its result alone, and running while a run below it is", () => {
  const root = newFolder(temporary);
  const make = (path: string, command: string) => {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, "config.json"), JSON.stringify({ command, epochs: 3 }));
  };
  make("compare", "compare");
  make("compare/seed-0/distilled", "distill");
  make("compare-2", "compare");
  const watched = new WatchedFolder(root);
  const states = () => {
    watched.scan();
    return Object.fromEntries(watched.all().changed.map(({ path, state }) => [path, state]));
  };
  for (const name of ["teacher_logits", "teacher_validation_logits"]) {
    writeFileSync(join(root, "compare", `${name}.safetensors`), "");
  }
  const stopped = { compare: "stopped", "compare/seed-0/distilled": "stopped", "compare-2": "stopped" };
  expect(states()).toEqual(stopped);
  const owner = join(root, "compare/seed-0/distilled/run.owner");
  writeFileSync(owner, JSON.stringify({ host: hostname(), ...here(), pid: process.pid, id: "x" }));
  expect(states()).toEqual({ ...stopped, compare: "running", "compare/seed-0/distilled": "running" });
  rmSync(owner);
  expect(watched.scan().changed.map(({ path, state }) => [path, state])).toEqual([
    ["compare", "stopped"],
    ["compare/seed-0/distilled", "stopped"],
  ]);
  writeFileSync(join(root, "compare", "compare.json"), "{}");
  expect(states().compare).toBe("done");
});

test("a comparison's baseline is called so, another folder of that name is not", () => {
  const root = newFolder(temporary);
  const commands = { compare: "compare", "compare/seed-0/baseline": "train-teacher", baseline: "train-teacher" };
  for (const [path, command] of Object.entries(commands)) {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, "config.json"), JSON.stringify({ command }));
  }
  const watched = new WatchedFolder(root);
  const seen = watched.scan().changed.map(({ path, command }) => [path, command]);
  expect(Object.fromEntries(seen)).toEqual({ ...commands, "compare/seed-0/baseline": "baseline" });
  expect(watched.scan().changed).toEqual([]);
});

test("folders of others, links and damaged files are passed over", () => {
  const { root, file, watched } = folder();
  for (const name of ["other", "node_modules", ".hidden", "damaged"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "other", "config.json"), '{"name": "x"}');
  writeFileSync(join(root, "damaged", "config.json"), "{");
  for (const name of ["node_modules", ".hidden"])
    writeFileSync(join(root, name, "config.json"), '{"command":"distill"}');
  symlinkSync(root, join(root, "circle"));
  symlinkSync("/etc/passwd", file("report.html"));
  expect(watched.scan().changed.map(({ path }) => path)).toEqual(["a"]);
  expect(watched.reportOf("a")).toBe(null);
  expect(new WatchedFolder(join(root, "missing")).scan()).toEqual({ changed: [], removed: [] });
});

test.each(["metrics.jsonl", "config.json", "run.owner"])("%s is a link to itself", (name) => {
  const { root, file, watched } = folder();
  writeFileSync(file("metrics.jsonl"), row(1, 3));
  mkdirSync(join(root, "b"));
  writeFileSync(join(root, "b", "config.json"), readFileSync(file("config.json")));
  rmSync(file(name), { force: true });
  symlinkSync(name, file(name));
  const seen = watched.scan().changed.map(({ path, state, records }) => [path, state, records.length]);
  const a = { "metrics.jsonl": [["a", "stopped", 0]], "run.owner": [["a", "stopped", 1]] }[name] ?? [];
  expect(seen).toEqual([...a, ["b", "stopped", 0]]);
});

function here(): { boot: string; pids: string } {
  const file = "/proc/sys/kernel/random/boot_id";
  return existsSync(file)
    ? { boot: readFileSync(file, "utf8").trim(), pids: readlinkSync("/proc/self/ns/pid") }
    : { boot: "", pids: "" };
}
