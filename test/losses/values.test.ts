import { describe, expect, it } from "vitest";
import { crossEntropy, IntTensor, kdLoss, kdLossParts, type Labels, noGrad, Tensor, tensor } from "../../src/index.js";
import { expectClose } from "../parity/close.js";

const CLOSE = { rel: 2e-7, abs: 1e-7 };

describe("crossEntropy by hand", () => {
  it("equal logits: log of the number of classes", () => {
    expectClose([crossEntropy(tensor([[5, 5, 5, 5]]), Int32Array.of(2)).item()], [Math.log(4)], CLOSE);
  });

  it("the mean over the rows of -log p", () => {
    // softmax([0, log 3]) is [1/4, 3/4].
    const logits = tensor(
      [
        [0, Math.log(3)],
        [0, Math.log(3)],
      ],
      { requiresGrad: true },
    );
    const loss = crossEntropy(logits, Int32Array.of(0, 1));
    expectClose([loss.item()], [(Math.log(4) + Math.log(4 / 3)) / 2], CLOSE);
    loss.backward();
    expectClose(logits.grad?.data ?? [], [-0.375, 0.375, 0.125, -0.125], CLOSE, "(p - y) / 2");
  });

  it("logits far apart neither overflow nor lose the loss", () => {
    expectClose([crossEntropy(tensor([[1e30, 0]]), Int32Array.of(0)).item()], [0], {});
    expect(crossEntropy(tensor([[1000, 0]]), Int32Array.of(1)).item()).toBe(1000);
  });

  it("smoothed: the label's class is expected with what remains, and its share of the rest", () => {
    // p = [1/4, 3/4], and the label 0 smoothed by 0.2 is [0.9, 0.1].
    const logits = tensor([[0, Math.log(3)]], { requiresGrad: true });
    const loss = crossEntropy(logits, Int32Array.of(0), { labelSmoothing: 0.2 });
    expectClose([loss.item()], [0.9 * Math.log(4) + 0.1 * Math.log(4 / 3)], CLOSE);
    loss.backward();
    expectClose(logits.grad?.data ?? [], [0.25 - 0.9, 0.75 - 0.1], CLOSE, "p - y");
  });

  // torch.nn.functional.cross_entropy of PyTorch 2.15, with its gradient.
  it.each([
    [
      0,
      2.064671516418457,
      [
        0.0304879080504179, -0.2092771828174591, 0.136637344956398, 0.1421366035938263, -0.16712525486946106,
        0.06714058667421341, 0.07686784863471985, 0.21292731165885925, -0.23959706723690033, -0.2211834192276001,
        0.16272921860218048, 0.008256088010966778,
      ],
    ],
    [
      0.1,
      2.0084214210510254,
      [
        0.02215457335114479, -0.19261051714420319, 0.12830400466918945, 0.13380326330661774, -0.15045860409736633,
        0.05880725383758545, 0.06853451579809189, 0.2045939713716507, -0.2229304015636444, -0.20451675355434418,
        0.15439587831497192, -7.724575698375702e-5,
      ],
    ],
  ])("logits of [2, 3, 2], a class for each place, smoothed by %d", (labelSmoothing, value, slopes) => {
    const numbers = Float32Array.of(0.5, -1, 2, 0.25, 1.5, -0.5, 0, 3, -2, 1, 0.75, -0.25);
    const logits = new Tensor(numbers, [2, 3, 2], { requiresGrad: true });
    const loss = crossEntropy(logits, new IntTensor(Int32Array.of(2, 0, 1, 1), [2, 2]), { labelSmoothing });
    loss.backward();
    expectClose([loss.item()], [value], CLOSE);
    expectClose(logits.grad?.data ?? [], slopes, { rel: 2e-6, abs: 1e-7 });
  });

  it("one class: nothing to learn", () => {
    expectClose([crossEntropy(tensor([[3], [4]]), Int32Array.of(0, 0)).item()], [0], {});
  });
});

