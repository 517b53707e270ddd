import type { Dataset } from "../data/dataset.js";
import { targetsOf } from "../data/targets.js";
import { cosineDistillationLoss, mseDistillationLoss } from "../losses/target_losses.js";
import { vectorKdDistillationLoss } from "../losses/vector_kd_loss.js";
import { weightedSum } from "../losses/weighted_sum.js";
import { rowOf } from "../slices.js";
import { mean } from "../sums.js";
import { type Collected, collecting } from "./collecting.js";
import type { VectorEvaluation } from "./evaluation.js";
import { rowsOf } from "./prediction.js";
import type { Task } from "./task.js";
import { withTeacher } from "./with_teacher.js";

/** Vectors, such as embeddings: cosine and squared error with the targets, and with a teacher's. */
export const vectors: Task<VectorEvaluation> = {
  name: "vectors",
  help: "vectors, such as embeddings",
  reads: ["alpha"],
  hardLoss: () => weightedSum(hard().map((loss) => [1, loss])),
  distillationLoss: ({ alpha }) => withTeacher(alpha, hard(), vectorKdDistillationLoss()),
  // Similarities compare vectors of any length.
  width: () => -1,
  evaluator: (data) => collecting((all) => evaluation(all, data)),
  isValid: (outputs) => outputs.every(Number.isFinite),
  predictions: (outputs) => rowsOf(outputs).map((row) => ({ values: Array.from(row) })),
  keep: ({ data }) => data,
  // Each of the others is among the nearest with the same probability.
  chance({ labels: { size } }) {
    const compared = Math.min(size, MAX);
    return neighboursOf(compared) / Math.max(1, compared - 1);
  },
  undefinedMetrics,
};

const hard = () => [cosineDistillationLoss(), mseDistillationLoss()];

/** Neighbours that are compared. */
const NEAREST = 10;

/**
 * How many nearest others of each of `samples` retrieval compares: ten, but at most half of all others, as all of them
 * agree whatever a network says; 0 if there is no such half.
 */
function neighboursOf(samples: number): number {
  return Math.min(NEAREST, Math.floor((samples - 1) / 2));
}

/** Samples that pairs are made of: of more, this many at even distances. */
const MAX = 1000;

/** How the vectors of the chosen samples lie to each other. */
interface Layout {
  readonly samples: number;
  /** The vectors, of length 1. */
  readonly unit: Float64Array;
  /** The indices of each row's nearest others. */
  readonly nearest: Int32Array;
  /** Of the similarities of all pairs. */
  readonly ranks: Float64Array;
}

/** Those of targets and of a teacher's outputs are the same after each epoch. */
const LAYOUTS = new WeakMap<object, { wanted: Layout; said: Layout | null }>();

function evaluation(all: Collected, data: object): VectorEvaluation {
  const { samples, width, targetWidth, teacherWidth, outputs, targets, teacher } = all;
  const step = Math.max(1, samples / MAX);
  const chosen = Int32Array.from({ length: Math.min(samples, MAX) }, (_, i) => Math.floor(i * step));
  const known = LAYOUTS.get(data);
  const own = layoutOf(outputs, width, chosen);
  const wanted = layoutOf(targets, targetWidth, chosen, known?.wanted);
  const said = teacher && layoutOf(teacher, teacherWidth, chosen, known?.said);
  LAYOUTS.set(data, { wanted, said: said ?? known?.said ?? null });
  const spearman = correlation(own.ranks, wanted.ranks);
  const cosine = width === targetWidth ? meanCosine(outputs, targets, width) : null;
  const squares = cosine === null ? 0 : mean(Float64Array.from(outputs, (x, i) => (x - targets[i]) ** 2));
  return {
    retrieval: overlap(own, wanted, chosen.length),
    spearman,
    ...(cosine !== null && { cosine }),
    samples,
    loss: cosine === null ? 1 - spearman : 1 - cosine + squares,
    ...(said && {
      teacherRetrieval: overlap(said, wanted, chosen.length),
      agreement: overlap(own, said, chosen.length),
    }),
  };
}

