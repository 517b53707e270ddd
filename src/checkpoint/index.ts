export { badCheckpoint } from "./bad_checkpoint.js";
export { CheckpointFiles, type FoundCheckpoint } from "./checkpoint_files.js";
export type { CheckpointDict, CheckpointValue } from "./checkpoint_value.js";
export type { RunConfig } from "./config_changes.js";
export { fingerprint } from "./fingerprint.js";
export { countTestEvaluation, expectLastLonger, expectReplaceable, expectResumable } from "./folder_config.js";
export { isRecent, type LifeSign, lifeSign, readFresh } from "./folder_lock.js";
export {
  type CheckpointSummary,
  inspectCheckpoint,
  type LoadCheckpointOptions,
  type LoadOptions,
  load,
  loadCheckpoint,
  type ReadOptions,
} from "./load.js";
export {
  type LoadNetworkOptions,
  loadNetwork,
  modelMetadata,
  type NetworkFile,
  openNetwork,
  readPreprocessing,
} from "./load_network.js";
export { isInReplacedRun, removeReplacedExperiment, removeReplacedLinks, STUDENT_FILE, weightsOf } from "./replaced.js";
export { RunDirectory } from "./run_directory.js";
export { expectFreeFolder, isFileOfRun, lockFolder, withLockedFolder } from "./run_folder.js";
export {
  decodeSafetensors,
  openSafetensors,
  type Safetensors,
  safetensorsBytes,
} from "./safetensors.js";
export { encodeSafetensors, type SaveOptions, save, saveCheckpoint } from "./save.js";
export type { StoredDtype } from "./stored_types.js";
