import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { bytes, imageFolder, lines, newFolder, refused, SMALL, SMALL_TEACHER, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();
const data = imageFolder();
const SHORT = ["--data", data, "--epochs", "2", "--batch-size", "32"];

test("--stream gives the same run in the data's order: lines and weights", async () => {
  const cwd = newFolder(temporary);
  const epochs = (text: string) => lines(text).filter((line) => line.startsWith("Epoch"));
  const both = async (args: string[]) => [
    epochs(await succeed([...args, "--out", `${args[0]}-memory`], cwd)),
    epochs(await succeed([...args, "--stream", "--out", `${args[0]}-disk`], cwd)),
  ];
  const [inMemory, onDisk] = await both(["train-teacher", ...SHORT, "--no-shuffle", ...SMALL_TEACHER]);
  expect(onDisk).toEqual(inMemory);
  expect(onDisk?.length).toBe(2);
  expect(bytes(cwd, "train-teacher-disk", "teacher.safetensors")).toBe(
    bytes(cwd, "train-teacher-memory", "teacher.safetensors"),
  );

  const teacher = join("train-teacher-memory", "teacher.pth");
  const distilled = await both(["distill", ...SHORT, "--no-shuffle", ...SMALL, "--teacher", teacher]);
  expect(distilled[1]).toEqual(distilled[0]);
  expect(bytes(cwd, "distill-disk", `${STUDENT}.safetensors`)).toBe(
    bytes(cwd, "distill-memory", `${STUDENT}.safetensors`),
  );
});

test("--stream of what can only be read whole", async () => {
  const cwd = newFolder(temporary);
  writeFileSync(join(cwd, "t.npz"), "PK");
  expect(await refused(["train-teacher", "--data", "t.npz", "--stream"], cwd, 2, "BAD_ARGUMENT")).toBe(
    "--stream: t.npz is an archive, which can't be read in pieces: `unzip` makes .npy files of a .npz (BAD_ARGUMENT)",
  );
});
