import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { DistilleryError, type EpochRecord, tensorBoardLog } from "../../src/index.js";
import { tensorBoard, testWith } from "../helpers/needs.js";
import { runPython } from "../helpers/python.js";
import { failure, temporaryFolder } from "../support.js";
import { readEvents } from "./event_reader.js";
import { plain, records } from "./records.js";

const temporary = temporaryFolder();
let folders = 0;
const newFolder = () => join(temporary, `log-${folders++}`);

/** Writes a log of `history`, then `more`; gives the time in seconds before and after. */
async function write(folder: string, history: EpochRecord[], more: EpochRecord[]): Promise<[number, number]> {
  const before = Date.now() / 1000;
  const log = tensorBoardLog(folder);
  await log.begin(history);
  for (const record of more) await log.epoch(record);
  await log.close();
  return [before, Date.now() / 1000];
}

const eventFiles = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.includes("tfevents"))
    .map((name) => join(folder, name));

/** The events of the only file that has any, without the two that it begins with. */
function eventsOf(folder: string) {
  const full = eventFiles(folder).filter((file) => statSync(file).size > 0);
  expect(full).toHaveLength(1);
  return readEvents(full[0]).slice(2);
}

const float = Math.fround;
const scalars = (epoch: number) => [
  ["loss", float(2 / epoch)],
  ["loss/soft", float(1 / epoch)],
  ["loss/hard", float(3 / epoch)],
  ["validation/loss", float(1.5 / epoch)],
  ["validation/accuracy", float(1 - 0.5 / epoch)],
  ["validation/agreement", float(1 - 0.25 / epoch)],
  ["learning_rate", float(6e-4 / epoch)],
  ["samples_per_second", 1000 * epoch],
];

describe("tensorBoardLog", () => {
  test("an event an epoch, with the tags and values, in its time", async () => {
    const folder = join(newFolder(), "made", "anew");
    const [before, after] = await write(folder, [], records(3));
    const [file] = eventFiles(folder) as [string];
    const [version, session, ...epochs] = readEvents(file);
    const { wallTime } = version as { wallTime: number };
    expect(version).toEqual({ wallTime, step: 0, fileVersion: "brain.Event:2", writer: "distillery" });
    expect(session).toEqual({ wallTime, step: 1, session: 1 });
    expect(epochs.map(({ step, scalars }) => [step, scalars])).toEqual([1, 2, 3].map((n) => [n, scalars(n)]));
    const times = [before, wallTime, ...epochs.map((event) => event.wallTime), after];
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test("what an epoch does not have is left out", async () => {
    const folder = newFolder();
    await write(folder, [], [plain, { ...plain, epoch: 300, metrics: { loss: 0.75, agreement: 0, margin: 2 } }]);
    expect(eventsOf(folder).map(({ step, scalars }) => [step, scalars])).toEqual([
      [
        1,
        [
          ["loss", 0.75],
          ["learning_rate", float(3e-5)],
          ["samples_per_second", 2048],
        ],
      ],
      [
        300,
        [
          ["loss", 0.75],
          ["validation/agreement", 0],
          ["loss/margin", 2],
          ["learning_rate", float(3e-5)],
          ["samples_per_second", 2048],
        ],
      ],
    ]);
  });

  test("what is given is in the file at once", async () => {
    const folder = newFolder();
    const log = tensorBoardLog(folder);
    await log.begin([]);
    expect(eventsOf(folder)).toEqual([]);
    await log.epoch(plain);
    expect(eventsOf(folder)).toHaveLength(1);
    await log.close();
  });

  test("a resumed run: no epoch twice, none missing, those from before in their times", async () => {
    const folder = newFolder();
    await write(folder, [], records(5));
    const [before, after] = await write(folder, records(3), records(2, 4));
    const events = eventsOf(folder);
    expect(events.map(({ step, scalars }) => [step, scalars])).toEqual([1, 2, 3, 4, 5].map((n) => [n, scalars(n)]));
    const [first, second, third, fourth] = events.map(({ wallTime }) => wallTime) as [number, number, number, number];
    expect(third).toBeGreaterThanOrEqual(before);
    expect(fourth).toBeLessThanOrEqual(after);
    // The epochs took 10 seconds and their number.
    expect(third - second).toBeCloseTo(13, 3);
    expect(second - first).toBeCloseTo(12, 3);
  });

  test("of former files one empty one stays, other files as they were", async () => {
    const folder = newFolder();
    mkdirSync(folder);
    const former = ["1700000000.host.7.distillery", "1700000001.host.8.distillery"];
    const other = ["1700000002.host.9.0", "1700000003.host.9.distillery.v2"];
    const named = (name: string) => join(folder, `events.out.tfevents.${name}`);
    for (const name of [...former, ...other]) writeFileSync(named(name), "whatever");
    writeFileSync(join(folder, "notes.txt"), "mine");
    const log = tensorBoardLog(folder);
    // In one second, after which the file is named.
    const clock = vi.spyOn(Date, "now").mockReturnValue(1_700_000_010_000);
    for (const _ of [1, 2]) {
      await log.begin(records(2));
      await log.close();
    }
    clock.mockRestore();
    expect(existsSync(named(former[0]))).toBe(false);
    expect(statSync(named(former[1])).size).toBe(0);
    for (const name of other) expect(statSync(named(name)).size).toBe("whatever".length);
    expect(readdirSync(folder)).toHaveLength(5);
  });

  test("begun a second time it starts anew; closed a second time it does nothing", async () => {
    const folder = newFolder();
    const log = tensorBoardLog(folder);
    await log.close();
    await log.begin([]);
    await log.epoch(plain);
    await log.begin(records(2));
    await log.close();
    await log.close();
    expect(eventsOf(folder).map(({ step }) => step)).toEqual([1, 2]);
  });
});

describe("refusals", () => {
  test.each([[""], [undefined], [7], [null]])("tensorBoardLog(%o)", (folder) => {
    const shown = folder === "" ? '""' : String(folder);
    expect(() => tensorBoardLog(folder as string)).toThrow(
      new DistilleryError("BAD_ARGUMENT", `folder: expected a folder, got ${shown}`),
    );
  });

  test("a file in the folder's place: IO_ERROR", async () => {
    const folder = newFolder();
    writeFileSync(folder, "taken");
    const { message } = await failure(Promise.resolve(tensorBoardLog(folder).begin([])), "IO_ERROR");
    expect(message.startsWith(join(folder, "events.out.tfevents.")), message).toBe(true);
    expect(message.endsWith(".distillery: can't write it: a part of its path is a file, not a folder"), message).toBe(
      true,
    );
  });
});

/** Whether Python has TensorBoard, too. */
testWith(tensorBoard(), "the real TensorBoard reads the same, of a run and of a resumed one", async () => {
  const folder = newFolder();
  const code = `
import sys, json
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
log = EventAccumulator(sys.argv[1]).Reload()
scalars = {tag: [[event.step, event.value] for event in log.Scalars(tag)] for tag in log.Tags()["scalars"]}
print(json.dumps([log.file_version, log.GetSourceWriter(), scalars]))`;
  const tags = scalars(1).map(([tag]) => tag);
  const expected = (epochs: number) =>
    Object.fromEntries(
      tags.map((tag, i) => [tag, Array.from({ length: epochs }, (_, at) => [at + 1, scalars(at + 1)[i]?.[1]])]),
    );
  await write(folder, [], records(4));
  expect(await runPython(code, folder)).toEqual([2, "distillery", expected(4)]);
  await write(folder, records(3), records(5, 4));
  expect(await runPython(code, folder)).toEqual([2, "distillery", expected(8)]);
});
