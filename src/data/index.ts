export { type AugmentOptions, augment } from "./augment.js";
export type {
  Batch,
  Dataset,
  ImageLayout,
  LabelColumn,
  NumberColumn,
  TableColumn,
  TableLayout,
  TextColumn,
  ValueLayout,
} from "./dataset.js";
export type {
  CellRecords,
  FileSamples,
  Folder,
  Format,
  OpenOptions,
  PairReader,
  SampleOptions,
  SampleReader,
} from "./formats/format.js";
export { FORMATS, FORMATS_HELP, readSamples, SAMPLES_HELP } from "./formats/index.js";
export { fromIterable, type Sample } from "./from_iterable.js";
export { type DownloadOptions, type DownloadProgress, downloadData } from "./hub/download.js";
export { DATASET_NAMES, type FoundData, findData, type ListedData, listData } from "./hub/locate.js";
export { ImageDataset, type ImageDatasetOptions, type ImageSize } from "./image_dataset.js";
export { labelsOf } from "./labels.js";
export { type DataSets, type ImageSets, loadData, loadImages } from "./load_data.js";
export type { FormatOption, ImageOptions, LoadDataOptions, TableOptions } from "./load_options.js";
export { DataLoader, type DataLoaderOptions, type EpochBatches } from "./loader.js";
export { openStreamed, type StreamedFiles, type StreamOptions } from "./open_streamed.js";
export { type Cell, encodeSamples, type SamplesFor } from "./preprocessing/encode.js";
export {
  type ClassSpec,
  type ImagePreprocessing,
  inputFeatures,
  PREPROCESSING_KEY,
  type Preprocessing,
  parsePreprocessing,
  preprocessingOf,
  type TablePreprocessing,
  type TableRow,
  type ValuePreprocessing,
} from "./preprocessing/spec.js";
export type { RawData } from "./raw_data.js";
export { type Selection, type SplitOptions, Subset, splitDataset, stratify } from "./split.js";
export type { Normalisation } from "./statistics.js";
export { StreamedDataset } from "./streamed_dataset.js";
export type { GivenLabels } from "./targets.js";
export type { TaskName } from "./task_name.js";
export {
  type DatasetOptions,
  StandardizedDataset,
  type SyntheticOptions,
  synthetic,
  TableDataset,
  TensorDataset,
} from "./tensor_dataset.js";
