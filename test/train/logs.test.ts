import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { csvLog, type EpochRecord, tensorBoardLog } from "../../src/index.js";
import { readEvents } from "../log/event_reader.js";
import { failure, temporaryFolder } from "../support.js";
import { STEPS, start } from "./support.js";

const out = join(temporaryFolder(), "run");
const logs = () => [tensorBoardLog(join(out, "tensorboard")), csvLog(join(out, "metrics.csv"))];

/** Of every epoch, the number and the loss. */
function logged(): { csv: [number, number][]; tensorBoard: [number, number][] } {
  const rows = readFileSync(join(out, "metrics.csv"), "utf8").trimEnd().split("\r\n").slice(1);
  const files = readdirSync(join(out, "tensorboard")).map((name) => join(out, "tensorboard", name));
  const events = files.filter((file) => statSync(file).size > 0).flatMap((file) => readEvents(file).slice(2));
  return {
    csv: rows.map((row) => [Number(row.split(",")[0]), Number(row.split(",")[2])]),
    tensorBoard: events.map(({ step, scalars }) => [step, scalars?.find(([tag]) => tag === "loss")?.[1] as number]),
  };
}

function expectLogged(history: readonly EpochRecord[]): void {
  expect(logged()).toEqual({
    csv: history.map(({ epoch, metrics }) => [epoch, metrics.loss]),
    tensorBoard: history.map(({ epoch, metrics }) => [epoch, Math.fround(metrics.loss)]),
  });
}

test("the logs of a run that was stopped, resumed, and resumed when it was finished have what its history has", async () => {
  const controller = new AbortController();
  const onStep = ({ step }: { step: number }) => step === 2 * STEPS + 1 && controller.abort();
  const stopped: EpochRecord[] = [];
  const onEpoch = (record: EpochRecord) => void stopped.push(record);
  await failure(start({ out, logs: logs(), signal: controller.signal, onStep, onEpoch }).done, "ABORTED");
  expect(stopped).toHaveLength(2);
  expectLogged(stopped);

  const { history } = await start({ out, logs: logs(), resume: true }).done;
  expect(history.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  expectLogged(history);

  await start({ out, logs: logs(), resume: true }).done;
  expectLogged(history);
});
