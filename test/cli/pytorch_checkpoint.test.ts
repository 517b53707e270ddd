import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { evaluate, loadImages, loadNetwork } from "../../src/index.js";
import { folderOf, idx } from "../data/support.js";
import { PYTORCH, testWith } from "../helpers/needs.js";
import { runPython } from "../helpers/python.js";
import { temporaryFolder } from "../support.js";
import { jsonLines, newFolder, refused, STUDENT, succeed } from "./support.js";

const FIXTURES = fileURLToPath(new URL("../models/fixtures/", import.meta.url));
const METRICS = JSON.parse(readFileSync(join(FIXTURES, "checkpoint.json"), "utf8")) as {
  accuracy: number;
  loss: number;
  /** Of the first three test images. */
  logits: number[];
};
const NETWORK = ["--network", "resnet8()"];

const temporary = temporaryFolder();
const data = images();
let cwd: string;

beforeAll(() => {
  cwd = newFolder(temporary);
  copyFileSync(join(FIXTURES, "resnet8.pth"), join(cwd, "resnet8.pth"));
});

/** Grey images of 32 x 32 in four classes, striped each in its own direction. */
function images(): string {
  const pixel = (i: number, y: number, x: number) => {
    const stripe = (i + Math.floor(y / 4) * (i % 4) + Math.floor(x / 4)) % 4;
    return stripe * 30 + ((i * i * 7 + y * y * 13 + x * x * 29 + i * x * 5 + y * x * 3) % 151);
  };
  const part = (first: number, count: number, name: string) => {
    const numbers = Array.from({ length: count }, (_, i) => first + i);
    const pixels = numbers.flatMap((i) =>
      Array.from({ length: 1024 }, (_, at) => pixel(i, Math.floor(at / 32), at % 32)),
    );
    const labels = numbers.map((i) => i % 4);
    return {
      [`${name}-images-idx3-ubyte`]: idx([count, 32, 32], pixels),
      [`${name}-labels-idx1-ubyte`]: idx([count], labels),
    };
  };
  return folderOf({ ...part(0, 96, "train"), ...part(96, 60, "t10k") }, "stripes");
}

describe("a checkpoint { epoch, model, accuracy } of PyTorch code", () => {
  test("evaluates to the figures that PyTorch found", async () => {
    const [found] = jsonLines(await succeed(["evaluate", "resnet8.pth", ...NETWORK, "--data", data, "--json"], cwd));
    expect(found).toMatchObject({ accuracy: METRICS.accuracy, loss: expect.closeTo(METRICS.loss, 5) });
  });

  testWith(PYTORCH, "so in the format before 1.6, of DataParallel, and as the teacher", async () => {
    const code = `
import sys, torch
value = torch.load(sys.argv[1], weights_only=True)
value["model"] = {"module." + key: tensor for key, tensor in value["model"].items()}
value["best_acc"] = torch.tensor([60.0])
torch.save(value, sys.argv[2], _use_new_zipfile_serialization=False)
print("null")`;
    await runPython(code, join(cwd, "resnet8.pth"), join(cwd, "ckpt_epoch_240.pth"));
    const teacher = ["--teacher", "ckpt_epoch_240.pth", "--teacher-network", "resnet8()"];
    const command = ["evaluate", "ckpt_epoch_240.pth", ...NETWORK, ...teacher, "--data", data, "--json"];
    const [found] = jsonLines(await succeed(command, cwd));
    expect(found).toMatchObject({ accuracy: METRICS.accuracy, loss: expect.closeTo(METRICS.loss, 5) });
    expect(found).toMatchObject({ teacherAccuracy: METRICS.accuracy, agreement: 1 });
    expect(await succeed(["inspect", "ckpt_epoch_240.pth"], cwd)).toContain("ckpt_epoch_240.pth: pth, ");
  });

  test("tells the classes of new images, and is exported", async () => {
    const predicted = jsonLines(
      await succeed(
        ["predict", join(data, "t10k-images-idx3-ubyte"), "--student", "resnet8.pth", ...NETWORK].concat(
          "--data",
          data,
          "--json",
        ),
        cwd,
      ),
    );
    const best = [0, 1, 2].map((i) => {
      const logits = METRICS.logits.slice(4 * i, 4 * i + 4);
      return logits.indexOf(Math.max(...logits));
    });
    expect(predicted.slice(0, 3).map((one) => one.class)).toEqual(best);
    const sized = await succeed(
      ["export", "resnet8.pth", ...NETWORK, "--onnx", "sized.onnx", "--image-size", "32"],
      cwd,
    );
    expect(sized).toContain("[batch, 1, 32, 32]");
    const tried = await succeed(["export", "resnet8.pth", ...NETWORK, "--onnx", "--data", data], cwd);
    expect(tried).toContain("Test accuracy: resnet8.pth 60.00%, resnet8.onnx 60.00%, lost 0.00 points");
  });

  testWith(PYTORCH, "teaches a student that PyTorch code loads strictly", async () => {
    const student = await distilled("for_pytorch");
    const { test } = await loadImages(data);
    const logits = (await loadNetwork(student)).eval().forward(test.slice(0, 3).inputs);
    const code = `
import json, sys, torch
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from resnet8 import ResNet8
net = ResNet8(channels=1, classes=4)
net.load_state_dict(torch.load(sys.argv[2], weights_only=True), strict=True)
x = torch.tensor(json.loads(sys.argv[3])).reshape(3, 1, 32, 32)
with torch.no_grad(): print(json.dumps(net.eval()(x).flatten().tolist()))`;
    const inputs = JSON.stringify([...test.slice(0, 3).inputs.data]);
    const theirs = (await runPython(code, FIXTURES, student, inputs)) as number[];
    for (const [i, value] of theirs.entries()) expect(Math.abs(logits.data[i] - value)).toBeLessThan(1e-5);
  });

  test("teaches, by its own figures", async () => {
    const student = await distilled("taught");
    const { test } = await loadImages(data);
    const { teacherAccuracy } = evaluate(await loadNetwork(student), test, {
      teacher: await loadNetwork(join(cwd, "resnet8.pth"), { network: "resnet8()", imageShape: [1, 32, 32] }),
    });
    expect(teacherAccuracy).toBe(METRICS.accuracy);
  });
});

