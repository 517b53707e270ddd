export { type AugmentOptions, augment } from "./augment.js";
export { collect, type Sample } from "./collect.js";
export { DataLoader, type DataLoaderOptions } from "./data_loader.js";
export type { Batch, Dataset, ImageLayout, TableColumn, TableLayout } from "./dataset.js";
export type { Epoch } from "./epoch.js";
export { type DataSets, type LoadDataOptions, loadData } from "./formats/load_data.js";
export { type ImageSets, loadImages } from "./formats/load_images.js";
export type { PictureOptions } from "./formats/pictures.js";
export type { TableOptions } from "./formats/table_header.js";
export { ImageDataset, type ImageDatasetOptions, type ImageSize } from "./image_dataset.js";
export type { Cell } from "./inputs/cells.js";
export { readInputDescription } from "./inputs/input_description.js";
export {
  describeInputs,
  encodeInputs,
  type ImageInputs,
  INPUTS_KEY,
  type InputClasses,
  type InputDescription,
  inputFeatures,
  type TableInputs,
  type TableRow,
  type ValueInputs,
} from "./inputs/inputs.js";
export { type FileInputs, readInputs } from "./inputs/read_inputs.js";
export type { DownloadOptions, DownloadProgress } from "./known/download.js";
export { downloadData } from "./known/download_data.js";
export { type FoundData, findData, KNOWN_DATA } from "./known/find_data.js";
export { type ListedData, listData } from "./known/list_data.js";
export type { DatasetOptions } from "./labelled_dataset.js";
export { labelsOf } from "./labels_of.js";
export type { Normalisation } from "./normalisation.js";
export { type SplitOptions, splitDataset, stratify } from "./split.js";
export { openStreamed, type StreamedFiles, type StreamOptions } from "./streamed/open_streamed.js";
export { StreamedDataset } from "./streamed/streamed_dataset.js";
export { Subset } from "./subset.js";
export { type SyntheticOptions, synthetic } from "./synthetic.js";
export { TableDataset } from "./table_dataset.js";
export { TensorDataset } from "./tensor_dataset.js";
