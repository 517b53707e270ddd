export { badCheckpoint } from "./bad_checkpoint.js";
export { type CheckpointSummary, inspectCheckpoint, load } from "./load.js";
export { type RunConfig, RunDirectory } from "./run_directory.js";
export { decodeSafetensors, encodeSafetensors, type Safetensors } from "./safetensors.js";
export { type SaveOptions, save } from "./save.js";
export type { StoredDtype } from "./stored_types.js";
