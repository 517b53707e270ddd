export { suggestion } from "../checks.js";
export {
  type Expression,
  formatExpression,
  isModulePath,
  isWeight,
  NUMBER,
  parseExpression,
  type StructuredTerm,
  splitExpressions,
  type Term,
  type Weight,
} from "./expression.js";
export { type Issue, issuesError, issuesOf, type ObjectSchema } from "./issues.js";
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
