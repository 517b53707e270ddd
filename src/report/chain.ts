import { join } from "node:path";
import * as v from "valibot";
import { expectLastLonger } from "../checkpoint/index.js";
import { argumentError, badArgument, expectInteger, expectObject } from "../checks.js";
import { expectDataset } from "../data/dataset.js";
import { DistilleryError } from "../errors.js";
import { fitTeacher } from "../models/fit_network.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { taskOf } from "../tasks/index.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { CONTROL_NAMES, splitControls } from "../train/controls.js";
import { expectTrainable } from "../train/expect_trainable.js";
import type { RunResult } from "../train/index.js";
import { distillationSchema, resolveOptions } from "../train/options.js";
import { expectSmoothed, makeLoss } from "../train/resolve_loss.js";
import { without } from "../without.js";
import { distill, type ReportedDistillInput, trainTeacher } from "./runs.js";

/** The input of {@link distillChain}: networks in their order, and what each run of {@link distill} takes. */
export interface ChainInput extends Omit<ReportedDistillInput, "teacher" | "student" | "logs"> {
  /** Makes each network; the last one is the student. The same one several times makes generations. */
  networks: readonly (() => Module)[];
  /** Teaches the first network; by default that is trained on the labels. */
  teacher?: ReportedDistillInput["teacher"];
  /** The seed of the first network's run; later ones have consecutive seeds. Default 0. */
  seed?: number;
  /** The folder for a folder of each run: `link-1`, `link-2`, ... */
  out?: string;
}

/** A run of a chain. */
export interface Link {
  /** `link-1` */
  readonly name: string;
  /** Otherwise it is trained on the labels. */
  readonly isDistilled: boolean;
  readonly seed: number;
}

/** A finished run of a chain. */
export interface TrainedLink extends Link, Pick<RunResult, "history" | "best" | "files" | "stoppedEarly"> {
  /** With its best weights on the validation set or, without one, its last weights. */
  readonly network: Module;
}

/** What a run takes that is no option of training. */
const OF_RUN = ["data", "validation", "report", "loss", "teacherCache", "calibrateTeacher"];
/** Only for checking the names of the options. */
const CHAIN = v.strictObject({
  ...Object.fromEntries([...OF_RUN, "networks", "teacher", "seed", "out"].map((name) => [name, v.optional(v.any())])),
  ...distillationSchema.entries,
});
/** What only a run with a teacher takes. */
const OF_DISTILLATION = ["temperature", "alpha", "teacherMode", "teacherCache", "calibrateTeacher", "loss"];

/**
 * Distils networks one after the other, each from the previous one with its best weights: teacher assistants (Mirzadeh
 * et al., 2020) or, with the same network several times, born-again generations (Furlanello et al., 2018). Each is a
 * run of {@link distill} (the first one, without a `teacher`, of {@link trainTeacher}) with its own seed, from which
 * its network is drawn too. With `resume`, finished runs are kept.
 *
 * @throws DistilleryError the errors of {@link distill}, which begin with the link's name.
 * @example
 * ```ts
 * const networks = [64, 32, 8].map((width) => () => createNetwork(`mlp(hidden=[${width}])`, { shape: [train.features], classes: train.classes }));
 * const links = await distillChain({ networks, data: train, validation, epochs: 20, out: "runs/chain" });
 * const student = links.at(-1)?.network;
 * ```
 */
