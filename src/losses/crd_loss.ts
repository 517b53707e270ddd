import * as v from "valibot";
import { argumentError, badArgument, badDtype, expectPositive, expectShape, optionsOf } from "../checks.js";
import type { DistilleryError } from "../errors.js";
import { expectModule } from "../nn/expect_module.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { exp, gather, linear, log1p } from "../ops/index.js";
import { defineEntry, described, fractionBelow1, integer, positive } from "../registry/index.js";
import { allocate } from "../tensor/buffer_pool.js";
import { numel } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { CRD_MEMORY_DEFAULTS, CrdMemory } from "./crd_memory.js";
import { expectFeatures, flatRows, LAYER_OPTIONS, type Layers, layersOf, ofLayers, unit } from "./features.js";
import { expectFiniteOutput } from "./logits.js";
import type { DistillationLoss, LossBatch, LossContext } from "./loss.js";

const DEFAULTS = { tau: 0.07 } as const;
const EPSILON = 1e-7;

/** The arguments of {@link crdLoss} besides the features. */
export interface CrdLossOptions {
  /** The embeddings of all samples; each call updates those of its batch. */
  memory: CrdMemory;
  /** Turn features into embeddings of the memory's dimension and of length 1; default: the features are embeddings. */
  student?: CrdEmbedding | undefined;
  teacher?: CrdEmbedding | undefined;
  /**
   * The temperature that divides the cosines. Default 0.07. Not called `temperature`, which a sweep sets in all terms.
   */
  tau?: number;
}

/**
 * Features [rows, ...] to embeddings [rows, dimension] of length 1 for {@link crdLoss}: a Linear, and a division by the
 * length.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for lengths that are no whole numbers from 1.
 * @example
 * ```ts
 * new CrdEmbedding(256).forward(randn([4, 256])).shape; // [4, 128]
 * ```
 */
export class CrdEmbedding extends Module {
  readonly linear: Linear;

  constructor(inFeatures: number, dimension: number = CRD_MEMORY_DEFAULTS.dimension) {
    super();
    this.linear = new Linear(inFeatures, dimension);
  }

  override forward(x: Tensor): Tensor {
    return unit(this.linear.forward(x));
  }
}

/**
 * Contrastive representation distillation (Tian et al., ICLR 2020), a scalar: each network's embedding of a sample has
 * to be recognised among the other network's embeddings of K other samples, which a memory stores by index. With h =
 * exp(cos / tau) / Z it is -mean over rows of (log(h / (h + K / N)) + sum over the negatives of log((K / N) / (h + K /
 * N))), for student against teacher and the reverse; N is the number of samples, Z the mean of exp(cos / tau) times N
 * in the first batch. Features are [rows, ...], flattened; `indices` [rows] are the samples' indices in the data set.
 * After the loss is computed, the memory is updated with the new embeddings.
 *
 * RepDistiller (crd/) has the same formula, with weight 0.8 beside the cross-entropy, and draws its negatives with
 * NumPy in the data loader, from other classes and, if there are enough, without repetition. Here they follow from the
 * run's seed, and samples may repeat. Both embeddings are trained; the teacher's features are constants.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH`, `BAD_ARGUMENT`, `NON_FINITE`.
 * @example
 * ```ts
 * const memory = new CrdMemory({ samples: train.length, labels: labelsOf(train) });
 * const [student, teacher] = [new CrdEmbedding(128), new CrdEmbedding(256)];
 * const loss = crdLoss(studentHidden, teacherHidden, indices, { memory, student, teacher }).mul(0.8);
 * ```
 */
export function crdLoss(
  studentFeatures: Tensor,
  teacherFeatures: Tensor,
  indices: Int32Array,
  options: CrdLossOptions,
): Tensor {
  const name = "crdLoss";
  const { memory, student, teacher, tau } = optionsOf(name, DEFAULTS, options, ["memory", "student", "teacher"]);
  expectPositive("tau", tau);
  expectMemory(name, memory);
  for (const [key, embedding] of Object.entries({ student, teacher }))
    if (embedding !== undefined) expectModule(`${name}: ${key}`, embedding);
  const features = expectFeatures(name, studentFeatures, teacherFeatures);
  const [samples, dimension] = memory.student.shape;
  if (!(indices instanceof Int32Array)) throw badDtype(`${name}: indices`, "an Int32Array", indices);
  expectShape(`${name}: indices`, [indices.length], [studentFeatures.shape[0]]);
  const embedded = (x: Tensor, by: CrdEmbedding | undefined) => by?.forward(flatRows(x)) ?? flatRows(x);
  const [s, t] = [embedded(features.student, student), embedded(features.teacher, teacher)];
  for (const x of [s, t]) expectShape(`${name}: embeddings`, x.shape, [-1, dimension]);
  const contrast = memory.contrast(indices);
  const normalizers = memory.normalizers.data;
  const against = (x: Tensor, bank: Tensor, which: 0 | 1) => {
    const cosines = gather(linear(x, memory.isShard ? bank : copyOf(bank)), 1, contrast);
    const values = exp(cosines.div(tau));
    if (normalizers[which] === 0) normalizers[which] = values.mean().item() * samples;
    return contrasted(values.div(normalizers[which]), memory.negatives, samples);
  };
  const loss = against(s, memory.teacher, 0).add(against(t, memory.student, 1));
  const checked = expectFiniteOutput(name, loss, { studentFeatures, teacherFeatures });
  memory.update(indices, s.data, t.data);
  return checked;
}

