import { native } from "../../src/native.js";

/** A typed array that a kernel may take. */
export type TypedArray = Float32Array | Int32Array | Uint8Array | Uint32Array;
type Kernel = (...args: unknown[]) => unknown;

/** One argument of a valid call. `path`: it is the property at this path of the call's only argument, an object. */
export type Argument = (
  | ArrayArgument
  | { kind: "size" | "real" | "flag" | "shape" | "handle" | "options"; value: unknown }
) & {
  path?: string;
};

/**
 * `list`: the kernel takes a list of such arrays. `free`: any length is valid. `atLeast`: a longer one is valid.
 * `optional`: null is valid.
 */
interface ArrayArgument {
  kind: "read" | "write";
  array: TypedArray;
  list?: boolean;
  free?: boolean;
  atLeast?: boolean;
  optional?: boolean;
}

const read = (...values: number[]): ArrayArgument => ({ kind: "read", array: Float32Array.from(values) });
const write = (length: number): ArrayArgument => ({ kind: "write", array: new Float32Array(length) });
const readOf = (array: TypedArray): ArrayArgument => ({ kind: "read", array });
const writeOf = (array: TypedArray): ArrayArgument => ({ kind: "write", array });
const free = (argument: ArrayArgument): ArrayArgument => ({ ...argument, free: true });
const atLeast = (argument: ArrayArgument): ArrayArgument => ({ ...argument, atLeast: true });
const optional = (argument: ArrayArgument): ArrayArgument => ({ ...argument, optional: true });
const list = (argument: ArrayArgument): ArrayArgument => ({ ...argument, list: true });
const size = (value: number): Argument => ({ kind: "size", value });
const real = (value: number): Argument => ({ kind: "real", value });
const flag: Argument = { kind: "flag", value: true };
const shape = (...value: number[]): Argument => ({ kind: "shape", value });

const named = (properties: Record<string, Argument>): Argument[] =>
  Object.entries(properties).map(([path, argument]) => ({ ...argument, path }));

const six = read(1, 2, 3, 4, 5, 6);
const three = read(1, 2, 3);
const four = read(1, 2, 3, 4);
const eight = read(...Array(8).keys());
const twelve = read(...Array.from({ length: 12 }, (_, i) => i - 6));
const sixteen = read(...Array(16).keys());
const nine = read(...Array(9).keys());
/** Two rows of two heads of three queries and two keys of width 2. */
const attention: Record<string, Argument> = {
  "attention.q": read(...Array.from({ length: 24 }, (_, i) => i / 8 - 1)),
  "attention.k": sixteen,
  "attention.v": sixteen,
  "attention.packed": { kind: "flag", value: false },
  "attention.keyBias": optional(four),
  "attention.bias": optional(six),
  "attention.mask": optional(readOf(new Uint8Array(24).fill(1))),
  "attention.p": real(0.5),
  "attention.batch": size(2),
  "attention.heads": size(2),
  "attention.queries": size(3),
  "attention.keys": size(2),
  "attention.width": size(2),
  "attention.valueWidth": size(2),
  "attention.scale": real(0.5),
  "attention.bfloat16": flag,
};
/** Two bags of two ids of a table [3, 3]. */
const bags: Record<string, Argument> = {
  "bags.ids": read(0, 2, 1, 1),
  "bags.weights": optional(four),
  "bags.bags": size(2),
  "bags.length": size(2),
  "bags.rows": size(3),
  "bags.dim": size(3),
  "bags.padding": real(0),
  "bags.mean": flag,
  "bags.signed": flag,
};
/** Windows of 2 x 2 of a plane of 4 x 4. */
const spans = shape(0, 2, 1, 2, 2, 4, 1, 2);
const windows: Record<string, Argument> = {
  "windows.height": size(4),
  "windows.width": size(4),
  "windows.rows": spans,
  "windows.columns": spans,
};
/** An image of 4 x 4 by two kernels of 2 x 2, two apart. */
const convolution = { xShape: shape(1, 1, 4, 4), weightShape: shape(2, 1, 2, 2), window: shape(2, 2, 0, 0, 1, 1, 1) };
const builder = (): Argument => ({ kind: "handle", value: native.graphBuilder([-1, 3]) });
/** The queue of a graph that normalizes and drops, [2, 3] to [2, 3], with a pass in flight or one that was taken. */
const queue = (taken = false): Argument => {
  const graph = native.graphBuilder([-1, 3]);
  const [weight, ones] = [new Float32Array(9).fill(0.5), new Float32Array(3).fill(1)];
  const constants = [native.graphConstant(graph, weight, [3, 3])];
  for (let i = 0; i < 4; i++) constants.push(native.graphConstant(graph, ones, [3]));
  const attributes = { training: true, eps: 1e-5, momentum: 0.1, p: 0.5 };
  const op = "linearBatchNormReluDropout";
  const output = native.graphNode(graph, { op, inputs: [0, ...constants], shape: [-1, 3], attributes });
  const value = native.inferenceQueue(graph, [output]);
  const [first, second] = [stream(), stream()].map(({ array }) => array as Uint32Array);
  native.inferenceEnqueue(value, new Float32Array(6), 2, first);
  if (taken) native.inferenceTake(value, new Float32Array(6), 2, second, [new Float32Array(6)]);
  return { kind: "handle", value };
};
const labels = readOf(Int32Array.of(2, 0));
const stream = (): ArrayArgument => {
  const state = new Uint32Array(native.randomStateWords());
  native.randomSeed(state, 1);
  return writeOf(state);
};