export async function distillChain(input: ChainInput): Promise<TrainedLink[]> {
  expectObject("distillChain", input);
  const { networks, teacher, seed = 0, out, ...common } = input;
  const [controls, options] = splitControls(common);
  const resolved = resolveOptions(CHAIN, { networks, teacher, ...options }, ["seed", ...CONTROL_NAMES]);
  const { epochs } = resolved;
  expectInteger("seed", seed, 0);
  if (Object.hasOwn(controls, "logs")) {
    const text = "each link would replace the log of the one before: metrics.jsonl in the folder of each has its own";
    throw argumentError("logs", text);
  }
  expectMakers(networks);
  const links = planLinks(networks, { seed, hasTeacher: teacher !== undefined });
  if (out !== undefined && controls.resume === true) {
    const folders = links.map(({ name }) => join(out, name));
    await expectLastLonger(folders, epochs);
  }
  expectDataset(common.data, "data");
  const unsmoothed = await expectFitting(links, { ...common, ...resolved, teacher });
  return runLinks(links, async ({ item: make, ...link }, before: TrainedLink | null) => {
    const own = unsmoothed.includes(link.name) ? (without(common, ["labelSmoothing"]) as typeof common) : common;
    const run = { ...own, ...(out !== undefined && { out: join(out, link.name) }) };
    const generator = new Generator(link.seed);
    const network = withGenerator(generator, () => make());
    expectModule(`networks: ${link.name}`, network);
    const source = before?.network ?? teacher;
    const handle = withGenerator(generator, () =>
      source === undefined
        ? trainTeacher({ ...(without(run, OF_DISTILLATION) as typeof common), model: network })
        : distill({ ...run, teacher: source, student: network }),
    );
    const result = await handle.catch((error: unknown) => {
      if (!(error instanceof DistilleryError)) throw error;
      throw inLink(link, error);
    });
    if (result.best !== null) network.loadStateDict(result.best.state);
    return { ...link, network, ...result };
  });
}

const inLink = ({ name }: Link, error: DistilleryError) =>
  new DistilleryError(error.code, `${name}: ${error.message}`, { cause: error });

/** What the networks of a chain have to fit. */
interface ChainUse extends Pick<ReportedDistillInput, "data" | "loss"> {
  alpha: number;
  labelSmoothing: number;
  batchSize: number;
  teacher: ReportedDistillInput["teacher"];
}

/**
 * Before the first link is trained, refuses a network that does not fit the data, or a loss that does not fit two
 * networks. Returns the links whose loss does not read the label smoothing with which the first link is trained on the
 * labels.
 */
async function expectFitting(
  links: readonly (Link & { item: () => Module })[],
  { teacher, data, loss, alpha, labelSmoothing, batchSize }: ChainUse,
): Promise<string[]> {
  const unsmoothed: string[] = [];
  const isFirstHard = teacher === undefined;
  let before: unknown = fitTeacher(teacher, data) ?? null;
  for (const link of links) {
    const generator = new Generator(link.seed);
    const student = withGenerator(generator, () => link.item());
    expectModule(`networks: ${link.name}`, student);
    try {
      const use = { student, teacher: before, data, labelSmoothing, generator };
      const made = link.isDistilled && loss !== undefined ? await makeLoss(loss, use) : null;
      const isRead = !link.isDistilled || (made === null ? alpha < 1 : made.isSmoothed);
      if (!isRead && isFirstHard) unsmoothed.push(link.name);
      else if (made !== null) expectSmoothed(made, use);
      const own = made?.loss ?? taskOf(data).hardLoss({ labelSmoothing });
      expectTrainable({ networks: { student }, teacher: before, loss: own, data, batchSize, isEvaluated: true });
    } catch (error) {
      throw error instanceof DistilleryError ? inLink(link, error) : error;
    }
    before = student;
  }
  return unsmoothed;
}

function expectMakers(networks: unknown): void {
  const expected = "a list of functions that make a network, as [() => new Net()]";
  if (!Array.isArray(networks)) throw badArgument("networks", expected, networks);
  if (networks.length === 0) throw argumentError("networks", `expected ${expected}, got an empty list`);
  for (const [i, make] of networks.entries()) {
    if (typeof make !== "function") throw badArgument(`networks[${i}]`, "a function that makes a network", make);
  }
}

/** The runs of a chain, in their order, each with its item; `first` is the number of the first. */
export function planLinks<T>(
  items: readonly T[],
  { seed, hasTeacher, name = "link", first = 1 }: { seed: number; hasTeacher: boolean; name?: string; first?: number },
): (Link & { item: T })[] {
  return items.map((item, i) => ({
    name: `${name}-${first + i}`,
    isDistilled: i > 0 || hasTeacher,
    seed: seed + i,
    item,
  }));
}

/** Runs the links one after the other, each with the result of the previous one. */
export async function runLinks<L extends Link, R>(
  links: readonly L[],
  run: (link: L, before: R | null) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (const link of links) results.push(await run(link, results.at(-1) ?? null));
  return results;
}
