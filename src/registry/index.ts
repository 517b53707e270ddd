export { suggestion } from "../checks.js";
export {
  type Expression,
  formatExpression,
  isWeight,
  parseExpression,
  type StructuredTerm,
  splitExpressions,
} from "./expression.js";
export { type Issue, issuesError, issuesOf, type ObjectSchema } from "./issues.js";
export { isModulePath, NUMBER, type Term, type Weight } from "./parser.js";
export {
  defineEntry,
  type Entry,
  type OptionHelp,
  type OptionSchemas,
  type OptionsOf,
  Registry,
  type ResolveOptions,
} from "./registry.js";
export * from "./schema.js";
export { importModules, moduleHashes, rebaseModules, type UserModules } from "./user_module.js";
