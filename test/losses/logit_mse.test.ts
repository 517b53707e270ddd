import { expect, test } from "vitest";
import { logitMseLoss, Tensor } from "../../src/index.js";
import { expectClose } from "../parity/close.js";

// F.mse_loss in double precision, PyTorch 2.15.
const STUDENT = [
  0.349, -1.189, -0.874, 0.341, 0.119, -0.636, 2.748, 0.197, -0.12, -0.502, 1.272, 0.735, -1.45, 0.753, 0.599,
];
const TEACHER = [
  -0.149, -2.346, 1.373, 1.144, -0.474, -1.179, 0.844, -1.44, -0.107, -0.12, 0.71, -0.073, -1.618, 0.226, 0.513,
];
const VALUE = 1.0440069333333333;

test("is PyTorch's value, and its gradient reaches the student only", () => {
  const student = new Tensor(Float32Array.from(STUDENT), [5, 3], { requiresGrad: true });
  const teacher = new Tensor(Float32Array.from(TEACHER), [5, 3], { requiresGrad: true });
  const loss = logitMseLoss(student, teacher);
  expectClose([loss.item()], [VALUE], { rel: 1e-6 });
  loss.backward();
  const expected = STUDENT.map((x, i) => (2 * (x - TEACHER[i])) / 15);
  expectClose([...(student.grad?.data ?? [])], expected, { abs: 1e-7 });
  expect(teacher.grad).toBeNull();
});