/** A PNG file of 2 x 2 pixels. */
const IMAGE_FILE = Uint8Array.from(
  Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DA8P8/AwMDAwPDfwAe/QP+Tb2WsgAAAABJRU5ErkJggg==",
    "base64",
  ),
);

/** A valid call of every kernel that takes arguments; matrices are [2, 3], and [3, 4] for the second of a product. */
export const CALLS: Record<string, Argument[]> = {
  accumulate: [six, write(6)],
  adamStep: named({
    params: list(write(6)),
    grads: list(six),
    expAvgs: list(write(6)),
    expAvgSqs: list(write(6)),
    maxExpAvgSqs: optional(list(write(6))),
    lr: real(0.1),
    beta1: real(0.9),
    beta2: real(0.99),
    eps: real(1e-8),
    weightDecay: real(0.1),
    decoupledWeightDecay: flag,
    step: real(1),
    gradScale: real(1),
  }),
  affine: [six, real(2), real(1), write(6)],
  argmax: [twelve, writeOf(new Int32Array(4)), size(2), size(3), size(2), flag],
  augment: [
    stream(),
    read(...Array(24).keys()),
    three,
    write(24),
    size(2),
    size(3),
    size(2),
    size(2),
    real(1),
    real(0.5),
    real(0.1),
  ],
  batchMoments: [twelve, size(2), size(3), size(2)],
  batchNormBackward: named({
    grad: twelve,
    "saved.x": twelve,
    "saved.mean": three,
    "saved.invStd": three,
    weight: three,
    bias: three,
    "gradients.x": write(12),
    "gradients.weight": write(3),
    "gradients.bias": write(3),
    rows: size(2),
    features: size(3),
    length: size(2),
    "saved.train": flag,
    y: optional(twelve),
    gradAddend: optional(write(12)),
  }),
  batchNormForward: named({
    x: twelve,
    "norm.weight": three,
    "norm.bias": three,
    "norm.runningMean": write(3),
    "norm.runningVar": write(3),
    mean: write(3),
    invStd: write(3),
    out: write(12),
    rows: size(2),
    features: size(3),
    length: size(2),
    "norm.train": flag,
    "norm.eps": real(1e-5),
    "norm.momentum": real(0.1),
    relu: flag,
    addend: optional(twelve),
  }),
  attentionForward: named({ ...attention, out: write(24) }),
  attentionBackward: named({
    ...attention,
    grad: read(...Array(24).keys()),
    gradQ: optional(write(24)),
    gradK: optional(write(16)),
    gradV: optional(write(16)),
  }),
  layerNormForward: named({
    x: six,
    weight: optional(three),
    bias: optional(three),
    mean: write(2),
    invStd: write(2),
    out: write(6),
    rows: size(2),
    columns: size(3),
    eps: real(1e-5),
  }),
  layerNormBackward: [six, six, read(1, 2), read(1, 2), optional(three), write(6), size(2), size(3)],
  layerNormAffineBackward: [six, six, read(1, 2), read(1, 2), write(3), write(3), size(2), size(3)],
  batchedMatmul: [eight, eight, write(8), size(2), size(2), size(2), size(2), flag, flag, flag],
  binaryBackward: [real(2), flag, six, six, real(1), six, real(1), write(6)],
  binaryForward: [real(0), six, real(1), six, real(1), write(6)],
  compare: [real(0), six, real(1), six, real(1), writeOf(new Int32Array(6))],
  crossEntropy: [six, labels, write(6), size(2), size(3), real(0.1)],
  cumsum: [twelve, write(12), size(2), size(3), size(2), flag],
  decodeImages: [list(free(readOf(IMAGE_FILE))), writeOf(new Uint8Array(12)), shape(3, 2, 2), flag, flag, flag],
  dropoutBackward: [six, real(0.5), readOf(new Uint8Array(6)), write(6)],
  dropoutMask: [real(0.5), stream(), free(writeOf(new Uint8Array(6)))],
  dropoutForward: [six, real(0.5), stream(), writeOf(new Uint8Array(6)), write(6)],
  embeddingBagBackward: named({
    ...bags,
    grad: six,
    table: nine,
    named: optional(readOf(Int32Array.of(0, 1, 2))),
    gradTable: optional(write(9)),
    gradWeights: optional(write(4)),
  }),
  embeddingBagForward: named({ ...bags, table: nine, out: write(6) }),
  embeddingBagRows: named({
    ...bags,
    "bags.rows": real(3),
    "bags.dim": real(3),
    out: writeOf(new Int32Array(4)),
  }),
  firstNonFinite: [free(six)],
  gather: [six, shape(2, 3), real(1), labelsOf(0, 1, 1, 0, 0, 1), shape(2, 3), write(6)],
  gatherBytes: [
    readOf(Uint8Array.of(1, 2, 3, 4, 5, 6)),
    labelsOf(1, 0, 1),
    write(9),
    size(2),
    size(3),
    read(0),
    read(1),
  ],
  gatherRows: [six, labelsOf(1, 0, 1), write(9), size(2), size(3)],
  gradNorm: [list(free(six))],
  graphConstant: [builder(), six, shape(2, 3)],
  graphNode: [builder(), { kind: "options", value: { op: "relu", inputs: [0], shape: [-1, 3], attributes: {} } }],
  inferenceDiscard: [queue()],
  inferenceEnqueue: [queue(), six, size(2), stream()],
  inferenceMoveStatistics: [queue(true), real(0), write(3), write(3)],
  inferenceQueue: [builder(), { kind: "options", value: [0] }],
  inferenceRelease: [queue()],
  inferenceRun: [queue(), six, size(2), stream(), list(write(6))],
  inferenceTake: [queue(), six, size(2), stream(), list(write(6))],
  imageSize: [free(readOf(IMAGE_FILE)), flag],
  indexAdd: [twelve, size(2), size(2), size(3), labelsOf(1, 0), write(12)],
  indexSelect: [twelve, size(2), size(2), size(3), labelsOf(1, 0), write(12)],
  kdLoss: [six, six, labels, write(6), size(2), size(3), real(2), real(0.5), real(0.1)],
  linearBackward: [
    six,
    read(...Array(8).keys()),
    twelve,
    optional(write(8)),
    optional(write(12)),
    optional(write(3)),
    size(2),
    size(4),
    size(3),
    flag,
  ],
  avgPoolBackward: named({ grad: four, x: sixteen, gradX: write(16), ...windows, scale: real(1) }),
  avgPoolForward: named({ x: sixteen, out: write(4), ...windows, scale: real(1) }),
  conv2DBackward: named({
    grad: eight,
    x: sixteen,
    weight: eight,
    gradX: optional(write(16)),
    gradWeight: optional(write(8)),
    gradBias: optional(write(2)),
    bfloat16: flag,
    ...convolution,
  }),
  conv2DForward: named({
    x: sixteen,
    weight: eight,
    bias: optional(read(1, 2)),
    relu: flag,
    bfloat16: flag,
    alone: flag,
    out: write(8),
    ...convolution,
  }),
  maxPoolBackward: named({ grad: four, x: sixteen, gradX: write(16), ...windows, scale: real(1) }),
  maxPoolForward: named({ x: sixteen, out: write(4), ...windows, scale: real(1) }),
  linearForward: [six, twelve, optional(four), write(8), size(2), size(3), size(4), flag, flag],
  linearNormReluDropoutForward: named({
    "linear.x": six,
    "linear.weight": twelve,
    "linear.bias": optional(four),
    "linear.bfloat16": flag,
    linearOut: write(8),
    "norm.weight": four,
    "norm.bias": four,
    "norm.runningMean": write(4),
    "norm.runningVar": write(4),
    mean: write(4),
    invStd: write(4),
    out: write(8),
    "dropout.mask": writeOf(new Uint8Array(8)),
    "dropout.state": stream(),
    rows: size(2),
    inputs: size(3),
    features: size(4),
    "norm.train": flag,
    "norm.eps": real(1e-5),
    "norm.momentum": real(0.1),
    "dropout.p": real(0.5),
  }),
  movingAverage: [list(write(6)), list(six), real(0.9)],
  normReluDropoutBackward: named({
    grad: six,
    "saved.x": six,
    "saved.mean": three,
    "saved.invStd": three,
    weight: three,
    bias: three,
    mask: optional(readOf(new Uint8Array(6))),
    "gradients.x": write(6),
    "gradients.weight": write(3),
    "gradients.bias": write(3),
    rows: size(2),
    features: size(3),
    "saved.train": flag,
    p: real(0.5),
  }),
  randomIntegers: [stream(), free(writeOf(new Int32Array(5))), real(0), real(9)],
  randomNormal: [stream(), free(write(5)), real(0), real(1)],
  randomPermutation: [stream(), free(writeOf(new Int32Array(5)))],
  randomSeed: [stream(), real(1)],
  randomUniform: [stream(), free(write(5)), real(0), real(1)],
  randomWords: [stream(), free(writeOf(new Uint32Array(5)))],
  reluBackward: [six, six, write(6)],
  reluForward: [six, write(6)],
  resizePlanes: [readOf(Uint8Array.of(1, 2, 3, 4)), writeOf(new Uint8Array(9)), shape(1, 2, 2), shape(3, 3)],
  scaleGrads: [list(free(write(6))), real(0.5)],
  scatter: [six, write(6), shape(2, 3), real(1), labelsOf(0, 1, 1, 0, 0, 1), shape(2, 3), flag],
  select: [readOf(Int32Array.of(1, 0, 1, 0, 1, 0)), six, six, write(6)],
  sgdStep: named({
    params: list(write(6)),
    grads: list(six),
    momentumBuffers: optional(list(write(6))),
    lr: real(0.1),
    momentum: real(0.9),
    dampening: real(0),
    weightDecay: real(0.1),
    nesterov: flag,
    isFirst: flag,
    gradScale: real(1),
  }),
  softmaxBackward: [six, six, write(6), size(2), size(3), flag],
  softmaxForward: [six, write(6), size(2), size(3), flag],
  standardizeBackward: [six, six, write(6), size(2), size(3), real(1e-7)],
  standardizeForward: [six, write(6), size(2), size(3), real(1e-7)],
  stridedCopy: [atLeast(read(...Array(7).keys())), shape(2, 3), shape(1, 2), real(1), write(6)],
  stridedScatter: [six, shape(2, 3), shape(1, 2), real(1), atLeast(write(7))],
  sumAxis: [twelve, write(6), size(2), size(2), size(3), real(1)],
  sumTo: [six, shape(2, 3), write(3), shape(1, 3)],
  topk: [six, writeOf(new Int32Array(4)), size(3), size(2), flag],
  unaryBackward: [real(0), six, six, six, real(1), real(1), write(6)],
  unaryForward: [real(0), six, real(1), real(1), write(6)],
  useHugePages: [free(writeOf(new Uint8Array(6)))],
};