function expectMemory(name: string, memory: unknown): void {
  if (!(memory instanceof CrdMemory)) throw badArgument(`${name}: memory`, "a CrdMemory", memory);
}

/** The memory is updated before the backward pass reads it. */
function copyOf(bank: Tensor): Tensor {
  const kept = allocate(bank.size);
  kept.set(bank.data);
  return new Tensor(kept, bank.shape);
}

/**
 * For h [rows, 1 + negatives], the positive first. Uses ratios: a sum of many logarithms that nearly cancel would lose
 * digits.
 */
function contrasted(h: Tensor, negatives: number, samples: number): Tensor {
  const noise = negatives / samples;
  const positive = log1p(
    h
      .slice(0, 1, { dim: 1 })
      .pow(-1)
      .mul(noise + EPSILON),
  ).sum();
  const negative = log1p(
    h
      .slice(1, 1 + negatives, { dim: 1 })
      .add(EPSILON)
      .div(noise),
  ).sum();
  return positive.add(negative).div(h.shape[0]);
}

/** The options of {@link crdDistillationLoss}. */
export interface CrdDistillationLossOptions {
  memory: CrdMemory;
  student: CrdEmbedding;
  teacher: CrdEmbedding;
  tau?: number;
}

/**
 * {@link crdLoss} as a loss of `distill`: `crd` in expressions. Memory and embeddings are part of the run's checkpoint.
 *
 * @throws DistilleryError `BAD_ARGUMENT` without a memory; in a run for a layer that a network lacks, and for mixed
 * samples.
 * @example
 * ```ts
 * const memory = new CrdMemory({ samples: data.length, labels: labelsOf(data), negatives: 256 });
 * const embeddings = { student: new CrdEmbedding(256), teacher: new CrdEmbedding(512) };
 * const loss = crdDistillationLoss({ student: "fc2", teacher: "fc3" }, { memory, ...embeddings });
 * await distill({ teacher, student, data, loss });
 * ```
 */
export function crdDistillationLoss(layers: Layers, options: CrdDistillationLossOptions): DistillationLoss {
  const all = optionsOf("crdDistillationLoss", DEFAULTS, options, ["memory", "student", "teacher"]);
  const { memory, student, teacher, tau } = all;
  expectMemory("crdDistillationLoss", memory);
  const { negatives, momentum } = memory;
  const [samples, dimension] = memory.student.shape;
  const lossOf = (ofStudent: Tensor, ofTeacher: Tensor, { isMixed, indices }: LossBatch) => {
    if (isMixed) throw mixedSamples();
    return crdLoss(ofStudent, ofTeacher, indices, { memory, student, teacher, tau });
  };
  const config = { tau, negatives, momentum, samples, dimension };
  return ofLayers("crd", layers, lossOf, { modules: { memory, student, teacher }, config, tasks: ["classification"] });
}

function mixedSamples(): DistilleryError {
  const text = "recognises samples by their index, and a mixed one is none of them: leave mixup out";
  return argumentError("crd", text);
}

/** `crd` in expressions. */
export const crdEntry = defineEntry({
  name: "crd",
  help: "a sample recognised among others by its hidden output (Tian et al., 2020)",
  tasks: ["classification"],
  options: {
    ...LAYER_OPTIONS,
    dimension: described(v.optional(integer(1), CRD_MEMORY_DEFAULTS.dimension), "length of an embedding"),
    negatives: described(
      v.optional(integer(1), CRD_MEMORY_DEFAULTS.negatives),
      "samples of other classes that each is compared with, drawn with repetition, at most as many as all others",
    ),
    tau: described(v.optional(positive(), DEFAULTS.tau), "temperature that divides the cosines"),
    momentum: described(v.optional(fractionBelow1(), CRD_MEMORY_DEFAULTS.momentum), "share of the old embedding"),
  },
  create({ dimension, negatives, tau, momentum, ...paths }, context: LossContext): DistillationLoss {
    if (context.mixed === true) throw mixedSamples();
    const layers = layersOf("crd", paths, context);
    const embedding = (network: "student" | "teacher") => {
      const shape = context.tapShape(network, layers[network]);
      return new CrdEmbedding(numel(shape), dimension);
    };
    const [student, teacher] = [embedding("student"), embedding("teacher")];
    const labels = context.labels("crd");
    const memory = new CrdMemory({ samples: context.samples, dimension, negatives, momentum, labels });
    return crdDistillationLoss(layers, { memory, student, teacher, tau });
  },
});
