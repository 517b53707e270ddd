import { relative } from "node:path";
import { describe, expect, it } from "vitest";
import { fromNative } from "../../src/errors.js";
import { DistilleryError, kdLoss, Linear, setNumThreads, tensor, zeros } from "../../src/index.js";
import { native } from "../../src/native.js";
import { fromUserCode } from "../../src/user_code.js";

function caught(body: () => unknown): DistilleryError {
  try {
    body();
  } catch (error) {
    if (error instanceof DistilleryError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("DistilleryError", () => {
  it("is an Error with a name, a code, a text and a cause", () => {
    const cause = new RangeError("below");
    const error = new DistilleryError("IO_ERROR", "could not write", { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: "DistilleryError", code: "IO_ERROR", message: "could not write", cause });
    expect(String(error)).toBe("DistilleryError: could not write");
    expect(error.stack).toContain("error.test.ts");
    expect("cause" in new DistilleryError("NATIVE", "no cause")).toBe(false);
  });
});

describe("an error of the binding", () => {
  it("keeps its code and text, and is the cause", () => {
    const error = caught(() =>
      native.crossEntropy(new Float32Array(6), Int32Array.of(0, 7), new Float32Array(6), 2, 3, 0),
    );
    expect(error.code).toBe("LABEL_OUT_OF_RANGE");
    expect(error.message).toBe("crossEntropy: labels[1]: expected a class from 0 to 2, got 7");
    expect(error.cause).toMatchObject({
      code: "LABEL_OUT_OF_RANGE",
      message: `cross_entropy${error.message.slice(12)}`,
    });
  });

  it("of the binding's own argument checks is BAD_DTYPE", () => {
    const error = caught(() => native.reluForward(new Float64Array(1) as never, new Float32Array(1)));
    expect(error.code).toBe("BAD_DTYPE");
    expect(error.message).toMatch(/expected a Float32Array, got a typed array of another kind/);
    expect(error.cause).toMatchObject({ code: "InvalidArg" });
  });

  it.each([
    [{ code: "SHAPE_MISMATCH", message: "m" }, "SHAPE_MISMATCH", "m"],
    [{ code: "ArrayExpected", message: "m" }, "BAD_DTYPE", "m"],
    [{ code: "GenericFailure", message: "a panic" }, "INTERNAL", "a panic"],
    [{ code: "toString", message: "m" }, "INTERNAL", "m"],
    [new RangeError("plain"), "INTERNAL", "plain"],
    ["text", "INTERNAL", "text"],
    [undefined, "INTERNAL", "undefined"],
  ])("%o is %s", (cause, code, message) => {
    expect(fromNative(cause)).toMatchObject({ name: "DistilleryError", code, message, cause });
  });
});

describe("an error of a module of the user's own", () => {
  it.each([
    ["at compute (/data/my work/a (copy)/loss.cjs:3:9)", "/data/my work/a (copy)/loss.cjs:3:9"],
    ["at /data/my work/loss.cjs:3:9", "/data/my work/loss.cjs:3:9"],
    ["at async Loss.compute (file:///data/my%20work/(b)/loss.mjs?v=1:3:9)", "/data/my work/(b)/loss.mjs:3:9"],
    ["at new Loss (/data/loss.mjs:3:9)", "/data/loss.mjs:3:9"],
  ])("names its file, whatever that is called: %s", (frame, place) => {
    const stack = `TypeError: x\n    at node:internal/x:1:1\n    at <anonymous>\n    ${frame}\n    at a (/data/other.mjs:1:1)`;
    const error = fromUserCode(Object.assign(new TypeError("x"), { stack }));
    const file = relative(process.cwd(), place.replace(/:3:9$/, ""));
    expect(error?.message).toBe(`${file}:3:9: TypeError: x`);
  });
});

describe("texts name the argument, what came and what was expected", () => {
  it.each<[() => unknown, string]>([
    [() => new Linear(784, 10).forward(zeros([64, 783])), "linear: x: expected shape [*, 784], got [64, 783]"],
    [
      () => kdLoss(zeros([2, 9]), zeros([2, 10]), Int32Array.of(0, 0)),
      "kdLoss: teacherLogits: expected shape [2, 9], got [2, 10]",
    ],
    [() => setNumThreads(0), "threads: expected a whole number from 1 to 1024, got 0"],
    [() => zeros([2, -1]), "shape[1]: expected a whole number from 0 to 2147483647, got -1"],
    [() => tensor("abc" as never), 'values: expected numbers nested in arrays, got "abc"'],
    [() => tensor("x".repeat(99) as never), `values: expected numbers nested in arrays, got "${"x".repeat(80)}..."`],
    [() => tensor(7n as never), "values: expected numbers nested in arrays, got 7n"],
    [
      () => tensor(Object.create(null) as never),
      "values: expected numbers nested in arrays, got a value of type Object",
    ],
    [() => tensor((() => 1) as never), "values: expected numbers nested in arrays, got a function"],
    [() => tensor(Symbol("s") as never), "values: expected numbers nested in arrays, got Symbol(s)"],
  ])("%#", (body, message) => {
    expect(caught(body).message).toBe(message);
  });
});