function labelsOf(...values: number[]): ArrayArgument {
  return readOf(Int32Array.from(values));
}

/** The arguments of a valid call, of fresh arrays, with some of them replaced. */
export function argumentsOf(name: string, replaced: Record<number, unknown> = {}): unknown[] {
  return (CALLS[name] ?? []).map((argument, i) => {
    const value = i in replaced ? replaced[i] : "array" in argument ? argument.array.slice() : argument.value;
    return "array" in argument && argument.list ? [value] : value;
  });
}

/** Calls a kernel with anything. Arguments with a path become one object. */
export function call(name: string, args: unknown[]): unknown {
  const paths = (CALLS[name] ?? []).map(({ path }) => path);
  const kernel = (native as unknown as Record<string, Kernel>)[name];
  if (args.length === 0 || paths[0] === undefined) return kernel?.(...args);
  const object: Record<string, unknown> = {};
  for (const [i, path] of paths.entries()) {
    const [outer, inner] = (path as string).split(".") as [string, string | undefined];
    if (inner === undefined) object[outer] = args[i];
    else object[outer] = { ...(object[outer] as object), [inner]: args[i] };
  }
  return kernel?.(object);
}

/** The places of a call's array arguments. */
export function arraysOf(name: string): [index: number, argument: ArrayArgument][] {
  return (CALLS[name] ?? []).flatMap((argument, i) => ("array" in argument ? [[i, argument]] : []));
}

/** The places of a call's arguments of a kind. */
export function placesOf(name: string, kind: Argument["kind"]): number[] {
  return (CALLS[name] ?? []).flatMap((argument, i) => (argument.kind === kind ? [i] : []));
}
