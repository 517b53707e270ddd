import { badArgument, expectInteger, expectOptions } from "../checks.js";
import { type Expression, parseExpression, Registry, type UserModules } from "../registry/index.js";
import { attentionTransferEntry } from "./attention_transfer_loss.js";
import { cosineFeatureEntry } from "./cosine_feature_loss.js";
import { crdEntry } from "./crd_loss.js";
import { crossEntropyEntry } from "./cross_entropy.js";
import { distEntry } from "./dist_loss.js";
import { dkdEntry } from "./dkd_loss.js";
import { expectForTask } from "./for_task.js";
import type { LossFunction } from "./function_loss.js";
import { hintEntry } from "./hint_loss.js";
import { jsdEntry } from "./jsd_loss.js";
import { kdEntry } from "./kd_loss.js";
import { logitMseEntry } from "./logit_mse.js";
import { logitStandardizedKdEntry } from "./logit_standardized_kd_loss.js";
import { type DistillationLoss, expectDistillationLoss, isDistillationLoss, type LossContext } from "./loss.js";
import { multiLabelKdEntry } from "./multi_label_kd_loss.js";
import { pktEntry } from "./pkt_loss.js";
import { reviewKdEntry } from "./review_kd_loss.js";
import { rkdEntry } from "./rkd_loss.js";
import { similarityPreservingEntry } from "./similarity_preserving_loss.js";
import { bceEntry, cosineEntry, huberEntry, maeEntry, mseEntry } from "./target_losses.js";
import { topKKdEntry } from "./top_k_kd_loss.js";
import { vectorKdEntry } from "./vector_kd_loss.js";
import { vidEntry } from "./vid_loss.js";
import { withWarmup } from "./warmup.js";
import { forClasses, weightedSum } from "./weighted_sum.js";

export { attentionTransferDistillationLoss, attentionTransferLoss } from "./attention_transfer_loss.js";
export { cosineFeatureDistillationLoss, cosineFeatureLoss } from "./cosine_feature_loss.js";
export {
  type CrdDistillationLossOptions,
  CrdEmbedding,
  type CrdLossOptions,
  crdDistillationLoss,
  crdLoss,
} from "./crd_loss.js";
export { CrdMemory, type CrdMemoryOptions } from "./crd_memory.js";
export { crossEntropyDistillationLoss } from "./cross_entropy.js";
export { type DistDistillationLossOptions, type DistLossOptions, distDistillationLoss, distLoss } from "./dist_loss.js";
export { type DkdDistillationLossOptions, type DkdLossOptions, dkdDistillationLoss, dkdLoss } from "./dkd_loss.js";
export type { Layers } from "./features.js";
export type { LossFunction } from "./function_loss.js";
export { type HintLossOptions, hintDistillationLoss, hintLoss } from "./hint_loss.js";
export { type JsdDistillationLossOptions, type JsdLossOptions, jsdDistillationLoss, jsdLoss } from "./jsd_loss.js";
export {
  type KdDistillationLossOptions,
  type KdLossOptions,
  type KdLossParts,
  kdDistillationLoss,
  kdLoss,
  kdLossParts,
} from "./kd_loss.js";
export { logitMseDistillationLoss, logitMseLoss } from "./logit_mse.js";
export {
  type LogitStandardizedKdLossOptions,
  logitStandardizedKdDistillationLoss,
  logitStandardizedKdLoss,
} from "./logit_standardized_kd_loss.js";
export type {
  DistillationLoss,
  Json,
  LossBatch,
  LossContext,
  Outputs,
  ShardedMemory,
} from "./loss.js";
export {
  type MultiLabelKdLossOptions,
  multiLabelKdDistillationLoss,
  multiLabelKdLoss,
} from "./multi_label_kd_loss.js";
export { pktDistillationLoss, pktLoss } from "./pkt_loss.js";
export {
  ReviewFusion,
  type ReviewKdLossOptions,
  type ReviewLayers,
  reviewKdDistillationLoss,
  reviewKdLoss,
} from "./review_kd_loss.js";
export { type RkdLossOptions, rkdDistillationLoss, rkdLoss } from "./rkd_loss.js";
export { similarityPreservingDistillationLoss, similarityPreservingLoss } from "./similarity_preserving_loss.js";
export {
  bceDistillationLoss,
  cosineDistillationLoss,
  huberDistillationLoss,
  maeDistillationLoss,
  mseDistillationLoss,
  type NoOptions,
} from "./target_losses.js";
export type { Annealed } from "./temperature.js";
export {
  type TopKKdDistillationLossOptions,
  type TopKKdLossOptions,
  topKKdDistillationLoss,
  topKKdLoss,
} from "./top_k_kd_loss.js";
export { type VectorKdLossOptions, vectorKdDistillationLoss, vectorKdLoss } from "./vector_kd_loss.js";
export { type VidLossOptions, VidRegressor, vidDistillationLoss, vidLoss } from "./vid_loss.js";
export { weightedSum } from "./weighted_sum.js";

