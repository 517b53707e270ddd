import { describe, expect, it } from "vitest";
import { clipGradNorm, Parameter, type Tensor, tensor, zeros } from "../../src/index.js";
import { expectClose } from "../parity/close.js";

/** Parameters with these gradients; null stands for none. */
function withGrads(...grads: (number[] | null)[]): Parameter[] {
  return grads.map((grad) => {
    const parameter = new Parameter(new Float32Array(grad?.length ?? 1));
    parameter.grad = grad && tensor(grad);
    return parameter;
  });
}
const gradsOf = (parameters: Parameter[]) => parameters.map(({ grad }) => grad?.toArray() ?? null);
const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

describe("the norm", () => {
  it("is that of all gradients together, from before the scaling", () => {
    const parameters = withGrads([1, 2], null, [2, 4], []);
    expect(clipGradNorm(parameters, 2.5)).toBe(5);
    expectClose(parameters[0]?.grad?.data ?? [], [0.5, 1], { rel: 5e-7 });
    expectClose(parameters[2]?.grad?.data ?? [], [1, 2], { rel: 5e-7 });
    expect(parameters[1]?.grad).toBeNull();
  });

  it.each([
    [1, 9],
    [2, 5],
    [infinity, 4],
  ])("of type %s", (normType, norm) => {
    expect(clipGradNorm(withGrads([1, -2], [2, -4]), 3, { normType })).toBe(norm);
  });

  it("below the limit it leaves every bit", () => {
    const parameters = withGrads([0.3, -0.4]);
    clipGradNorm(parameters, 0.6);
    expect(gradsOf(parameters)).toEqual([[0.3, -0.4].map(Math.fround)]);
  });

  it("without gradients is 0", () => {
    expectClose([clipGradNorm(withGrads(null, null), 1), clipGradNorm(withGrads([0, 0]), 1)], [0, 0], {});
  });
});

/**
 * What PyTorch 2.15 answers and leaves:
 *
 *     p = torch.nn.Parameter(torch.zeros(len(grad))); p.grad = torch.tensor(grad)
 *     norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
 */
describe("PyTorch's edges", () => {
  it.each<[string, number[][], number, number, number[][]]>([
    ["exactly at the limit", [[3, 4]], 5, 5, [[2.9999992847442627, 3.9999990463256836]]],
    ["no limit", [[3, 4]], infinity, 5, [[3, 4]]],
    ["a limit of zero", [[3, -4]], 0, 5, [[0, -0]]],
    ["infinite", [[infinity, 1], [2]], 1, infinity, [[nan, 0], [0]]],
    ["not a number", [[nan, 1], [2]], 1, nan, [[nan, nan], [nan]]],
    ["infinite, no limit", [[infinity, 1]], infinity, infinity, [[nan, nan]]],
    ["a square past single precision", [[1e30]], 1, 1e30, [[1]]],
    ["all zero", [[0, 0]], 1, 0, [[0, 0]]],
  ])("%s", (_, grads, limit, norm, left) => {
    const parameters = withGrads(...grads);
    expectClose([clipGradNorm(parameters, limit)], [norm], { rel: 1e-7 });
    // PyTorch works out the coefficient in single precision, which costs it some units of the last place.
    parameters.forEach(({ grad }, i) => {
      expectClose(grad?.data ?? [], left[i] ?? [], { rel: 3e-7 });
    });
  });
});

describe("bad arguments", () => {
  it.each([-1, nan, -infinity, "1", undefined])("a limit of %s, and the gradient stays", (limit) => {
    const parameters = withGrads([3, 4]);
    expect(() => clipGradNorm(parameters, limit as number)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    expect(gradsOf(parameters)).toEqual([[3, 4]]);
  });

  it("no parameters, others than tensors, one twice", () => {
    const one = zeros([1]);
    for (const list of [[], [one, one], [one.data], one]) {
      expect(() => clipGradNorm(list as Tensor[], 1)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    }
  });
});
