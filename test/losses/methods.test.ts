import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  attentionTransferLoss,
  CrdEmbedding,
  CrdMemory,
  cosineFeatureLoss,
  crdLoss,
  distLoss,
  dkdLoss,
  Generator,
  hintLoss,
  type IntTensor,
  jsdLoss,
  kdLoss,
  Linear,
  logitMseLoss,
  logitStandardizedKdLoss,
  multiLabelKdLoss,
  pktLoss,
  rkdLoss,
  similarityPreservingLoss,
  Tensor,
  topKKdDistillationLoss,
  topKKdLoss,
  VidRegressor,
  vectorKdLoss,
  vidLoss,
  withGenerator,
  zeros,
} from "../../src/index.js";
import { LOSSES as REGISTRY } from "../../src/losses/index.js";
import { expectClose } from "../parity/close.js";
import { checkGradients, leaves } from "../tensor/finite_differences.js";
import { logSoftmax } from "./reference.js";

type Loss = (student: Tensor, teacher: Tensor, labels: Int32Array, options?: object) => Tensor;

/** Every loss as a function of student, teacher, labels and options, by its name in expressions. */
const LOGIT_LOSSES: Record<string, Loss> = {
  kd: (s, t, labels, options) => kdLoss(s, t, labels, { ...options, alpha: 1 }),
  "logit-standardized-kd": (s, t, _, options) => logitStandardizedKdLoss(s, t, options),
  dkd: dkdLoss,
  dist: (s, t, _, options) => distLoss(s, t, options),
  "logit-mse": (s, t) => logitMseLoss(s, t),
  jsd: (s, t, _, options) => jsdLoss(s, t, options),
  "jsd forward": (s, t) => jsdLoss(s, t, { beta: 0 }),
  "jsd reverse": (s, t) => jsdLoss(s, t, { beta: 1 }),
  "multi-label-kd": (s, t, _, options) => multiLabelKdLoss(s, t, options),
  "top-k-kd with a bucket": (s, t) => topK(s, t, 1, "bucket"),
  "top-k-kd, spread": (s, t) => topK(s, t, 1, "spread"),
};
/** Every loss as a function of hidden outputs. */
const FEATURE_LOSSES: Record<string, Loss> = {
  hint: (s, t) => hintLoss(s, t),
  "cosine-feature": (s, t) => cosineFeatureLoss(s, t),
  rkd: (s, t, _, options) => rkdLoss(s, t, options),
  "similarity-preserving": (s, t) => similarityPreservingLoss(s, t),
  pkt: (s, t) => pktLoss(s, t),
  vid: (s, t, _, options) => vidLoss(s, t, options),
};
const LOSSES: Record<string, Loss> = {
  ...LOGIT_LOSSES,
  ...FEATURE_LOSSES,
  "attention-transfer": (s, t) => attentionTransferLoss(s, t),
};

function topK(student: Tensor, teacher: Tensor, k: number, tail: "bucket" | "spread"): Tensor {
  const { values, indices } = teacher.detach().logSoftmax().topk(k);
  return topKKdLoss(student, indices, values, { tail });
}

const matrix = (rows: readonly (readonly number[])[]) =>
  new Tensor(Float32Array.from(rows.flat()), [rows.length, rows[0].length], { requiresGrad: true });

