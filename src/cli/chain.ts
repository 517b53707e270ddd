import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  CheckpointFiles,
  countTestEvaluation,
  expectLastLonger,
  removeReplacedLinks,
  withLockedFolder,
} from "../checkpoint/index.js";
import { CHAIN_RESULTS } from "../checkpoint/run_folder.js";
import { type ConfigOf, distillationOptions, type ResolvedConfig, SCHEMAS, trainingOptions } from "../config/index.js";
import { AVERAGE_OPTIONS } from "../config/schemas.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { writeJson } from "../files/index.js";
import { Ensemble } from "../models/ensemble.js";
import { Module } from "../nn/module.js";
import { isModulePath } from "../registry/index.js";
import { type Link as PlannedLink, planLinks, runLinks } from "../report/chain.js";
import { sum } from "../sums.js";
import { taskOf } from "../tasks/index.js";
import { mainMetric, metricsOf, testKey } from "../tasks/metrics.js";
import type { Teacher } from "../teachers/index.js";
import { teacherSchema } from "../teachers/options.js";
import { Generator } from "../tensor/random.js";
import { expectDistillable } from "../train/distill.js";
import { expectTrainable } from "../train/expect_trainable.js";
import { evaluate } from "../train/index.js";
import { makeLoss } from "../train/resolve_loss.js";
import { without } from "../without.js";
import { dryRun, type PlannedRun } from "./dry_run.js";
import { byFlag, UsageError } from "./error_boundary.js";
import { expectDistillationBatches } from "./expect_batches.js";
import { withoutTeacherColumn } from "./external_teacher.js";
import { type LoadFlags, READING_FLAGS, type TrainingFlags } from "./flags.js";
import { networkTable } from "./network_table.js";
import { expectReadable, Networks } from "./networks.js";
import { Printer } from "./printer.js";
import { runDistill, studentContext, teacherModeOf } from "./run_distill.js";
import { type RunSummary, testEvaluationsText } from "./run_summary.js";
import { only, type Settings, settingsFrom } from "./settings.js";
import { type Source, setUp } from "./source.js";
import { stoppableRun } from "./stoppable_run.js";
import { runTrainTeacher } from "./train_teacher.js";

/** Options and flags that say how to read the file of the first link's teacher. */
const OF_FIRST_TEACHER = ["teacherNetwork", "teacherColumn", ...AVERAGE_OPTIONS, ...Object.keys(teacherSchema.entries)];

type DistillSettings = Settings<"distill">;

/** One run of a chain or of generations: what is trained, in its own folder below the command's. */
interface Link extends PlannedLink {
  readonly network: string;
  readonly out: string;
}

/** The links of a chain, or the generations, with consecutive seeds. */
function linksOf(config: ResolvedConfig<"distill">): Link[] {
  const { chain, generations = 0, student, teacherColumn, teacher = teacherColumn, seed, out } = config;
  const first = teacher === undefined && chain === undefined ? 0 : 1;
  const networks = chain ?? Array.from({ length: generations + 1 - first }, () => student);
  const name = chain === undefined ? "generation" : "link";
  return planLinks(networks, { seed, hasTeacher: teacher !== undefined, name, first }).map(({ item, ...link }) => {
    return { ...link, network: item, out: join(out, link.name) };
  });
}

/**
 * Distils a chain of students, each from the previous one, or generations of the same network. Each link is a run of
 * the command `distill` (the first one of `train-teacher`, if there is no teacher) with the next seed and its own
 * folder.
 */
export async function runChain(settings: DistillSettings, flags: TrainingFlags & LoadFlags): Promise<void> {
  const { config } = settings;
  const links = linksOf(config);
  if (flags.dryRun) return dryRunChain(settings, links, flags);
  const printer = new Printer(flags);
  try {
    await withLockedFolder(config.out, { onNote: printer.note }, () => train(settings, links, flags, printer));
  } finally {
    printer.close();
  }
}

