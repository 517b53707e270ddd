export type { RunControls, StepRecord } from "./controls.js";
export { type DistillInput, distill, type RunResult, STUDENT_FILE } from "./distill.js";
export { type ClassReport, type Evaluation, evaluate } from "./evaluate.js";
export { measureLatency } from "./latency.js";
export type { DistillationOptions, TrainingOptions } from "./options.js";
export { TeacherCache } from "./teacher_cache.js";
export { type TrainTeacherInput, trainTeacher } from "./train_teacher.js";
