import { describe, expect, it } from "vitest";
import { DistilleryError, IntTensor, LongTensor, manualSeed, ones, type StateDict, Tensor } from "../../src/index.js";
import { Block, Stack, torchText } from "./networks.js";

const values = (state: StateDict) => Object.entries(state).map(([key, tensor]) => [key, tensor.toArray()]);
const without = (state: StateDict, ...keys: string[]): StateDict =>
  Object.fromEntries(Object.entries(state).filter(([key]) => !keys.includes(key)));

/** A state that differs from a new block's in every tensor. */
function otherState(): StateDict {
  const state = new Block().stateDict();
  for (const tensor of Object.values(state)) {
    if (tensor instanceof Tensor)
      tensor.data.forEach((x, i) => {
        tensor.data[i] = x + i + 1;
      });
    if (tensor instanceof LongTensor) tensor.data[0] = 2n ** 40n;
  }
  return state;
}

/** The error of loading, after a check that nothing was copied. */
function failure(state: StateDict, strict = true): DistilleryError {
  const block = new Block();
  const before = values(block.stateDict());
  try {
    block.loadStateDict(state, { strict });
  } catch (error) {
    expect(values(block.stateDict())).toEqual(before);
    if (error instanceof DistilleryError) return error;
    throw error;
  }
  throw new Error("it loaded");
}

/** PyTorch's text, with shapes as this library writes them and no spaces before line ends. */
const torchSays = (name: string) =>
  torchText.failures[name]?.replaceAll(/torch\.Size\((.*?)\)/g, "$1").replaceAll(/ +$/gm, "");

describe("loadStateDict", () => {
  it("copies every value, buffers and counters too, into the module's own tensors", () => {
    manualSeed(1);
    const [block, state] = [new Block(), otherState()];
    const own = Object.values(block.stateDict());
    expect(block.loadStateDict(state)).toBe(block);
    expect(values(block.stateDict())).toEqual(values(state));
    expect(Object.values(block.stateDict()).every((tensor, i) => tensor === own[i])).toBe(true);
    const scale = state.scale;
    scale.data[0] = 77;
    expect(block.scale.data[0]).not.toBe(77);
  });

  it("takes a whole network's state to its twin", () => {
    const [from, to] = [new Stack(), new Stack()];
    to.loadStateDict(from.stateDict());
    expect(values(to.stateDict())).toEqual(values(from.stateDict()));
  });

  it("not strict: loads what fits and leaves the rest", () => {
    const [block, state] = [new Block(), otherState()];
    const scale = block.scale.toArray();
    block.loadStateDict({ ...without(state, "scale"), extra: ones([3]) }, { strict: false });
    expect(block.scale.toArray()).toEqual(scale);
    expect(values(without(block.stateDict(), "scale"))).toEqual(values(without(state, "scale")));
  });

  it("takes a counter of 32 bits", () => {
    const [block, state] = [new Block(), otherState()];
    block.loadStateDict({ ...state, "body.1.num_batches_tracked": new IntTensor(Int32Array.of(12), []) });
    expect(block.stateDict()["body.1.num_batches_tracked"]?.toArray()).toBe(12);
  });
});

describe("what does not fit is listed in PyTorch's words, and nothing is copied", () => {
  const missing = () => without(otherState(), "scale", "body.1.running_var");
  const more = { "head.weight": ones([1]), extra: ones([1]) };

  it.each<[string, () => StateDict, boolean?]>([
    ["missing", missing],
    ["unexpected", () => ({ ...otherState(), ...more })],
    ["sizes", () => ({ ...otherState(), scale: ones([5]), "body.0.weight": ones([3, 4]) })],
    ["everything", () => ({ ...missing(), ...more, "body.0.weight": ones([12]) })],
    ["everything, not strict", () => ({ ...missing(), ...more, "body.0.weight": ones([12]) }), false],
  ])("%s", (name, state, strict) => {
    const error = failure(state(), strict);
    expect(error.code).toBe("STATE_DICT_MISMATCH");
    expect(error.message).toBe(torchSays(name));
  });

  it("a tensor of another type, a value that is none, a key without a value", () => {
    const counter = "body.1.num_batches_tracked";
    const wrong = {
      scale: new IntTensor(new Int32Array(4)),
      [counter]: new Tensor(Float32Array.of(Number.NaN), []),
      offset: [0, 0, 0, 0] as never,
    };
    const { message } = failure({ ...otherState(), ...wrong, "body.1.bias": undefined as never });
    expect(message.split("\n\t").slice(1)).toEqual([
      "scale: expected float32, got int32.",
      "offset: expected a tensor, got a value of type Array.",
      "body.1.bias: expected a tensor, got undefined.",
      `${counter}: expected int64, got float32.`,
    ]);
  });

  it("a key of Object.prototype is missing like any other", () => {
    expect(failure(Object.create(otherState())).message).toMatch(
      /^Error\(s\).*\n\tMissing key\(s\).*"scale", "offset"/,
    );
  });

  it.each([null, undefined, 7, "state"])("no state dict: %s", (state) => {
    expect(() => new Block().loadStateDict(state as never)).toThrow(expect.objectContaining({ code: "BAD_DTYPE" }));
  });
});

it("takes floats for counters, cut to whole numbers, as PyTorch's copy_ does, and one of shape [1]", () => {
  const state = new Block().stateDict();
  const [counter] = Object.entries(state).find(([, tensor]) => tensor instanceof LongTensor) ?? [""];
  const loaded = (value: Tensor) => new Block().loadStateDict({ ...state, [counter]: value }).stateDict()[counter];
  expect(loaded(new Tensor(Float32Array.of(41.75), []))).toEqual(new LongTensor(BigInt64Array.of(41n), []));
  expect(loaded(new Tensor(Float32Array.of(7), [1])).toArray()).toBe(7);
  for (const x of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
    expect(failure({ ...state, [counter]: new Tensor(Float32Array.of(x), []) }).message).toContain(
      `${counter}: expected int64, got float32.`,
    );
  }
});