/** Also if retrieval agreement compares fewer neighbours than ten. */
function undefinedMetrics(data: Dataset): string[] {
  const { length, classes } = data;
  const [usual, compared] = [neighboursOf(Number.POSITIVE_INFINITY), neighboursOf(length)];
  const notes: string[] = [];
  if (compared < 1) {
    notes.push(
      `retrieval agreement is not defined for fewer than 3 samples, got ${length}: it counts as 1; read the cosine instead`,
    );
  } else if (compared < usual) {
    notes.push(
      `retrieval agreement @${usual} is @${compared} here: of ${length} samples, at most half of the ${length - 1} others are compared`,
    );
  }
  const rows = targetsOf(data)?.data ?? new Float32Array(0);
  const zeros = Array.from({ length: rows.length / classes }, (_, i) => i).filter((i) =>
    rowOf(rows, i, classes).every((x) => x === 0),
  );
  if (zeros.length > 0) {
    notes.push(
      `${zeros.length} of ${length} target vectors are all zeros, of which the cosine is not defined: it counts as 0`,
    );
  }
  return notes;
}

/** Rows of length 1; one of zeros stays. */
function units(rows: Float32Array, width: number, chosen: Int32Array): Float64Array {
  const out = new Float64Array(chosen.length * width);
  for (const [i, row] of chosen.entries()) {
    const own = rowOf(rows, row, width);
    const norm = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0)) || 1;
    for (let c = 0; c < width; c++) out[i * width + c] = own[c] / norm;
  }
  return out;
}

/** How the chosen rows lie to each other: `known` if it is of the same ones. */
function layoutOf(rows: Float32Array, width: number, chosen: Int32Array, known?: Layout | null): Layout {
  const [unit, n] = [units(rows, width, chosen), chosen.length];
  if (known?.samples === n && known.unit.length === unit.length && known.unit.every((x, i) => x === unit[i]))
    return known;
  const matrix = similarities(unit, n, width);
  return { samples: n, unit, nearest: neighbours(matrix, n), ranks: ranks(pairs(matrix, n)) };
}

/** The cosines of all pairs of rows of length 1 [n, n]. */
function similarities(unit: Float64Array, n: number, width: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      let dot = 0;
      for (let c = 0; c < width; c++) dot += unit[i * width + c] * unit[j * width + c];
      out[i * n + j] = dot;
      out[j * n + i] = dot;
    }
  }
  return out;
}

/** Of each pair once. */
function pairs(matrix: Float64Array, n: number): Float64Array {
  const out = new Float64Array((n * (n - 1)) / 2);
  let at = 0;
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) out[at++] = matrix[i * n + j];
  return out;
}

/** The indices of each row's nearest others [n, k], the nearest first; of equally near ones the first. */
function neighbours(matrix: Float64Array, n: number): Int32Array {
  const k = neighboursOf(n);
  const out = new Int32Array(n * k);
  for (let i = 0; i < n; i++) {
    const [row, nearest] = [rowOf(matrix, i, n), rowOf(out, i, k)];
    let found = 0;
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      let at = found;
      while (at > 0 && row[j] > row[nearest[at - 1]]) at--;
      if (at === k) continue;
      nearest.copyWithin(at + 1, at);
      nearest[at] = j;
      found = Math.min(found + 1, k);
    }
  }
  return out;
}

/** The mean fraction of each row's nearest others that two have in common. */
function overlap({ nearest: a }: Layout, { nearest: b }: Layout, n: number): number {
  const k = neighboursOf(n);
  if (k < 1) return 1;
  let common = 0;
  for (let i = 0; i < n; i++) {
    const others = rowOf(b, i, k);
    for (const j of rowOf(a, i, k)) common += Number(others.includes(j));
  }
  return common / (n * k);
}

/** From 1; equal values share the mean of theirs. `scipy.stats.rankdata`. */
function ranks(values: Float64Array): Float64Array {
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
  const out = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let i = start; i < end; i++) out[order[i]] = (start + end + 1) / 2;
    start = end;
  }
  return out;
}

/** Pearson's correlation; 0 if one of the two is constant. */
function correlation(a: Float64Array, b: Float64Array): number {
  const [middleA, middleB] = [mean(a), mean(b)];
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] - middleA, b[i] - middleB];
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  }
  return squaresA === 0 || squaresB === 0 || a.length === 0 ? 0 : product / Math.sqrt(squaresA * squaresB);
}

function meanCosine(a: Float32Array, b: Float32Array, width: number): number {
  const all = Int32Array.from({ length: a.length / width }, (_, i) => i);
  const [x, y] = [units(a, width, all), units(b, width, all)];
  return (mean(x.map((value, i) => value * y[i])) * x.length) / all.length;
}
