export type { RawSample } from "../data/preprocessing/encode.js";
export { averaged } from "./averaged.js";
export { cached } from "./cached.js";
export { type EmaTeacherOptions, emaTeacher } from "./ema.js";
export { frozen } from "./frozen.js";
export {
  type FunctionTeacherOptions,
  functionTeacher,
  type TeacherAnswer,
  type TeacherBatch,
  type TeacherFunction,
} from "./function_teacher.js";
export { live, type NetworkTeacher, type NetworkTeacherOptions } from "./live.js";
export { type LogitsColumnOptions, logitsColumn } from "./logits_column.js";
export { type LogitsFileOptions, logitsFile } from "./logits_file.js";
export { type OnnxTeacherOptions, onnxTeacher } from "./onnx_teacher.js";
export { type OpenTeacherUse, openTeacher, openTeachers } from "./open_teacher.js";
export type { TeacherOptions } from "./options.js";
export { prefetch, type TaughtBatch } from "./prefetch.js";
export type { RetryOptions } from "./retry.js";
export { hashOfTeacher, type PreparedRun, type Teacher, type TeacherRun } from "./teacher.js";
export { TeacherCache } from "./teacher_cache.js";
export { type LogitsDtype, type WriteLogitsOptions, type WrittenLogits, writeLogits } from "./write_logits.js";
