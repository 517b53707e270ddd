import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  decodeSafetensors,
  encodeSafetensors,
  IntTensor,
  type StateDict,
  save,
  synthetic,
  TeacherNet,
  tensor,
  trainTeacher,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { BATCH, type Options, SIZES, setting, start } from "./support.js";

const folder = temporaryFolder();
const first = join(folder, "first");
const CHECKPOINT = "checkpoint.safetensors";

/** A folder with a run that stopped in its second epoch. */
function stopped(name: string): string {
  const out = join(folder, name);
  cpSync(first, out, { recursive: true });
  return out;
}

beforeAll(async () => {
  const controller = new AbortController();
  const onStep: Options["onStep"] = ({ step }) => step === 6 && controller.abort();
  const { done } = start({ out: first, metadata: { seed: 0 }, signal: controller.signal, onStep });
  await failure(done, "ABORTED");
});

describe("a run is not resumed as another one", () => {
  test.each<[string, Options, number, string[]]>([
    ["another learning rate", { lr: 0.02 }, 0, ["lr was 0.01, is 0.02"]],
    ["another option and more epochs", { temperature: 2, epochs: 4 }, 0, ["temperature was 3.5, is 2"]],
    ["two other options", { temperature: 2, lr: 0.02 }, 0, ["lr was 0.01, is 0.02", "temperature was 3.5, is 2"]],
    ["another order", { shuffle: false }, 0, ["shuffle was true, is false"]],
    ["another teacher mode", { teacherMode: "train" }, 0, ['teacherMode was "eval", is "train"']],
    ["another seed", {}, 1, ["the training data have", "the network's initial", "the teacher's file", "the state of"]],
    ["another seed by name", { metadata: { seed: 1 } }, 0, ["seed was 0, is 1"]],
    ["no seed by name", { metadata: {} }, 0, ["seed was 0, is not set"]],
    [
      "other data",
      { data: synthetic({ samples: 50, features: 6, classes: 3 }) },
      0,
      ["the training data have changed"],
    ],
    [
      "other data and more epochs",
      { data: synthetic({ samples: 50, features: 6, classes: 3 }), epochs: 4 },
      0,
      ["the training data have changed"],
    ],
    ["fewer data", { data: setting(40).data }, 0, ["samples was 50, is 40"]],
    [
      "data that are streamed, and more epochs",
      { data: Object.assign(synthetic({ samples: 50, features: 6, classes: 3 }), { chunk: 10 }), epochs: 4 },
      0,
      ["the training data were in memory, are streamed by 10 samples (stream, --stream)"],
    ],
    ["another teacher", { teacher: setting().teacher }, 0, ["the teacher's file (its weights or logits) has changed"]],
    ["another student", { student: setting().student }, 0, ["the network's initial weights have changed"]],
  ])("%s", async (what, options, seed, changes) => {
    const out = stopped(what);
    const before = readFileSync(join(out, CHECKPOINT));
    const { done, setting } = start({ metadata: { seed: 0 }, ...options, out, resume: true }, seed);
    const { message } = await failure(done, "BAD_CONFIG");
    const intro = `${out}: can't resume a run with another configuration: `;
    expect(message.slice(0, intro.length)).toBe(intro);
    const reported = message.slice(intro.length).split("; ");
    expect(reported).toHaveLength(changes.length);
    for (const change of changes)
      expect(
        reported.some((text) => text.startsWith(change)),
        `${change} in ${message}`,
      ).toBe(true);
    expect(readFileSync(join(out, CHECKPOINT))).toEqual(before);
    expect([setting.teacher.training, setting.student.training]).toEqual([true, true]);
  });

  test("another command", async () => {
    const out = stopped("another command");
    const { data } = setting();
    const model = new TeacherNet({ ...SIZES, hidden: [12, 10, 8] });
    const { message } = await failure(
      trainTeacher({ model, data, epochs: 3, batchSize: BATCH, out, resume: true }),
      "BAD_CONFIG",
    );
    expect(message).toContain('command was "distill", is "train-teacher"');
  });
});

/** The checkpoint with another content. */
function changed(out: string, change: (tensors: StateDict, metadata: Record<string, string>) => void): void {
  const file = join(out, CHECKPOINT);
  const { tensors, metadata } = decodeSafetensors(new Uint8Array(readFileSync(file)), file);
  const own = { ...metadata };
  change(tensors, own);
  writeFileSync(file, encodeSafetensors(tensors, own));
}

