/** What compiles for a user with declarations and strict options: blocks.test.ts compiles it against the package. */

import type { Dataset, ImageDataset, LossFunction, Module } from "distillery";
import * as distillery from "distillery";

declare const network: Module;
declare const data: Dataset;
declare const images: ImageDataset;

// TypeScript names the types of what is exported.
export const everything = { ...distillery };
export const teacher = distillery.live(network);
export const entry = distillery.MODELS.get("mlp");
export const { selection } = new distillery.Subset(data, new Int32Array(1));
export const label = data.table?.label;
export const firstRunning = ({ running }: distillery.ExperimentProgress) => running[0];
export const open = distillery.FORMATS[0]?.open("data.csv", {} as never);
export const loss: LossFunction = ({ student, teacher }) => student.logits.sub(teacher.logits).pow(2).mean();

// The library's own lists are options.
export const opened = () =>
  data.classNames && distillery.openTeacher("teacher.onnx", { teacherClasses: data.classNames, teacherMean: [0.5] });
export const loaded = () => distillery.loadData("images", { mean: images.mean, std: images.std });
const columns = ["width", "height"] as const;
export const table = () => distillery.loadData("data.csv", { labelColumns: columns, dropColumns: columns });
export const swept = () => distillery.defineConfig("sweep", { temperatures: [2, 4] as const, teacher: columns });

// Callbacks may be asynchronous, or give something that nobody reads.
const notes: string[] = [];
export const run = () =>
  distillery.distill({
    teacher: network,
    student: network,
    data,
    onStep: async () => {},
    onNote: (text) => notes.push(text),
  });

// Evaluations of which a result does not tell the task are told apart by their figures.
export const figureOf = ({ baseline }: distillery.CompareResult): number => {
  const [first] = baseline.evaluations;
  if (first === undefined) return 0;
  if ("accuracy" in first) return first.calibration.error;
  return "r2" in first ? first.rmse : first.loss;
};
