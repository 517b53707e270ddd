import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { distill, load, save, TeacherCache, type Tensor, tensor } from "../../src/index.js";
import { failure, temporaryFolder } from "../checkpoint/support.js";
import { BATCH, setting } from "../train/support.js";

const folder = temporaryFolder();
const file = join(folder, "teacher_logits.safetensors");

/** Answers in a file, with what they are of. */
async function saved() {
  const own = setting();
  const cache = await TeacherCache.compute(own.teacher, own.data);
  await cache.save(file);
  return { ...own, cache };
}

describe("a teacher's logits in a file", () => {
  test("are those that were computed, row by row", async () => {
    const { teacher, data, cache } = await saved();
    const read = await TeacherCache.load(file);
    expect([read.samples, read.classes]).toEqual([50, 3]);
    const rows = Int32Array.of(49, 0, 7);
    expect(read.batch(rows).toArray()).toEqual(cache.batch(rows).toArray());
    expect((await load(file)).logits?.shape).toEqual([50, 3]);
    read.expectOf(teacher, data);
  });

  test("serve their own teacher and data, and no others", async () => {
    const { teacher, student, data } = await saved();
    const teacherCache = await TeacherCache.load(file);
    const other = setting();
    const run = (more: object) =>
      distill({ teacher, student, data, epochs: 1, batchSize: BATCH, teacherCache, ...more });
    expect((await run({})).history).toHaveLength(1);
    const text = (wrong: string) => `teacherCache: was computed from another ${wrong}: compute it again`;
    expect((await failure(run({ teacher: other.teacher }), "BAD_ARGUMENT")).message).toBe(text("teacher"));
    expect((await failure(run({ data: other.data }), "BAD_ARGUMENT")).message).toBe(text("data set"));
  });
});

describe("what is no such file", () => {
  const hash = "0".repeat(64);
  const logits = tensor([[1, 2]]);
  const refused = async () => (await failure(TeacherCache.load(file), "BAD_CHECKPOINT")).message;

  test("one changed bit", async () => {
    await saved();
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    writeFileSync(file, bytes);
    expect(await refused()).toBe(`${file}: is damaged: its checksum is wrong`);
  });

  test.each<[string, Record<string, Tensor>, Record<string, string>]>([
    ["weights", { "fc1.weight": logits }, { teacherHash: hash, dataHash: hash }],
    ["more than logits", { logits, more: logits }, { teacherHash: hash, dataHash: hash }],
    ["logits without rows", { logits: tensor([1, 2]) }, { teacherHash: hash, dataHash: hash }],
    ["a hash that is none", { logits }, { teacherHash: hash, dataHash: "abc" }],
    ["no hashes", { logits }, {}],
  ])("%s", async (_, state, metadata) => {
    await save(state, file, { metadata });
    expect(await refused()).toBe(`${file}: holds no teacher's logits as TeacherCache.save writes them`);
  });

  test("no checksum", async () => {
    await save({ logits }, file, { metadata: { teacherHash: hash, dataHash: hash } });
    expect(await refused()).toBe(`${file}: is damaged: its checksum is wrong`);
  });

  test("nothing", async () => {
    const { message } = await failure(TeacherCache.load(join(folder, "nowhere.safetensors")), "NOT_FOUND");
    expect(message).toContain("nowhere.safetensors");
  });
});