const progress = (change: object) => (_: StateDict, metadata: Record<string, string>) => {
  metadata.progress = JSON.stringify({ ...JSON.parse(metadata.progress as string), ...change });
};

describe("a damaged checkpoint is refused, and the networks stay as they are", () => {
  test.each<[string, (out: string) => void | Promise<void>]>([
    ["empty", (out) => writeFileSync(join(out, CHECKPOINT), "")],
    ["cut short", (out) => writeFileSync(join(out, CHECKPOINT), readFileSync(join(out, CHECKPOINT)).subarray(0, -100))],
    ["of no format", (out) => writeFileSync(join(out, CHECKPOINT), "no checkpoint at all, only some text")],
    ["foreign", (out) => save({ w: tensor([1, 2]) }, join(out, CHECKPOINT))],
    [
      "of a .pth file",
      async (out) => {
        await save(setting().student.stateDict(), join(out, "other.pth"));
        copyFileSync(join(out, "other.pth"), join(out, CHECKPOINT));
      },
    ],
    ["without its progress", (out) => changed(out, (_, metadata) => void delete metadata.progress)],
    [
      "with a progress that is no JSON",
      (out) => changed(out, (_, metadata) => Object.assign(metadata, { progress: "{" })),
    ],
    ["with a negative step", (out) => changed(out, progress({ step: -1 }))],
    ["with a step past the epoch", (out) => changed(out, progress({ step: 400 }))],
    ["with an epoch past the run", (out) => changed(out, progress({ epoch: 400 }))],
    ["with a sum that is none", (out) => changed(out, progress({ sums: { loss: "much" } }))],
    ["without a tensor", (out) => changed(out, (tensors) => void delete tensors["model.fc1.weight"])],
    ["without the stream", (out) => changed(out, (tensors) => void delete tensors["random.state"])],
    [
      "with an order of another length",
      (out) => changed(out, (tensors) => Object.assign(tensors, { order: new IntTensor(Int32Array.of(0, 1)) })),
    ],
    [
      "with an order that repeats itself",
      (out) => changed(out, (tensors) => void (tensors.order as IntTensor).data.fill(1)),
    ],
    ["without its order", (out) => changed(out, (tensors) => void delete tensors.order)],
    ["with an order of floats", (out) => changed(out, (tensors) => Object.assign(tensors, { order: tensor([1, 2]) }))],
    ["without a moment", (out) => changed(out, (tensors) => void delete tensors["optimizer.0.exp_avg"])],
    [
      "with moments of one parameter more",
      (out) => changed(out, (tensors) => Object.assign(tensors, { "optimizer.99.step": tensor(1) })),
    ],
    ["with a list of moments that it lacks", (out) => changed(out, progress({ moments: ["optimizer.77.step"] }))],
  ])("%s", async (what, damage) => {
    const out = stopped(`damaged: ${what}`);
    await damage(out);
    const before = readFileSync(join(out, CHECKPOINT));
    const { done, setting } = start({ metadata: { seed: 0 }, out, resume: true });
    const values = () => [setting.teacher, setting.student].map((net) => net.parameters().map(({ data }) => [...data]));
    const untouched = values();
    const { message } = await failure(done, "BAD_CHECKPOINT");
    expect(message.startsWith(`${join(out, CHECKPOINT)}: `), message).toBe(true);
    expect(readFileSync(join(out, CHECKPOINT))).toEqual(before);
    expect(values()).toEqual(untouched);
  });

  test("a folder in its place", async () => {
    const out = stopped("a folder");
    rmSync(join(out, CHECKPOINT));
    mkdirSync(join(out, CHECKPOINT));
    await failure(start({ metadata: { seed: 0 }, out, resume: true }).done, "IO_ERROR");
  });

  test("its configuration is gone", async () => {
    const out = stopped("no configuration");
    rmSync(join(out, "config.json"));
    await failure(start({ metadata: { seed: 0 }, out, resume: true }).done, "NOT_FOUND");
  });

  test.each(["{", "null", "[1]", '"text"'])("its configuration is %s", async (text) => {
    const out = stopped(`configuration ${text.charCodeAt(0)}`);
    writeFileSync(join(out, "config.json"), text);
    await failure(start({ metadata: { seed: 0 }, out, resume: true }).done, "BAD_CONFIG");
  });
});
