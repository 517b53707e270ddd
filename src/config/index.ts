export {
  defineConfig,
  distillationOptions,
  parseOptions,
  type ResolvedConfig,
  resolveConfig,
  runMetadata,
  teacherOptions,
  trainingOptions,
} from "./define_config.js";
export { readConfig, readUserOptions } from "./read_config.js";
export {
  type CompareConfig,
  type ConfigName,
  type ConfigOf,
  type DistillConfig,
  dataSchema,
  evaluateSchema,
  type MutualConfig,
  type RunName,
  SCHEMAS,
  type SweepConfig,
  serveSchema,
  type TrainTeacherConfig,
} from "./schemas.js";