async function train(
  { config, userOptions }: DistillSettings,
  links: readonly Link[],
  flags: TrainingFlags & LoadFlags,
  printer: Printer,
): Promise<void> {
  const folders = links.map(({ out }) => out);
  if (flags.resume) await expectLastLonger(folders, config.epochs);
  const unsmoothed = await expectFitting({ config, userOptions }, links, flags);
  // Otherwise each link's folder is checked when it is opened. A run that is replaced must not be resumed later if this
  // call is interrupted.
  const file = join(config.out, config.chain === undefined ? "generations.json" : "chain.json");
  if (flags.overwrite) {
    for (const { out } of links) new CheckpointFiles(out, config.keepCheckpoints).remove();
    removeReplacedLinks(
      config.out,
      links.map(({ name }) => name),
    );
    for (const name of CHAIN_RESULTS) await rm(join(config.out, name), { force: true });
  }
  const trainAll = (signal: AbortSignal) =>
    runLinks(links, async (link, before: RunSummary | null) => {
      const { name, network, isDistilled, seed } = link;
      // A signal that came while the link before was concluded is known after a turn of the event loop.
      await setImmediate();
      const text = `stopped before ${name}; the ones before are done and saved in ${config.out}: re-run with --resume for the rest`;
      if (signal.aborted) throw new DistilleryError("ABORTED", text);
      printer.note(`${name}: ${network}, seed ${seed}, ${isDistilled ? "distilled" : "trained on the labels"}`);
      const options = unsmoothed.includes(link) ? without(userOptions, ["labelSmoothing"]) : userOptions;
      const teacher = before && { file: before.file, network: links[links.indexOf(link) - 1].network };
      return (await runLink(link, options, teacher, flags)) as RunSummary;
    });
  // The links' own runs stop by the same signal, which may come between two of them as well.
  await stoppableRun(printer, config.out, trainAll, async (summaries, expectGoing) => {
    // The links have already printed the notes about data and files.
    const source = await setUp(withoutTeacherColumn(config), undefined, { quiet: true });
    const [metric] = metricsOf(source.train());
    await expectGoing("the table of all");
    const ensemble = config.generations === undefined ? null : await ensembleFigure(config, links, summaries, source);
    const looks = summaries.map(({ testEvaluations }) => testEvaluations ?? 0);
    if (ensemble !== null && source.test !== null) {
      looks[looks.length - 1] = await countTestEvaluation(links[links.length - 1].out, source.test.fingerprint());
    }
    const testEvaluations = source.test && sum(looks);
    const result = links.map((link, i) => ({ ...link, ...summaries[i] }));
    await writeJson(file, { links: result, ensemble });
    const student = summaries[summaries.length - 1].file;
    printer.end(
      { links: result, ensemble, ...(testEvaluations !== null && { testEvaluations }), files: [student, file] },
      [
        "",
        networkTable(metric, [
          ...result,
          ...(ensemble === null ? [] : [{ name: "ensemble", network: "", [testKey(metric)]: ensemble }]),
        ]),
        "",
        `Student: ${student}`,
        ...(testEvaluations === null ? [] : [testEvaluationsText(testEvaluations, source.validation !== null)]),
        `Written to ${file}`,
      ],
    );
  });
}

/**
 * Before the first link is trained, refuses a later link that does not fit the data or the network that teaches it.
 * Returns the links whose loss does not read the label smoothing with which the first link is trained on the labels.
 */
async function expectFitting(
  { config, userOptions }: DistillSettings,
  links: readonly Link[],
  flags: TrainingFlags & LoadFlags,
): Promise<Link[]> {
  const source = await setUp(withoutTeacherColumn(config), undefined, { quiet: true });
  const [data, validation] = [source.train(), source.validation ?? undefined];
  const { loss, labelSmoothing, alpha, batchSize, teacherCache, calibrateTeacher } = config;
  const unsmoothed: Link[] = [];
  let teacher: Module | null = null;
  for (const [link, ...more] of alike(links)) {
    const student = await madeFor(link, config, source, flags);
    await underLink(link, flags, async () => {
      expectReadable("student", student, data);
      // The first link's own run refuses the rest before it trains.
      if (teacher === null) {
        const own = taskOf(data).hardLoss({ labelSmoothing });
        return expectTrainable({ networks: { student }, loss: own, data, batchSize, isEvaluated: true });
      }
      const use = { student, teacher, data, labelSmoothing, generator: new Generator() };
      const isRead = loss === undefined ? alpha < 1 : (await makeLoss(loss, use)).isSmoothed;
      if (!isRead && !links[0].isDistilled) unsmoothed.push(link, ...more);
      const options = { ...distillationOptions(config), ...(unsmoothed.includes(link) && { labelSmoothing: 0 }) };
      const teacherMode = await teacherModeOf(config, userOptions, use);
      const input = { ...options, teacherMode, teacher, student, data, validation, teacherCache, calibrateTeacher };
      await expectDistillationBatches(input);
      await expectDistillable(input);
    });
    teacher = student;
  }
  return unsmoothed;
}

