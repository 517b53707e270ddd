import { argumentError } from "../checks.js";
import { NO_LABEL } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { labelsOf } from "../data/labels.js";
import { takeSlice } from "../data/take_batch.js";
import { DistilleryError } from "../errors.js";
import { createLoss, type DistillationLoss, type LossSpec } from "../losses/index.js";
import { isDistillationLoss, type LossContext, readsTeacher } from "../losses/loss.js";
import { expectReads, inputsOf } from "../models/fit_network.js";
import { expectOutput } from "../nn/expect_output.js";
import { withEvalMode } from "../nn/modes.js";
import { Module } from "../nn/module.js";
import { featuresPath, Taps } from "../nn/taps.js";
import { type Expression, formatExpression, importModules, parseExpression } from "../registry/index.js";
import { noGrad } from "../tensor/autograd.js";
import { Generator, withGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { fromUserCode } from "../user_code.js";

/** What a loss is made for: the networks and the data of a run. */
export interface LossUse {
  student: Module;
  /** A teacher that is not a network has no hidden layers; null in a run without a teacher. */
  teacher: unknown;
  data: Dataset;
  labelSmoothing: number;
  /** The stream from which the loss's modules are drawn. */
  generator: Generator;
}

/** Whether a loss is given as an expression. */
export function isExpression(spec: LossSpec | undefined): spec is Expression {
  return typeof spec === "string" || (typeof spec === "object" && spec !== null && !isDistillationLoss(spec));
}

/** A loss, and whether it read the run's label smoothing when it was made. */
export interface MadeLoss {
  readonly loss: DistillationLoss;
  readonly isSmoothed: boolean;
}

/** {@link makeLoss}, which refuses a label smoothing that the loss does not read. */
export async function resolveLoss(spec: LossSpec, use: LossUse): Promise<DistillationLoss> {
  return expectSmoothed(await makeLoss(spec, use), use);
}

/** Refuses a label smoothing that no term of the loss reads, instead of ignoring it. */
export function expectSmoothed(
  { loss, isSmoothed }: MadeLoss,
  { labelSmoothing }: Pick<LossUse, "labelSmoothing">,
): DistillationLoss {
  if (isSmoothed || labelSmoothing === 0) return loss;
  const text = `no term of the loss ${loss.name} reads it: leave it out, or add one, as "0.1*cross-entropy"`;
  throw argumentError("labelSmoothing", text);
}

/** Makes the loss that a run's specification describes; imports the user's modules that it names. */
export async function makeLoss(spec: LossSpec, use: LossUse): Promise<MadeLoss> {
  const modules = isExpression(spec)
    ? await importModules([formatExpression(parseExpression(spec, "loss"))])
    : undefined;
  const { data, labelSmoothing, generator } = use;
  const networkOf = (network: "student" | "teacher") => {
    if (network === "teacher" && use.teacher === null) throw missingTeacher(isExpression(spec) ? namesOf(spec) : "it");
    return use[network];
  };
  let isSmoothed = false;
  const context: LossContext = {
    classes: data.classes,
    task: data.task,
    samples: data.length,
    get labelSmoothing() {
      isSmoothed = true;
      return labelSmoothing;
    },
    tapShape: (network, path) => tapShapeOf(networkOf(network), data, network, path),
    features: (network) => {
      const module = expectNetwork(networkOf(network), network);
      return featuresPath(module, () => forwardOnce(module, data, network), network);
    },
    unlabelled: data.unlabelled,
    mixed: data.mixed,
    labels: (loss = "loss") => expectLabelled(loss, labelsOf(data)),
  };
  // Drawn from a copy: a run sees the same batches, whatever its loss draws for its modules.
  const own = new Generator().copyFrom(generator);
  const loss = withGenerator(own, () => createLoss(spec, context, modules && { modules }));
  expectApart(loss, use.teacher);
  return { loss, isSmoothed };
}

/** The names of an expression's losses, as in their sum. */
function namesOf(expression: Expression): string {
  return parseExpression(expression, "loss")
    .map(({ name }) => name)
    .join("+");
}

/** The error for a loss that reads a teacher, in a run without one. */
export function missingTeacher(loss: string, spec?: LossSpec): DistilleryError {
  if (typeof spec === "function") {
    const text = "a function is taken to read the teacher, and there is none";
    const advice =
      "give an object { name, needsTeacher: false, compute, config }, whose compute gives { loss, metrics }";
    return argumentError("loss", `${text}: ${advice}`);
  }
  return argumentError("loss", `${loss} needs a teacher: give distill one`);
}

/**
 * Refuses a student whose vectors have other dimensions than the targets or the teacher's, since the default loss
 * compares them.
 */
export function expectSameDimensions({ student, teacher, data }: LossUse, alpha: number): void {
  const width = (module: Module) => withGenerator(new Generator(), () => tapShapeOf(module, data, "student", ""))[0];
  const own = width(student);
  const wanted = [
    ...(alpha < 1 ? [["targets'", data.classes] as const] : []),
    ...(alpha > 0 && teacher instanceof Module ? [["teacher's", width(teacher)] as const] : []),
  ];
  const other = wanted.find(([, dimensions]) => dimensions !== own);
  if (other === undefined) return;
  const text = `the ${other[0]} ${other[1]} dimensions, as the default loss compares them, got ${own}`;
  const advice = 'give the loss "vector-kd(projection=true)", which trains a Linear between them';
  throw new DistilleryError("SHAPE_MISMATCH", `student: expected ${text}: ${advice}`);
}

/** Refuses a loss that would train the teacher, because it has the teacher's modules. */
function expectApart({ modules = {} }: DistillationLoss, teacher: unknown): void {
  if (!(teacher instanceof Module)) return;
  const taught = new Set(teacher.parameters());
  for (const [name, module] of Object.entries(modules)) {
    if (!module.parameters().some((parameter) => taught.has(parameter))) continue;
    const text = `modules.${name} has parameters of the teacher, which would be trained: leave it out`;
    throw argumentError("loss", text);
  }
}

/** Whether a loss reads only a teacher's logits, so that they can be computed once. */
export function readsLogitsAlone(loss: DistillationLoss): boolean {
  return readsTeacher(loss) && !loss.taps?.teacher?.length;
}

/** The shape of a module's output for one sample, from a forward pass of the first `rows` in eval mode. */
export function tapShapeOf(
  network: unknown,
  data: Dataset,
  argument: string,
  path: string,
  rows = 1,
): readonly number[] {
  const module = expectNetwork(network, argument);
  // Ids that index no row are refused with the name of their source.
  expectReads(module, data, `the ${argument}`);
  if (path === "") return forwardOnce(module, data, argument, rows).shape.slice(1);
  const { taps } = new Taps(module, [path], argument).record(() => forwardOnce(module, data, argument));
  return taps[path].shape.slice(1);
}

function expectNetwork(network: unknown, argument: string): Module {
  if (network instanceof Module) return network;
  throw argumentError(argument, "expected a Module, whose hidden layers can be tapped");
}

/** A network's output for the first samples, in eval mode. */
function forwardOnce(network: Module, data: Dataset, argument: string, rows = 1): Tensor {
  return withGenerator(new Generator(), () => {
    const inputs = inputsOf(network, takeSlice(data, 0, rows));
    try {
      return noGrad(() => withEvalMode(network, () => expectOutput(argument, network.forward(inputs))));
    } catch (error) {
      // The network did not return a tensor.
      if (error instanceof DistilleryError && error.message.startsWith(`${error.argument}: forward: `)) throw error;
      const place = `${argument}: does not take samples of ${data.name}, [${inputs.shape.slice(1).join(", ")}]`;
      if (!(error instanceof DistilleryError)) throw fromUserCode(error, place) ?? error;
      throw new DistilleryError(error.code, `${place}: ${error.message}`, { argument, cause: error });
    }
  });
}

function expectLabelled(loss: string, labels: Int32Array): Int32Array {
  const sample = labels.indexOf(NO_LABEL);
  if (sample < 0) return labels;
  throw argumentError(loss, `needs a label for every sample, and sample ${sample} has none`);
}