interface Case {
  loss: string;
  options: object;
  shape: number[];
  teacherShape: number[];
  student: number[];
  teacher: number[];
  labels: number[] | null;
  /** That of `vid`. */
  regressor?: { weights: Record<string, number[]>; gradients: Record<string, number[]> };
  value: number;
  gradient: number[];
}
const { cases } = JSON.parse(readFileSync(new URL("./fixtures/reference.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

describe("the authors' values and gradients", () => {
  test.each(cases.map((one) => [`${one.loss} ${JSON.stringify(one.options)} [${one.shape}]`, one] as const))(
    "%s",
    (_, { loss, options, shape, teacherShape, student, teacher, labels, regressor, value, gradient }) => {
      const s = new Tensor(Float32Array.from(student), shape, { requiresGrad: true });
      const t = new Tensor(Float32Array.from(teacher), teacherShape, { requiresGrad: true });
      const module = regressor && new VidRegressor(shape[1], teacherShape[1]);
      // Theirs has no biases.
      for (const [name, { data }] of module?.namedParameters() ?? []) data.fill(0).set(regressor?.weights[name] ?? []);
      const out = LOSSES[loss](s, t, Int32Array.from(labels ?? []), {
        ...options,
        ...(module && { regressor: module }),
      });
      expect(out.shape).toEqual([]);
      expectClose([out.item()], [value], { rel: 1e-6 }, "value");
      out.backward();
      expectClose(s.grad?.data ?? [], gradient, { ofLargest: 3e-6 }, "gradient");
      expect(t.grad).toBeNull();
      const own = new Map(module?.namedParameters());
      for (const [name, expected] of Object.entries(regressor?.gradients ?? {}))
        expectClose(own.get(name)?.grad?.data ?? [], expected, { ofLargest: 3e-6 }, name);
    },
  );

  const BELOW = ["cosine-feature", "crd", "multi-label-kd", "top-k-kd"];
  /** In values.test.ts, review_kd.test.ts and test/tasks/metrics.test.ts. */
  const ELSEWHERE = ["cross-entropy", "review-kd", "bce", "cosine", "huber", "mae", "mse", "vector-kd"];
  test("every loss has some", () => {
    const known = new Set([...cases.map(({ loss }) => loss), ...BELOW, ...ELSEWHERE]);
    expect(REGISTRY.names.filter((name) => !known.has(name))).toEqual([]);
  });
});

const SLOPES = { abs: 3e-5, rel: 5e-5, ofLargest: 1e-4 };

describe("slopes are central differences", () => {
  const labels = Int32Array.from({ length: 8 }, (_, i) => i % 4);
  test.each(Object.entries(LOGIT_LOSSES))("%s", (_, loss) => {
    const [student, teacher] = leaves([
      [8, 4],
      [8, 4],
    ]);
    checkGradients((s) => loss(s, teacher, labels), [student], { tolerance: SLOPES });
  });

  test.each(Object.entries(FEATURE_LOSSES))("%s", (_, loss) => {
    const [student, teacher] = leaves([
      [6, 4],
      [6, 4],
    ]);
    // Short: rkd's smooth L1 has a bend.
    checkGradients((s) => loss(s, teacher, labels), [student], { step: 1 / 128, tolerance: SLOPES });
  });

  test.each(["hint", "cosine-feature", "vid", "attention-transfer"])("%s of images of two sizes", (name) => {
    const [student, teacher] = leaves([
      [2, 3, 5, 2],
      [2, 3, 3, 4],
    ]);
    checkGradients((s) => LOSSES[name](s, teacher, labels), [student], { tolerance: SLOPES });
  });

  test("of the regressor and its variance", () => {
    withGenerator(new Generator(1), () => {
      const [student, teacher] = leaves([
        [6, 4],
        [6, 3],
      ]);
      const regressor = new VidRegressor(4, 3);
      const { weight } = regressor.fc3;
      checkGradients(() => vidLoss(student, teacher, { regressor }), [regressor.log_scale, weight]);
      const sure = [1, 5, 1000].map((initialVariance) => new VidRegressor(4, 3, { initialVariance }).log_scale.data[0]);
      expect(sure.map((scale) => Math.log1p(Math.exp(-scale)) + scale + 1e-5)).toEqual([
        expect.closeTo(1, 5),
        expect.closeTo(5, 5),
        expect.closeTo(1000, 3),
      ]);
      const hint = new Linear(4, 3);
      student.zeroGrad();
      checkGradients(() => hintLoss(student, teacher, { regressor: hint }), [student, hint.weight]);
    });
  });
});

describe("crdLoss", () => {
  const samples = 9;
  const classes = Int32Array.from({ length: samples }, (_, i) => i % 3);
  const setting = (seed = 4) =>
    withGenerator(new Generator(seed), () => ({
      memory: new CrdMemory({ samples, dimension: 5, negatives: 4, labels: classes }),
      student: new CrdEmbedding(4, 5),
      teacher: new CrdEmbedding(6, 5),
    }));
  const indices = Int32Array.of(7, 0, 3);
  const [s, t] = leaves([
    [3, 4],
    [3, 6],
  ]);

  test("is the formula in double precision, and moves the memory", () => {
    const { memory, student, teacher } = setting();
    const twin = setting();
    const contrast = twin.memory.contrast(indices);
    const rows = (x: Tensor) => x.toArray() as number[][];
    const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    const one = (x: number[][], bank: number[][]) => {
      const e = x.map((v, i) => (contrast.toArray() as number[][])[i].map((j) => Math.exp(dot(v, bank[j]) / 0.07)));
      const z = (e.flat().reduce((sum, v) => sum + v, 0) / 15) * samples;
      const [noise, eps] = [4 / samples, 1e-7];
      const terms = e.map(([first, ...rest]) => {
        const logs = rest.map((v) => Math.log(noise / (v / z + noise + eps)));
        return -Math.log(first / z / (first / z + noise + eps)) - logs.reduce((sum, v) => sum + v, 0);
      });
      return terms.reduce((sum, v) => sum + v, 0) / 3;
    };
    const [u, w] = [rows(student.forward(s)), rows(teacher.forward(t.detach()))];
    const expected = one(u, rows(twin.memory.teacher)) + one(w, rows(twin.memory.student));
    const loss = crdLoss(s, t, indices, { memory, student, teacher });
    expectClose([loss.item()], [expected], { rel: 1e-6 });
    const moved = rows(twin.memory.student)[7].map((x, i) => 0.5 * x + 0.5 * u[0][i]);
    const length = Math.hypot(...moved);
    expectClose(
      rows(memory.student)[7],
      moved.map((x) => x / length),
      { abs: 1e-6 },
    );
    expect(rows(memory.student)[1]).toEqual(rows(twin.memory.student)[1]);
  });

  test("negatives are of other classes, follow from the seed and change from batch to batch", () => {
    const [a, b] = [setting().memory, setting().memory];
    const first = a.contrast(indices);
    expect(b.contrast(indices).data).toEqual(first.data);
    expect(a.contrast(indices).data).not.toEqual(first.data);
    for (const [i, [own, ...others]] of (first.toArray() as number[][]).entries()) {
      expect(own).toBe(indices[i]);
      expect(others.map((j) => classes[j])).not.toContain(classes[own]);
    }
    expect(() => a.contrast(Int32Array.of(9))).toThrow("indices: expected samples from 0 to 8, got 9");
    expect(() => new CrdMemory({ samples: 3, labels: Int32Array.of(1, -1, 0) })).toThrow(
      expect.objectContaining({
        code: "LABEL_OUT_OF_RANGE",
        message: "labels[1]: expected a class of at least 0, got -1",
      }),
    );
    expect(() => new CrdMemory({ samples: 2, labels: [0, 1] as never })).toThrow(
      expect.objectContaining({
        code: "BAD_DTYPE",
        message: "labels: expected an Int32Array, got [0, 1]",
      }),
    );
    const rows = new Float32Array(5);
    const calls: [call: () => unknown, message: string][] = [
      [() => a.contrast([1.5] as never), "indices: expected an Int32Array, got [1.5]"],
      [() => a.update(Int32Array.of(99), rows, rows), "indices: expected samples from 0 to 8, got 99"],
      [() => a.update(Int32Array.of(0, 1), rows, rows), "student: expected shape [10], got [5]"],
      [() => a.takeRows([new Float64Array(3)]), "rows[0]: expected shape [11], got [3]"],
    ];
    for (const [call, message] of calls) expect(call).toThrow(message);
    const same = new CrdMemory({ samples: 3, dimension: 2, labels: new Int32Array(3) });
    for (const [own, ...others] of same.contrast(Int32Array.of(0, 1, 2)).toArray() as number[][]) {
      expect(others).toHaveLength(2);
      expect(others).not.toContain(own);
    }
  });

  test("slopes are central differences", () => {
    const { student, teacher } = setting();
    // With its normalisers set, and put back before each call: a call moves it.
    const { memory } = setting();
    crdLoss(s, t, indices, { memory, student, teacher, tau: 1 });
    const state = memory.stateDict();
    const kept = Object.entries(state).map(([key, { data }]) => [key, data.slice()] as const);
    s.zeroGrad();
    checkGradients(
      (x) => {
        for (const [key, data] of kept) (state[key].data as Float32Array).set(data as Float32Array);
        return crdLoss(x, t, indices, { memory, student, teacher, tau: 1 });
      },
      [s],
      { tolerance: SLOPES },
    );
  });
});

describe("a loss is 0 for a student that equals its teacher", () => {
  // An even tail differs from the student's; the addend in DIST's denominator keeps its correlation below 1.
  const { "top-k-kd, spread": _, dist: __, vid: ___, ...zero } = { ...LOGIT_LOSSES, ...FEATURE_LOSSES };
  test.each(Object.entries(zero))("%s", (_, loss) => {
    const [student] = leaves([[3, 4]]);
    expect(Math.abs(loss(student, student.detach(), Int32Array.of(0, 2, 1)).item())).toBeLessThan(2e-5);
  });
});

describe("edges are finite", () => {
  const labels = new Int32Array(4);
  const huge = [1e4, -1e4, 0];
  const edges: [string, number[][], number[][]][] = [
    [
      "two classes",
      [
        [1, 2],
        [3, -1],
      ],
      [
        [2, 0],
        [1, 1],
      ],
    ],
    ["one row", [[1, 2, 0.5]], [[0, 1, 2]]],
    ["one row of two classes", [[1, 2]], [[0, 1]]],
    [
      "equal rows",
      [
        [1, 2, 3],
        [1, 2, 3],
      ],
      [
        [0, 1, 2],
        [0, 1, 2],
      ],
    ],
    [
      "equal logits",
      [
        [2, 2, 2],
        [0, 0, 0],
      ],
      [
        [1, 1, 1],
        [0, 0, 0],
      ],
    ],
    ["logits of 1e4", [huge, [...huge].reverse()], [[...huge].reverse(), huge]],
    [
      "a certain teacher",
      [
        [1, 2, 0],
        [0, 1, 2],
      ],
      [
        [1e4, -1e4, -1e4],
        [-1e4, -1e4, 1e4],
      ],
    ],
    [
      "a certain student",
      [
        [1e4, -1e4, -1e4],
        [-1e4, -1e4, 1e4],
      ],
      [
        [1, 2, 0],
        [0, 1, 2],
      ],
    ],
  ];
  for (const [name, loss] of Object.entries(LOGIT_LOSSES)) {
    test.each(edges)(`${name}: %s`, (_, student, teacher) => {
      const s = matrix(student);
      const out = loss(s, matrix(teacher), new Int32Array(student.length));
      out.backward();
      expect(Number.isFinite(out.item()), `${out.item()}`).toBe(true);
      expect(out.item()).toBeGreaterThanOrEqual(-1e-6);
      expect([...(s.grad?.data ?? [])].filter((g) => !Number.isFinite(g))).toEqual([]);
    });
  }

  const features: [string, number[][], number[][]][] = [
    ...edges,
    [
      "rows of zeros",
      [
        [0, 0],
        [1, 2],
        [0, 0],
      ],
      [
        [1, 1],
        [0, 0],
        [1, 2],
      ],
    ],
    [
      "only zeros",
      [
        [0, 0],
        [0, 0],
      ],
      [
        [1, 1],
        [0, 1],
      ],
    ],
    [
      "equal rows of the student alone",
      [
        [1, 2],
        [1, 2],
        [0, 1],
      ],
      [
        [1, 1],
        [0, 3],
        [1, 2],
      ],
    ],
    ["one feature", [[1], [2]], [[3], [-1]]],
  ];
  for (const [name, loss] of Object.entries(FEATURE_LOSSES)) {
    test.each(features)(`${name}: %s`, (_, student, teacher) => {
      const s = matrix(student);
      const out = loss(s, matrix(teacher), new Int32Array(student.length));
      out.backward();
      expect(Number.isFinite(out.item()), `${out.item()}`).toBe(true);
      const gradient = [...(s.grad?.data ?? [])];
      expect(gradient.filter((g) => !Number.isFinite(g))).toEqual([]);
    });
  }

  test.each(["rkd", "similarity-preserving", "pkt"])(
    "%s: student and teacher of other widths, as of one with zeros beside",
    (name) => {
      const [student, teacher] = leaves([
        [4, 3],
        [4, 5],
      ]);
      const wide = matrix((student.toArray() as number[][]).map((row) => [...row, 0, 0]));
      const [narrow, padded] = [student, wide].map((x) => LOSSES[name](x, teacher, labels));
      expectClose([narrow.item()], [padded.item()], { rel: 1e-6 });
      for (const loss of [narrow, padded]) loss.backward();
      const gradient = ((wide.grad as Tensor).toArray() as number[][]).flatMap((row) => row.slice(0, 3));
      expectClose(student.grad?.data ?? [], gradient, { ofLargest: 1e-6 });
    },
  );

  test("rkd: the direction between equal rows has no gradient", () => {
    const s = matrix([
      [1, 2],
      [1, 2],
      [0, 1],
    ]);
    rkdLoss(
      s,
      matrix([
        [1, 1],
        [0, 3],
        [1, 2],
      ]),
    ).backward();
    expect(Math.max(...(s.grad?.data ?? []).map(Math.abs))).toBeLessThan(100);
  });

  // NaN, and logarithms of 0.
  test.each(Object.entries({ ...LOGIT_LOSSES, ...FEATURE_LOSSES }))("%s: NaN is refused", (_, loss) => {
    const call = () => loss(matrix([[1, Number.NaN]]), matrix([[0, 1]]), Int32Array.of(0));
    expect(call).toThrow(expect.objectContaining({ code: "NON_FINITE" }));
  });

  test.each(["kd", "jsd", "jsd forward", "multi-label-kd", "top-k-kd with a bucket", "top-k-kd, spread"])(
    "%s: a teacher's probability of 0, a logit of -Infinity",
    (name) => {
      const s = matrix([[1, 2, 3]]);
      const out = LOGIT_LOSSES[name](s, matrix([[0, Number.NEGATIVE_INFINITY, 1]]), Int32Array.of(0));
      out.backward();
      expect(Number.isFinite(out.item())).toBe(true);
      expect([...(s.grad?.data ?? [])].every(Number.isFinite)).toBe(true);
    },
  );

  test("jsd of a class that both rule out is that of the others, its gradient too", () => {
    const [ruled, others] = [
      [1, Number.NEGATIVE_INFINITY, 0.5, 0.1],
      [1, 0.5, 0.1],
    ].map((row) => matrix([row]));
    const out = jsdLoss(ruled, matrix([[0, Number.NEGATIVE_INFINITY, 1, 0.3]]));
    const expected = jsdLoss(others, matrix([[0, 1, 0.3]]));
    for (const loss of [out, expected]) loss.backward();
    const [first = 0, ...rest] = others.grad?.data ?? [];
    expectClose([out.item(), ...(ruled.grad?.data ?? [])], [expected.item(), first, 0, ...rest], { rel: 1e-6 });
  });

  test("where it has no value, it is refused with the row", () => {
    const call = () => jsdLoss(matrix([[1, 2]]), matrix([[0, Number.NEGATIVE_INFINITY]]), { beta: 1 });
    expect(call).toThrow("jsdLoss: teacherLogits: expected finite numbers, got -Infinity in row 0");
  });
});

describe("formulas in double precision", () => {
  const [student, teacher] = leaves([
    [4, 5],
    [4, 5],
  ]);
  const rows = (x: Tensor) => x.toArray() as number[][];
  const sum = (values: readonly number[]) => values.reduce((total, x) => total + x, 0);
  const kl = (p: number[], q: number[]) => sum(p.map((x, i) => (x === 0 ? 0 : x * Math.log(x / q[i]))));
  const each = (f: (s: number[], t: number[]) => number) =>
    sum(rows(student).map((row, i) => f(row, rows(teacher)[i]))) / 4;

  test("multiLabelKd: a divergence of each label, summed", () => {
    const t = 2;
    const p = (x: number) => [1 / (1 + Math.exp(-x / t)), 1 / (1 + Math.exp(x / t))];
    const expected = t * t * each((s, z) => sum(z.map((x, i) => kl(p(x), p(s[i])))));
    expectClose([multiLabelKdLoss(student, teacher, { temperature: t }).item()], [expected], { rel: 1e-6 });
  });

  test("cosineFeature: 1 - cos of each row, or position", () => {
    const cosine = (a: number[], b: number[]) => sum(a.map((x, i) => x * b[i])) / Math.hypot(...a) / Math.hypot(...b);
    expectClose([cosineFeatureLoss(student, teacher).item()], [1 - each(cosine)], { rel: 1e-6 });
    const images = [student, teacher].map((x) => x.transpose(0, 1).reshape([1, 5, 2, 2]));
    expectClose([cosineFeatureLoss(images[0], images[1]).item()], [1 - each(cosine)], { rel: 1e-6 });
  });

  test("vid without a regressor: the student's own channels, of variance 5", () => {
    const expected = each((s, z) => sum(s.map((x, i) => (x - z[i]) ** 2 / 5 + Math.log(5))) / 10);
    expectClose([vidLoss(student, teacher).item()], [expected], { rel: 1e-6 });
  });

  test.each(["bucket", "spread"] as const)("topKKd with the tail as %s", (tail) => {
    const expected = each((s, z) => {
      const [q, p] = [s, z].map((row) => logSoftmax(row).map(Math.exp));
      const order = p.map((_, i) => i).sort((a, b) => p[b] - p[a]);
      const [top, others] = [order.slice(0, 2), order.slice(2)];
      const rest = sum(others.map((i) => p[i]));
      if (tail === "spread")
        return kl(
          p.map((x, i) => (top.includes(i) ? x : rest / others.length)),
          q,
        );
      return kl([...top.map((i) => p[i]), rest], [...top.map((i) => q[i]), sum(others.map((i) => q[i]))]);
    });
    expectClose([topK(student, teacher, 2, tail).item()], [expected], { rel: 1e-6 });
  });

  test("topKKd of a confident teacher reads its tail from the logits, not from what rounding leaves of 1", () => {
    const [s, z] = [
      [0, 1, 90, 80],
      [40, 38, 1, 3],
    ];
    const [q, p] = [s, z].map((row) => logSoftmax(row));
    const kept = [0, 1].map((i) => Math.exp(p[i]) * (p[i] - q[i]));
    const expected = sum(kept) + Math.exp(p[3]) * (p[3] - q[2]) * (1 + Math.exp(-2));
    const batch = { student: { logits: matrix([s]) }, teacher: { logits: matrix([z]) } };
    const { loss } = topKKdDistillationLoss({ k: 2 }).compute(batch as never);
    expectClose([loss.item()], [expected], { rel: 1e-6 });
  });

  test("topKKd of all classes is kd at T = 1", () => {
    const expected = kdLoss(student, teacher, new Int32Array(4), { temperature: 1, alpha: 1 }).item();
    for (const tail of ["bucket", "spread"] as const) {
      expectClose([topK(student, teacher, 5, tail).item()], [expected], { rel: 1e-6 });
    }
  });
});

describe("refusals name the argument", () => {
  const [two, three] = [matrix([[1, 2]]), matrix([[1, 2, 3]])];
  const topIds = (...values: number[]): IntTensor => {
    const { indices } = three.topk(values.length);
    indices.data.set(values);
    return indices;
  };
  const half = (k: number) => new Tensor(new Float32Array(k).fill(Math.log(0.4)), [1, k]);
  test.each<[() => Tensor, string, string]>([
    [
      () => hintLoss(two, three),
      "SHAPE_MISMATCH",
      "hintLoss: studentFeatures: expected the teacher's 3 channels, got 2: pass a",
    ],
    [
      () => rkdLoss(two, zeros([2, 3])),
      "SHAPE_MISMATCH",
      "rkdLoss: teacherFeatures: expected shape [1, *], got [2, 3]",
    ],
    [() => pktLoss(two, zeros([1, 2, 3])), "SHAPE_MISMATCH", "pktLoss: teacherFeatures: expected [rows, features] or"],
    [
      () => vidLoss(two, zeros([1, 2, 3, 3])),
      "SHAPE_MISMATCH",
      "vidLoss: expected both as [rows, features] or both as",
    ],
    [
      () => attentionTransferLoss(two, two),
      "SHAPE_MISMATCH",
      "attentionTransferLoss: studentFeatures: expected shape [*, *, *, *]",
    ],
    [
      () => hintLoss(two, two, { regressor: 5 as never }),
      "BAD_ARGUMENT",
      "hintLoss: regressor: expected a Module, got 5",
    ],
    [
      () => vidLoss(two, two, { regressor: new Linear(2, 2) as never }),
      "BAD_ARGUMENT",
      "vidLoss: regressor: expected a VidRegressor, got a value of type Linear",
    ],
    [
      () => vectorKdLoss(two, three),
      "SHAPE_MISMATCH",
      "vectorKdLoss: studentVectors: expected the teacher's 3 dimensions, got 2: pass a projection of 3 outputs",
    ],
    [
      () => vectorKdLoss(two, zeros([2, 2])),
      "SHAPE_MISMATCH",
      "vectorKdLoss: teacherVectors: expected shape [1, *], got [2, 2]",
    ],
    [
      () => vectorKdLoss(two, two, { projection: {} as never }),
      "BAD_ARGUMENT",
      "vectorKdLoss: projection: expected a Module, got a value of type Object",
    ],
    [
      () => crdLoss(two, two, Int32Array.of(0), {} as never),
      "BAD_ARGUMENT",
      "crdLoss: memory: expected a CrdMemory, got undefined",
    ],
    [
      () => crdLoss(two, two, Int32Array.of(0), { memory: new CrdMemory({ samples: 2 }), student: 3 as never }),
      "BAD_ARGUMENT",
      "crdLoss: student: expected a Module, got 3",
    ],
    [() => rkdLoss(two, two, { angle: 1 } as never), "BAD_ARGUMENT", 'rkdLoss: unknown option "angle"'],
    [() => dkdLoss(two, three, Int32Array.of(0)), "SHAPE_MISMATCH", "dkdLoss: teacherLogits: expected shape [1, 2]"],
    [
      () => dkdLoss(two, two, Int32Array.of(2)),
      "LABEL_OUT_OF_RANGE",
      "dkdLoss: labels[0]: expected a class from 0 to 1",
    ],
    [() => dkdLoss(two, two, Int32Array.of(1, 1)), "SHAPE_MISMATCH", "dkdLoss: labels: expected shape [1], got [2]"],
    [() => dkdLoss(matrix([[1]]), matrix([[1]]), Int32Array.of(0)), "SHAPE_MISMATCH", "at least one row and 2 classes"],
    [() => dkdLoss(two, two, Int32Array.of(1), { betta: 1 } as never), "BAD_ARGUMENT", '"betta", did you mean beta?'],
    [() => dkdLoss(two, two, Int32Array.of(1), { beta: -1 }), "BAD_ARGUMENT", "beta: expected a number of at least 0"],
    [() => distLoss(two, two, { temperature: 0 }), "BAD_ARGUMENT", "temperature: expected a number above 0, got 0"],
    [() => jsdLoss(two, two, { beta: 1.5 }), "BAD_ARGUMENT", "beta: expected a number from 0 to 1, got 1.5"],
    [
      () => topKKdLoss(three, topIds(0, 3), half(2)),
      "LABEL_OUT_OF_RANGE",
      "ids[0, 1]: expected a class from 0 to 2, got 3",
    ],
    [() => topKKdLoss(three, topIds(1, 1), half(2)), "BAD_ARGUMENT", "expected each class once in a row, got 1 twice"],
    [() => topKKdLoss(three, topIds(0, 1, 2), half(3)), "BAD_ARGUMENT", "add up to at most 1, got 1.1999"],
    [() => topKKdLoss(three, topIds(0, 1), half(1)), "SHAPE_MISMATCH", "logProbabilities: expected shape [1, 2]"],
    [
      () => topKKdLoss(three, topIds(0), half(1), { tail: "no" as never }),
      "BAD_ARGUMENT",
      'tail: expected "bucket" or',
    ],
  ])("%s", (call, code, message) => {
    expect(call).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });
});
