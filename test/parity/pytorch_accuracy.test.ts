import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { evaluate, loadImages, manualSeed, StudentNet, save, trainTeacher } from "../../src/index.js";
import { fashionMnist, PYTORCH, testWith } from "../helpers/needs.js";
import { runPython } from "../helpers/python.js";

/** Reads the student and the pixels as a port of the script would, and counts what it gets right. */
const CODE = `
import sys, json, pathlib, torch
folder, mean, std = pathlib.Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
class StudentNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = torch.nn.Linear(784, 512), torch.nn.Linear(512, 256), torch.nn.Linear(256, 10)
    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
student = StudentNet()
student.load_state_dict(torch.load(folder / "student.pth", weights_only=True), strict=True)
pixels = torch.frombuffer(bytearray((folder / "pixels").read_bytes()), dtype=torch.uint8).reshape(-1, 784)
labels = torch.frombuffer(bytearray((folder / "labels").read_bytes()), dtype=torch.int32)
with torch.no_grad():
    classes = student.eval()((pixels.float() / 255 - mean) / std).argmax(1)
print(json.dumps(int((classes == labels).sum())))`;

const data = await fashionMnist();

testWith(
  PYTORCH.met ? data : PYTORCH,
  "PyTorch gets the same student's accuracy on Fashion-MNIST to the last image",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "distillery-accuracy-"));
    try {
      const { train, test: held } = await loadImages("fashion-mnist");
      manualSeed(3);
      const student = new StudentNet();
      await trainTeacher({ model: student, data: train, epochs: 1, batchSize: 256 });
      await save(student.stateDict(), join(folder, "student.pth"));
      writeFileSync(join(folder, "pixels"), held.pixels);
      writeFileSync(join(folder, "labels"), Buffer.from(held.labels.data.slice().buffer));
      const { correct, samples } = evaluate(student, held);
      expect(correct / samples).toBeGreaterThan(0.8);
      expect(await runPython(CODE, folder, String(held.mean), String(held.std))).toBe(correct);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