/** Distillation losses, each of which supports a warm-up. */
const ENTRIES = [
  kdEntry,
  logitStandardizedKdEntry,
  dkdEntry,
  distEntry,
  logitMseEntry,
  jsdEntry,
  topKKdEntry,
  multiLabelKdEntry,
  vectorKdEntry,
  hintEntry,
  cosineFeatureEntry,
  rkdEntry,
  similarityPreservingEntry,
  pktEntry,
  attentionTransferEntry,
  vidEntry,
  crdEntry,
  reviewKdEntry,
].map(withWarmup);

/** Losses between the student's outputs and the labels or targets of the data. */
const HARD = [crossEntropyEntry, mseEntry, maeEntry, huberEntry, bceEntry, cosineEntry];

/** What a loss gets besides its arguments. */
const CONTEXT = [
  "classes",
  "task",
  "labelSmoothing",
  "tapShape",
  "features",
  "samples",
  "unlabelled",
  "mixed",
  "labels",
] as const satisfies readonly (keyof LossContext)[];

/**
 * The losses that have a name: `--loss "dkd(beta=4)"`, `distill({ loss: "dkd(beta=4)" })`. To add one to the library,
 * write its file and add its entry here.
 *
 * @example
 * ```ts
 * LOSSES.names.includes("dkd"); // true
 * ```
 */
export const LOSSES = new Registry<DistillationLoss, LossContext>("loss", [...HARD, ...ENTRIES], {
  expected: "a loss with name, compute and config, or a function that makes one",
  advice: `it is called with { ${CONTEXT.join(", ")} } and its arguments, and makes a loss; a function of the batch is exported as () => ({ student, teacher }) => ...`,
  convert: (value, { classes }, place) =>
    forClasses(typeof value === "function" ? (value as LossFunction) : expectDistillationLoss(value, place), classes),
  accepts: isDistillationLoss,
});

/**
 * A loss as a run takes it: an expression (`"0.1*cross-entropy + 0.9*kd(temperature=4)"`, or its structured terms), a
 * {@link DistillationLoss}, or a function of the batch that returns a scalar.
 */
export type LossSpec = Expression | DistillationLoss | LossFunction;

/**
 * Makes the loss that a specification describes, for data of the context's task.
 *
 * @throws DistilleryError `BAD_ARGUMENT` that names the argument, what was expected and what came.
 * @example
 * ```ts
 * const layers = { tapShape: () => [256], features: () => "fc3:input" };
 * const ofData = { classes: 10, labelSmoothing: 0, samples: train.length, labels: () => labelsOf(train) };
 * createLoss("cross-entropy + dkd(beta=4)", { ...layers, ...ofData }).name; // "cross-entropy+dkd"
 * ```
 */
export function createLoss(
  spec: LossSpec,
  context: LossContext,
  options: { modules?: UserModules } = {},
): DistillationLoss {
  expectOptions("createLoss", options, ["modules"]);
  expectOptions("context", context, CONTEXT);
  expectInteger("context.classes", context.classes, 1);
  const checked = (loss: DistillationLoss) => expectForTask(loss, context.task, LOSSES.entries);
  if (typeof spec === "function") return forClasses(spec, context.classes);
  if (isDistillationLoss(spec)) return checked(expectDistillationLoss(forClasses(spec, context.classes), "loss"));
  if (typeof spec !== "string" && (typeof spec !== "object" || spec === null)) {
    throw badArgument("loss", "an expression, a loss or a function of the batch", spec);
  }
  // Before it is made: of data without labels some losses have nothing to be made of.
  for (const { name } of parseExpression(spec, "loss")) {
    const entry = LOSSES.entries.find((one) => one.name === name);
    if (entry !== undefined) expectForTask(entry, context.task, LOSSES.entries);
  }
  const terms = LOSSES.resolveSum(spec, context, { argument: "loss", ...options });
  for (const [, term] of terms) checked(term);
  const [first] = terms;
  return terms.length === 1 && first !== undefined && first[0] === 1 ? first[1] : weightedSum(terms);
}
