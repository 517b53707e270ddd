export { averaged } from "./averaged.js";
export { cached } from "./cached.js";
export { frozen } from "./frozen.js";
export { live, type NetworkTeacherOptions } from "./live.js";
export { prefetch, type TaughtBatch } from "./prefetch.js";
export type { Teacher, TeacherFunction } from "./teacher.js";
export { TeacherCache } from "./teacher_cache.js";
