import { Command } from "commander";
import { type SweepResult, sweep, sweepCaveats, sweepShare, sweepSummary } from "../compare/index.js";
import { sweepTrials } from "../compare/sweep.js";
import { SCHEMAS } from "../config/index.js";
import { sweepReport } from "../report/index.js";
import { epochKey, metricsOf, showChange, showMetric, testKey } from "../tasks/metrics.js";
import { type ExperimentFlags, runExperimentCommand } from "./experiment.js";
import { REAL_DATA } from "./flag_table.js";
import { addLoading, addOptions, givenFlags } from "./flags.js";
import { configured, type Settings } from "./settings.js";
import { addExperiment } from "./share.js";
import { formatTable } from "./table.js";

/** `distillery sweep`. */
export function makeCommand(): Command {
  const command = new Command("sweep").description(
    "find the best temperature and alpha: train a student for each pair, and choose on the validation set",
  );
  addLoading(addExperiment(addOptions(command, SCHEMAS.sweep, REAL_DATA)));
  return command.action(() => configured("sweep", runSweep)(givenFlags(command)));
}

/** Tries every temperature with every alpha: prints a line per run, and the grid and the best point at the end. */
function runSweep({ config, userOptions }: Settings<"sweep">, flags: ExperimentFlags): Promise<void> {
  const { loss, calibrateTeacher } = config;
  return runExperimentCommand({ config, userOptions }, flags, {
    // Only the lists that were given: the loss may lack the other argument.
    options: { temperatures: userOptions.temperatures, alphas: userOptions.alphas, calibrateTeacher },
    // The values that are swept do not affect times.
    trials: async (input) => (await sweepTrials(input)).map((trial) => ({ ...trial, loss: loss ?? null })),
    run: sweep,
    runShare: sweepShare,
    report: sweepReport,
    studentFile: ({ best }) => best.file,
    end: endOf,
  });
}

function endOf(result: SweepResult): [object: object, lines: string[]] {
  const answer = sweepSummary(result);
  const points = result.points.map(({ history: _, ...point }) => point);
  const { history: _, evaluation, ...best } = result.best;
  const [metric] = metricsOf(result.data);
  const object = { answer, best: { ...best, [testKey(metric)]: metric.of(evaluation) }, points };
  return [object, ["", table(result), "", answer, ...sweepCaveats(result)]];
}

/** The validation metric, with a row per temperature and a column per alpha. */
function table({ data, seeds, temperatures, alphas, points, best, swept }: SweepResult): string {
  const [metric] = metricsOf(data);
  const name = epochKey(metric);
  const cell = (temperature: number, alpha: number) => {
    const point = points.find((one) => one.temperature === temperature && one.alpha === alpha);
    const mark = temperature === best.temperature && alpha === best.alpha ? "*" : " ";
    if (point === undefined) return "";
    const { spread } = point;
    return `${showMetric(metric, point[name])}${spread ? ` ± ${showChange(metric, spread.figure.std)}` : ""}${mark}`;
  };
  // An argument that the loss does not read has no heading.
  const head = (name: "temperature" | "alpha", value: number) =>
    swept?.includes(name) === false ? "" : `${name} ${value}`;
  return formatTable([
    [
      `validation ${metric.label}${seeds.length < 2 ? "" : `, mean and sd of ${seeds.length}`}`,
      ...alphas.map((alpha) => `${head("alpha", alpha)} `),
    ],
    ...temperatures.map((temperature) => [
      head("temperature", temperature),
      ...alphas.map((alpha) => cell(temperature, alpha)),
    ]),
  ]);
}