/** Trains a link with the command's options and its own; `before` is the previous link's file. */
function runLink(
  { network, isDistilled, seed, out }: Link,
  options: ConfigOf<"distill">,
  before: { file: string; network: string } | null,
  flags: TrainingFlags & LoadFlags,
): Promise<RunSummary | null> {
  const common = without(options, ["chain", "generations"]);
  if (!isDistilled) {
    const own = without(only(SCHEMAS["train-teacher"].entries, common), ["loss"]);
    return runTrainTeacher(settingsFrom("train-teacher", { ...own, teacherNetwork: network, seed, out }), flags);
  }
  const link = { ...common, student: network, seed, out };
  if (before === null) return runDistill(settingsFrom("distill", link), flags);
  // A file doesn't bring a module of the user's own along: it runs because the chain names it.
  const own = isModulePath(before.network) && { teacherNetwork: before.network };
  const later = { ...without(withoutTeacherColumn(link), OF_FIRST_TEACHER), teacher: before.file, ...own };
  return runDistill(settingsFrom("distill", later), without(flags, READING_FLAGS));
}

/** The task's metric on the test set, such as accuracy, of the averaged probabilities of all distilled generations. */
async function ensembleFigure(
  config: ResolvedConfig<"distill">,
  links: readonly Link[],
  summaries: readonly RunSummary[],
  source: Source,
): Promise<number | null> {
  const files = summaries.filter((_, i) => links[i].isDistilled).map(({ file }) => file);
  if (source.test === null || files.length < 2) return null;
  const networks = await Networks.open({ student: config.student });
  const generations: Module[] = [];
  for (const file of files) generations.push(await networks.read(file, "student", { quiet: true }, source));
  const average = hasTargets(source.test) ? "logits" : "probabilities";
  return mainMetric(source.test, evaluate(new Ensemble(generations, { average }), source.test));
}

async function dryRunChain(
  { config, userOptions }: DistillSettings,
  links: readonly Link[],
  flags: TrainingFlags & LoadFlags,
): Promise<void> {
  const networks = await Networks.open(userOptions);
  const source = await setUp(withoutTeacherColumn(config), undefined, flags);
  const first = await networks.teacherOf(config, flags, source);
  const common = { data: source.train(), validation: source.validation ?? undefined };
  const unsmoothed = await expectFitting({ config, userOptions }, links, flags);
  const planned: PlannedRun[] = [];
  let student: Module | null = null;
  for (const [link, ...more] of alike(links)) {
    const { name, isDistilled } = link;
    const teacher: Module | Teacher | null = student ?? first;
    student = await madeFor(link, config, source, flags);
    const smoothing = unsmoothed.includes(link) && { labelSmoothing: 0 };
    const use = { student, teacher, data: common.data };
    const input =
      isDistilled && teacher !== null
        ? {
            ...distillationOptions(config),
            teacherMode: await teacherModeOf(config, userOptions, use),
            ...smoothing,
            ...common,
            teacher,
            student,
          }
        : { ...trainingOptions(config), ...common, model: student };
    const last = more.at(-1);
    planned.push({ name: last ? `${name} to ${last.name}` : name, input, times: 1 + more.length });
  }
  const network = first instanceof Module ? first : null;
  await dryRun({ teacher: network, student }, planned, source, flags);
}

/**
 * Consecutive links whose student and teacher are the same networks, both trained by the command, as those of
 * generations: what fits one of them fits all, and takes as long.
 */
function alike(links: readonly Link[]): [Link, ...Link[]][] {
  const groups: [Link, ...Link[]][] = [];
  for (const [i, link] of links.entries()) {
    const isAlike = i >= 2 && [1, 2].every((back) => links[i - back].network === link.network);
    if (isAlike) groups.at(-1)?.push(link);
    else groups.push([link]);
  }
  return groups;
}

function madeFor(link: Link, config: ResolvedConfig<"distill">, source: Source, flags: object): Promise<Module> {
  const context = link.isDistilled ? studentContext(config, source) : source.context;
  return underLink(link, flags, async () => (await Networks.open({ student: link.network })).make("student", context));
}

/** Runs `body`, whose refusals name the link of a chain, since no flag gave its network. */
async function underLink<T>({ name }: Link, flags: object, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (thrown) {
    const error = byFlag(thrown, flags);
    if (!(error instanceof DistilleryError) || !name.startsWith("link")) throw error;
    const { code, message } = error;
    const text = `--chain: ${name.replace("-", " ")}: ${message.replace(/^--student: /, "")}`;
    throw code === "BAD_ARGUMENT"
      ? new UsageError(text, { cause: error })
      : new DistilleryError(code, text, { cause: error });
  }
}
