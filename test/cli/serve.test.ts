import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { createNetwork, manualSeed, StudentNet, save, Tensor } from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import { ended, launch, newFolder, refused } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;

beforeAll(async () => {
  cwd = newFolder(temporary);
  manualSeed(0);
  await save(new StudentNet({ inFeatures: 3, hidden: [4, 3], classes: 2 }).stateDict(), join(cwd, "student.pth"));
});

test.each(["SIGTERM", "SIGINT"] as const)("serve answers until %s, and ends cleanly", async (signal) => {
  const child = launch(["serve", "student.pth", "--port", "0", "--json"], cwd);
  const end = ended(child);
  const line = await new Promise<string>((resolve) => child.stdout?.once("data", (part) => resolve(String(part))));
  const { event, file, url } = JSON.parse(line) as Record<string, string>;
  expect([event, file]).toEqual(["serving", "student.pth"]);
  const response = await fetch(`${url}predict`, { method: "POST", body: "[[1, 2, 3]]" });
  expect([response.status, await response.json()]).toEqual([
    200,
    { predictions: [expect.objectContaining({ class: expect.any(Number) })] },
  ]);
  child.kill(signal);
  const { code, stderr } = await end;
  expect([code, stderr.split("\n").slice(1)]).toEqual([0, ["answering what came; once more stops at once", ""]]);
});

test("serve takes the network of a .pth file for images of a size, and threads", async () => {
  const network = createNetwork("resnet8", { shape: [3, 8, 8], classes: 3 });
  await save(network.stateDict(), join(cwd, "resnet8.pth"));
  const flags = ["--network", "resnet8()", "--image-size", "8", "--threads", "1"];
  const child = launch(["serve", "resnet8.pth", ...flags, "--port", "0", "--json"], cwd);
  const end = ended(child);
  const line = await new Promise<string>((resolve) => child.stdout?.once("data", (part) => resolve(String(part))));
  const { url } = JSON.parse(line) as Record<string, string>;
  const sample = Array.from({ length: 192 }, (_, i) => (i % 17) / 17 - 0.5);
  const ask = (samples: number[][]) => fetch(`${url}predict`, { method: "POST", body: JSON.stringify(samples) });
  const { predictions } = (await (await ask([sample])).json()) as { predictions: { probabilities: number[] }[] };
  const expected = network
    .eval()
    .forward(new Tensor(Float32Array.from(sample), [1, 3, 8, 8]))
    .softmax(1);
  expect(predictions[0].probabilities).toEqual([...expected.data].map((x) => expect.closeTo(x, 6)));
  const wrong = await ask([sample.slice(1)]);
  expect([wrong.status, ((await wrong.json()) as { message: string }).message]).toEqual([
    400,
    expect.stringContaining("191"),
  ]);
  child.kill("SIGTERM");
  expect((await end).code).toBe(0);
});

test("serve refuses a bad port, limits, and files that are none", async () => {
  expect(await refused(["serve", "student.pth", "--port", "70000"], cwd, 2, "BAD_ARGUMENT")).toContain("port");
  expect(await refused(["serve", "student.pth", "--max-body", "0"], cwd, 2, "BAD_ARGUMENT")).toContain("--max-body");
  expect(await refused(["serve", "student.pth", "--threads", "0"], cwd, 2, "BAD_ARGUMENT")).toContain("--threads");
  expect(await refused(["serve", "student.pth", "--image-size", "x"], cwd, 2, "BAD_ARGUMENT")).toContain(
    "--image-size",
  );
  expect(await refused(["serve", "nothing.pth"], cwd, 1, "NOT_FOUND")).toContain("nothing.pth: no such file");
});