describe("kdLoss by hand", () => {
  it.each([1, 50])("at temperature %d, a class that both networks rule out is none, whichever it is", (temperature) => {
    const of = (...logits: number[]) => tensor([logits], { requiresGrad: true });
    const options = { temperature, alpha: 1 };
    const [small, teacher] = [of(1, -1), [0.5, 2]];
    const wanted = kdLoss(small, tensor([teacher]), Int32Array.of(0), options);
    wanted.backward();
    for (const at of [0, 1, 2]) {
      const masked = (values: readonly number[]) => values.toSpliced(at, 0, Number.NEGATIVE_INFINITY);
      const student = of(...masked([1, -1]));
      const loss = kdLoss(student, tensor([masked(teacher)]), Int32Array.of(0), options);
      loss.backward();
      expectClose([loss.item()], [wanted.item()], CLOSE);
      expectClose(student.grad?.data ?? [], [...(small.grad?.data ?? [])].toSpliced(at, 0, 0), CLOSE);
    }
    expect(kdLoss(of(-Infinity, 1), tensor([[0, 0]]), Int32Array.of(1), { temperature, alpha: 0 }).item()).toBe(0);
  });

  // At T = 2 the teacher says softmax([0, log 3]) = [1/4, 3/4], the student [1/2, 1/2].
  const [teacher, student] = [tensor([[0, 2 * Math.log(3)]]), tensor([[1, 1]], { requiresGrad: true })];
  const divergence = 0.25 * Math.log(0.5) + 0.75 * Math.log(1.5);
  const labels = new IntTensor(Int32Array.of(1));
  const at = (alpha: number) => kdLoss(student, teacher, labels, { temperature: 2, alpha });

  it("alpha 1: T² times the divergence", () => {
    const loss = at(1);
    expectClose([loss.item()], [4 * divergence], { abs: 4e-7 });
    loss.backward();
    expectClose(student.grad?.data ?? [], [2 * 0.25, -2 * 0.25], CLOSE, "T (q - p)");
  });

  it("alpha 1 reads no labels: there may be none", () => {
    const [students, teachers] = [
      tensor([
        [1, 1],
        [0, 2],
      ]),
      tensor([
        [0, 3],
        [1, 0],
      ]),
    ];
    const parts = (labels: Labels | null) => {
      const { loss, soft, hard } = kdLossParts(students, teachers, labels, { temperature: 2, alpha: 1 });
      return { loss: loss.item(), soft, hard };
    };
    const { hard: _, ...expected } = parts(Int32Array.of(0, 1));
    expect(parts(null)).toEqual({ ...expected, hard: 0 });
    const { hard, ...partly } = parts(Int32Array.of(0, -1));
    expect(partly).toEqual(expected);
    expectClose([hard], [Math.log(2)], CLOSE);
    expect(parts(Int32Array.of(-1, -1))).toEqual({ ...expected, hard: 0 });
  });

  it("alpha 0: the cross-entropy alone", () => {
    expectClose([at(0).item()], [Math.log(2)], CLOSE);
  });

  it("label smoothing leaves the soft part alone", () => {
    const smoothed = (alpha: number) =>
      kdLoss(student, teacher, labels, { temperature: 2, alpha, labelSmoothing: 0.5 }).item();
    expect(smoothed(1)).toBe(at(1).item());
    const sure = tensor([[Math.log(3), 0]]);
    const hard = kdLoss(sure, teacher, labels, { temperature: 2, alpha: 0, labelSmoothing: 0.5 });
    // p = [3/4, 1/4], and the label 1 smoothed by 1/2 is [1/4, 3/4].
    expectClose([hard.item()], [0.25 * Math.log(4 / 3) + 0.75 * Math.log(4)], CLOSE);
  });

  it("alpha 0.3 is between", () => {
    expectClose([at(0.3).item()], [0.3 * 4 * divergence + 0.7 * Math.log(2)], { abs: 4e-7 });
  });

  it("the defaults are T = 3.5 and alpha = 0.6", () => {
    const explicit = kdLoss(student, teacher, labels, { temperature: 3.5, alpha: 0.6 });
    expect(kdLoss(student, teacher, labels).item()).toBe(explicit.item());
  });

  it("with equal logits of student and teacher, only the labels' part remains", () => {
    const loss = kdLoss(teacher, teacher, labels, { temperature: 2, alpha: 1 });
    expect(loss.item()).toBe(0);
  });

  it("a class that the teacher rules out adds nothing", () => {
    const sure = tensor([[1e4, 0]]);
    expectClose([kdLoss(student, sure, labels, { temperature: 1, alpha: 1 }).item()], [Math.log(2)], CLOSE);
  });

  it("records nothing without gradients", () => {
    expect(noGrad(() => at(0.5)).requiresGrad).toBe(false);
    expect(kdLoss(student.detach(), teacher, labels).requiresGrad).toBe(false);
  });
});
