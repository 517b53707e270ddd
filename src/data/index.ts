export { type AugmentOptions, augment } from "./augment.js";
export type { Cell } from "./cells.js";
export { collect, type Sample } from "./collect.js";
export { DataLoader, type DataLoaderOptions } from "./data_loader.js";
export type { Batch, Dataset, ImageLayout, TableColumn, TableLayout } from "./dataset.js";
export type { DownloadOptions, DownloadProgress } from "./download.js";
export { downloadData } from "./download_data.js";
export type { Epoch } from "./epoch.js";
export { type FoundData, findData, KNOWN_DATA } from "./find_data.js";
export { ImageDataset, type ImageDatasetOptions, type ImageSize } from "./image_dataset.js";
export { readInputDescription } from "./input_description.js";
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
} from "./inputs.js";
export type { DatasetOptions } from "./labelled_dataset.js";
export { labelsOf } from "./labels_of.js";
export { type ListedData, listData } from "./list_data.js";
export { type DataSets, type LoadDataOptions, loadData } from "./load_data.js";
export { type ImageSets, loadImages } from "./load_images.js";
export type { Normalisation } from "./normalisation.js";
export { openStreamed, type StreamedFiles, type StreamOptions } from "./open_streamed.js";
export type { PictureOptions } from "./pictures.js";
export { type FileInputs, readInputs } from "./read_inputs.js";
export { type SplitOptions, splitDataset, stratify } from "./split.js";
export { StreamedDataset } from "./streamed_dataset.js";
export { Subset } from "./subset.js";
export { type SyntheticOptions, synthetic } from "./synthetic.js";
export { TableDataset } from "./table_dataset.js";
export type { TableOptions } from "./table_header.js";
export { TensorDataset } from "./tensor_dataset.js";
