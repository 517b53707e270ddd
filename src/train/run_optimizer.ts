import { argumentError, badArgument } from "../checks.js";
import type { Module } from "../nn/module.js";
import { OPTIMIZERS, type OptimizerContext } from "../optim/index.js";
import type { LRScheduler } from "../optim/lr_scheduler.js";
import { OneCycleLR } from "../optim/one_cycle_lr.js";
import { Optimizer } from "../optim/optimizer.js";
import { isModulePath, parseExpression, type UserModules } from "../registry/index.js";
import type { ResolvedTraining } from "./options.js";

type OptimizerOption = ResolvedTraining["optimizer"];

/**
 * The optimizer that the option names or makes; `BAD_ARGUMENT` if it updates parameters that are not the run's, or
 * leaves out those of the loss's modules.
 */
export function createOptimizer(
  option: OptimizerOption,
  context: OptimizerContext,
  modules: UserModules,
  lossModules: Readonly<Record<string, Module>>,
): Optimizer {
  const optimizer =
    typeof option === "function"
      ? ownOptimizer(option, context)
      : OPTIMIZERS.resolve(option, context, { argument: "optimizer", modules });
  const moved = new Set(optimizer.parameters);
  for (const [name, module] of Object.entries(lossModules)) {
    if (module.parameters().every((parameter) => !parameter.requiresGrad || moved.has(parameter))) continue;
    const text = `does not move the parameters of ${name}, a module of the loss: make it of all that the function gets`;
    throw argumentError("optimizer", text);
  }
  return optimizer;
}

/**
 * Refuses a momentum, or first beta, that differs from its default if the schedule replaces it from the first step on.
 */
export function expectMomentum(
  option: Exclude<OptimizerOption, (...args: never[]) => unknown>,
  scheduler: LRScheduler,
): void {
  if (!(scheduler instanceof OneCycleLR) || !scheduler.movesMomentum) return;
  const [{ name }] = parseExpression(option, "optimizer");
  if (isModulePath(name)) return;
  const [given, plain] = [option, name].map((one) => parseExpression(OPTIMIZERS.canonical(one))[0].args);
  const first = (value: unknown) => (Array.isArray(value) ? value[0] : value);
  const replaced = ["momentum", "betas"].find((argument) => first(given[argument]) !== first(plain[argument]));
  if (replaced === undefined) return;
  const text = `${replaced}: the schedule one-cycle replaces it from the first step on`;
  const advice = 'take another schedule, such as cosine, or "one-cycle(cycleMomentum=false)"';
  throw argumentError("optimizer", `${text}: ${advice}`);
}

function ownOptimizer(option: Extract<OptimizerOption, (...args: never[]) => unknown>, context: OptimizerContext) {
  const optimizer = option(context.params);
  if (!(optimizer instanceof Optimizer)) {
    throw badArgument("optimizer", "a function that returns an Optimizer", optimizer);
  }
  const own = new Set(context.params);
  if (optimizer.paramGroups.some(({ params }) => params.some((parameter) => !own.has(parameter)))) {
    throw argumentError("optimizer", "expected parameters of the student or of the loss's modules, got others");
  }
  return optimizer;
}

/**
 * An optimizer as stored in `config.json`: its expression with every option written out, or the class and the options
 * of each of its groups.
 */
export function describeOptimizer(option: OptimizerOption, optimizer: Optimizer): string {
  if (typeof option !== "function") return OPTIMIZERS.canonical(option, { argument: "optimizer" });
  const groups = optimizer.paramGroups.map(({ params, ...options }) => ({ ...options, parameters: params.length }));
  return `${optimizer.constructor.name} ${JSON.stringify(groups)}`;
}