async function distilled(out: string): Promise<string> {
  const teacher = ["--teacher", "resnet8.pth", "--teacher-network", "resnet8()"];
  const [student, run] = [
    ["--student", "resnet8()"],
    ["--epochs", "1", "--batch-size", "32", "--no-report"],
  ];
  await succeed(["distill", "--data", data, ...teacher, ...student, ...run, "--out", out], cwd);
  return join(cwd, out, `${STUDENT}.pth`);
}

describe("what does not fit is one line", () => {
  test("no size of images", async () => {
    const text =
      "resnet8.pth: imageShape: needed: the weights do not tell the size of images, data of images do, or --image-size 32";
    const exported = await refused(["export", "resnet8.pth", ...NETWORK, "--onnx"], cwd, 1, "BAD_ARGUMENT");
    expect(exported).toContain(text);
    expect(await refused(["evaluate", "resnet8.pth", ...NETWORK], cwd, 1, "BAD_ARGUMENT")).toContain(text);
  });

  test("a size of images that is not the one that the file says", async () => {
    const student = await distilled("sized");
    const text = `--image-size: is for a .pth file that does not say what it takes: ${student} takes images of 1 x 32 x 32: leave this out (BAD_ARGUMENT)`;
    const size = ["--image-size", "24x32"];
    expect(await refused(["export", student, "--onnx", "other.onnx", ...size], cwd, 2, "BAD_ARGUMENT")).toBe(text);
    expect(await refused(["serve", student, ...size], cwd, 2, "BAD_ARGUMENT")).toBe(text);
    const same = ["export", student, "--onnx", "same.onnx", "--image-size", "32"];
    expect(await succeed(same, cwd)).toContain("[batch, 1, 32, 32]");
  });

  test("a checkpoint of another width or depth", async () => {
    const evaluated = (network: string) =>
      refused(["evaluate", "resnet8.pth", "--network", network, "--data", data], cwd, 1, "STATE_DICT_MISMATCH");
    expect(await evaluated("resnet8x4()")).toBe(
      "resnet8.pth: the weights do not fit resnet8x4 of [1, 32, 32] to 4 classes: " +
        'the file lacks "layer1.0.downsample.0.weight", and 4 more; ' +
        "conv1.weight is [16, 1, 3, 3], not [32, 1, 3, 3], and 45 more (STATE_DICT_MISMATCH)",
    );
    expect(await evaluated("resnet14()")).toContain('the file lacks "layer1.1.conv1.weight", and');
  });
});
