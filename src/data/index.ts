export { DataLoader, type DataLoaderOptions } from "./data_loader.js";
export type { Batch, Dataset, ImageLayout } from "./dataset.js";
export type { Epoch } from "./epoch.js";
export { ImageDataset, type ImageDatasetOptions } from "./image_dataset.js";
export type { DatasetOptions } from "./labelled_dataset.js";
export { type ImageSets, loadImages } from "./load_images.js";
export type { Normalisation } from "./normalisation.js";
export { type SyntheticOptions, synthetic } from "./synthetic.js";
export { TensorDataset } from "./tensor_dataset.js";
