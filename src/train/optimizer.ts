import { badArgument } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { OPTIMIZERS, type OptimizerContext } from "../optim/index.js";
import { Optimizer } from "../optim/optimizer.js";
import type { UserModules } from "../registry/index.js";
import type { ResolvedTraining } from "./options.js";

type OptimizerOption = ResolvedTraining["optimizer"];

/** The optimizer that the option names or makes; `BAD_ARGUMENT` if it moves parameters that are not the run's. */
export function createOptimizer(option: OptimizerOption, context: OptimizerContext, modules: UserModules): Optimizer {
  if (typeof option !== "function") return OPTIMIZERS.resolve(option, context, { argument: "optimizer", modules });
  const optimizer = option(context.params);
  if (!(optimizer instanceof Optimizer)) {
    throw badArgument("optimizer", "a function that returns an Optimizer", optimizer);
  }
  const own = new Set(context.params);
  if (optimizer.paramGroups.some(({ params }) => params.some((parameter) => !own.has(parameter)))) {
    throw new DistilleryError(
      "BAD_ARGUMENT",
      "optimizer: expected parameters of the student or of the loss's modules, got others",
    );
  }
  return optimizer;
}

/** An optimizer as `config.json` keeps it: its expression with every option written out, or the class and the options of each of its groups. */
export function describeOptimizer(option: OptimizerOption, optimizer: Optimizer): string {
  if (typeof option !== "function") return OPTIMIZERS.canonical(option, { argument: "optimizer" });
  const groups = optimizer.paramGroups.map(({ params, ...options }) => ({ ...options, parameters: params.length }));
  return `${optimizer.constructor.name} ${JSON.stringify(groups)}`;
}
