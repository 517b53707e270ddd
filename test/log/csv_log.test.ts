import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { csvLog, DistilleryError, type EpochRecord, flattenRecord } from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { plain, records } from "./records.js";

const folder = temporaryFolder();
const HEADER = "epoch,epochs,loss,lr,seconds,samplesPerSecond\r\n";
const text = (file: string) => readFileSync(file, "utf8");

async function write(file: string, history: EpochRecord[], more: EpochRecord[]): Promise<string> {
  const log = csvLog(file);
  await log.begin(history);
  for (const record of more) await log.epoch(record);
  await log.close();
  return text(file);
}

describe("csvLog", () => {
  test("a header and a row an epoch, numbers as JSON prints them", async () => {
    const metrics = { loss: 0.75, soft: 1e-7, hard: 1e21, validationAccuracy: 1 / 3, agreement: 0 };
    const record = { ...plain, metrics, samplesPerSecond: -0 };
    expect(await write(join(folder, "made", "anew.csv"), [], [record, { ...plain, epoch: 2 }])).toBe(
      "epoch,epochs,loss,soft,hard,validationAccuracy,agreement,lr,seconds,samplesPerSecond\r\n" +
        "1,2,0.75,1e-7,1e+21,0.3333333333333333,0,0.00003,0.5,0\r\n2,2,0.75,,,,,0.00003,0.5,2048\r\n",
    );
  });

  test("a metric that begins later gets a column, empty in the rows before", async () => {
    const later = { ...plain, epoch: 2, metrics: { loss: 0.5, 'my "own", metric': 7 } };
    expect(await write(join(folder, "later.csv"), [], [plain, later, { ...plain, epoch: 3 }])).toBe(
      'epoch,epochs,loss,"my ""own"", metric",lr,seconds,samplesPerSecond\r\n' +
        "1,2,0.75,,0.00003,0.5,2048\r\n2,2,0.5,7,0.00003,0.5,2048\r\n3,2,0.75,,0.00003,0.5,2048\r\n",
    );
  });

  test("every figure comes back as it was", async () => {
    const made = records(7);
    const [header, ...rows] = (await write(join(folder, "back.csv"), [], made)).trimEnd().split("\r\n");
    const names = header.split(",");
    const back = rows.map((row) => Object.fromEntries(row.split(",").map((cell, i) => [names[i], Number(cell)])));
    expect(back).toEqual(made.map(flattenRecord));
  });

  test("a resumed run: no epoch twice, none missing", async () => {
    const file = join(folder, "resumed.csv");
    await write(file, [], records(5));
    expect(await write(file, records(3), records(4, 4))).toBe(await write(join(folder, "whole.csv"), [], records(7)));
  });

  test("what is given is in the file at once", async () => {
    const file = join(folder, "at_once.csv");
    const log = csvLog(file);
    await log.begin([]);
    expect(text(file)).toBe("");
    await log.epoch(plain);
    expect(text(file)).toBe(`${HEADER}1,2,0.75,0.00003,0.5,2048\r\n`);
    await log.close();
  });
});

describe("refusals", () => {
  test.each([["", '""'] as const, [undefined, "undefined"] as const, [{}, "a value of type Object"] as const])(
    "csvLog(%o)",
    (file, shown) => {
      const error = new DistilleryError("BAD_ARGUMENT", `file: expected the name of a file, got ${shown}`);
      expect(() => csvLog(file as string)).toThrow(error);
    },
  );

  test("a folder in the file's place: IO_ERROR, and it stays", async () => {
    const file = join(folder, "taken");
    mkdirSync(file);
    const { message } = await failure(Promise.resolve(csvLog(file).begin([])), "IO_ERROR");
    expect(message.startsWith(`${file}: can't write it: `), message).toBe(true);
  });

  test("a file in its folder's place: IO_ERROR", async () => {
    writeFileSync(join(folder, "file"), "mine");
    const file = join(folder, "file", "metrics.csv");
    const { message } = await failure(Promise.resolve(csvLog(file).begin([])), "IO_ERROR");
    expect(message).toBe(`${file}: can't write it: a part of its path is a file, not a folder`);
  });

  test("an epoch before begin(), and what is no record", async () => {
    const file = join(folder, "wrong.csv");
    const log = csvLog(file);
    const refused = (body: () => unknown) => failure(Promise.resolve().then(body), "BAD_ARGUMENT");
    const messages = [
      await refused(() => log.epoch(plain)),
      await refused(() => log.begin("history" as never)),
      await refused(() => log.begin([plain, null as never])),
      await refused(() => log.begin([{ ...plain, epoch: 0 }])),
      await refused(() => log.begin([{ ...plain, metrics: undefined as never }])),
      await refused(() => log.epoch({ ...plain, metrics: { loss: "=1+1" as never } })),
    ].map(({ message }) => message);
    expect(messages).toEqual([
      "epoch: expected begin() to be called before",
      'history: expected a list of epoch records, got "history"',
      "history[1]: expected an epoch record, got null",
      "history[0].epoch: expected a whole number of at least 1, got 0",
      "history[0].metrics: expected named numbers, got undefined",
      'record.loss: expected a number, got "=1+1"',
    ]);
    expect(() => text(file)).toThrow("ENOENT");
  });
});
