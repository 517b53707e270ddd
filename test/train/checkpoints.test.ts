import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { failure, temporaryFolder } from "../support.js";
import { type Options, start } from "./support.js";

const folder = temporaryFolder();
const checkpoints = (out: string) => readdirSync(out).filter((name) => name.startsWith("checkpoint"));

/** A run that stops after this many steps, with a checkpoint a step. */
async function stopped(name: string, steps: number, options: Options = {}): Promise<string> {
  const out = join(folder, name);
  const controller = new AbortController();
  const onStep: Options["onStep"] = ({ step }) => step === steps && controller.abort();
  const { done } = start({ checkpointEvery: { steps: 1 }, ...options, out, onStep, signal: controller.signal });
  await failure(done, "ABORTED");
  return out;
}

describe("how many are kept", () => {
  test.each([1, 2, 4])("%i", async (keepCheckpoints) => {
    const out = await stopped(`keep-${keepCheckpoints}`, 7, { keepCheckpoints });
    const older = Array.from({ length: keepCheckpoints - 1 }, (_, i) => `checkpoint.${i + 1}.safetensors`);
    expect(checkpoints(out).sort()).toEqual([...older, "checkpoint.safetensors"]);
  });

  test("a resumed run that keeps fewer removes those beyond", async () => {
    const out = await stopped("fewer", 7, { keepCheckpoints: 5 });
    expect(checkpoints(out)).toHaveLength(5);
    await start({ out, keepCheckpoints: 2, resume: true }).done;
    expect(checkpoints(out).sort()).toEqual(["checkpoint.1.safetensors", "checkpoint.safetensors"]);
    await start({ out, keepCheckpoints: 1, resume: true, epochs: 4 }).done;
    expect(checkpoints(out)).toEqual(["checkpoint.safetensors"]);
  });

  test("a run that starts anew leaves none of those that were kept", async () => {
    const out = await stopped("anew", 7, { keepCheckpoints: 4 });
    await start({ out, keepCheckpoints: 1 }).done;
    expect(checkpoints(out)).toEqual(["checkpoint.safetensors"]);
  });
});

describe("a damaged checkpoint is passed over for the one before", () => {
  const damages: [string, (file: string) => void][] = [
    ["cut", (file) => truncateSync(file, 1000)],
    ["empty", (file) => truncateSync(file, 0)],
    [
      "a bit of a weight",
      (file) => {
        const bytes = readFileSync(file);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 5) ^ 1, bytes.length - 5);
        writeFileSync(file, bytes);
      },
    ],
  ];

  test.each(damages)("%s", async (name, damage) => {
    const alone = await start().end;
    const out = await stopped(`damaged ${name}`, 6);
    damage(join(out, "checkpoint.safetensors"));
    const notes: string[] = [];
    expect(await start({ out, resume: true, onNote: (text) => notes.push(text) }).end).toEqual(alone);
    expect(notes[0]).toContain(`${join(out, "checkpoint.safetensors")}: `);
    expect(notes[0]).toMatch(/: taking the one before$/);
    expect(notes[1]).toBe(`${out}: resumed at epoch 2 of 3, step 2`);
  });

  test("all of them: BAD_CHECKPOINT, and nothing is removed", async () => {
    const out = await stopped("all damaged", 6);
    for (const name of checkpoints(out)) truncateSync(join(out, name), 900);
    await failure(start({ out, resume: true }).done, "BAD_CHECKPOINT");
    expect(checkpoints(out)).toHaveLength(2);
  });

  test("the newest is missing: the one before is taken", async () => {
    const alone = await start().end;
    const out = await stopped("missing", 6);
    copyFileSync(join(out, "checkpoint.1.safetensors"), join(out, "kept"));
    await start({ out: join(folder, "other") }).done;
    truncateSync(join(out, "checkpoint.safetensors"), 0);
    expect(await start({ out, resume: true }).end).toEqual(alone);
  });
});

describe("steps between checkpoints", () => {
  test("a checkpoint in mid-epoch is one to resume from", async () => {
    const alone = await start().end;
    const out = join(folder, "every-3");
    // The run fails outside of its own control after step 7; the last checkpoint is that of step 6.
    const crash: Options["onStep"] = ({ step }) => {
      if (step === 7) throw new Error("crash");
    };
    await expect(start({ out, checkpointEvery: { steps: 3 }, onStep: crash }).done).rejects.toThrow("crash");
    const notes: string[] = [];
    expect(await start({ out, resume: true, onNote: (text) => notes.push(text) }).end).toEqual(alone);
    expect(notes).toContain(`${out}: resumed at epoch 2 of 3, step 3`);
  });

  test.each([0, 1.5, { steps: 0 }, { steps: 0.5 }])("%j is refused", async (checkpointEvery) => {
    const out = join(folder, "refused");
    const { message } = await failure(start({ out, checkpointEvery }).done, "BAD_ARGUMENT");
    expect(message).toMatch(/^checkpointEvery(\.steps)?: expected a whole number of at least 1, got /);
    expect(existsSync(out)).toBe(false);
  });
});

describe("one run a folder", () => {
  test("a second one is IN_USE and disturbs nothing; after the first one's end the folder is free", async () => {
    const alone = await start().end;
    const out = join(folder, "busy");
    const first = start({ out });
    const second = start({ out });
    const { message } = await failure(second.done, "IN_USE");
    expect(message).toMatch(
      /: another run is writing there \(process \d+ on .+\): wait for its end or choose another folder$/,
    );
    expect(await first.end).toEqual(alone);
    expect(await start({ out }).end).toEqual(alone);
  });

  test("a run that failed lets go", async () => {
    const out = await stopped("let go", 5);
    await failure(start({ out, resume: true, lr: 0.5 }).done, "BAD_CONFIG");
    await start({ out, resume: true }).done;
  });
});
