export { checkOptions, defineConfig, readConfig, readGiven, type Settled, settle } from "./config.js";
export { aboutRun, distillationOptions, trainingOptions } from "./parts.js";
export {
  type CompareConfig,
  type ConfigName,
  type ConfigOf,
  type DistillConfig,
  type RunName,
  SCHEMAS,
  type SweepConfig,
  sourceSchema,
  type TrainTeacherConfig,
} from "./schemas.js";
