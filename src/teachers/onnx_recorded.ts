import type { Dataset } from "../data/index.js";
import { expectClassNames } from "../data/labels.js";
import { type Adaptation, adaptationOf } from "../data/preprocessing/adapt.js";
import { type Preprocessing, preprocessingOf } from "../data/preprocessing/spec.js";
import { expectTexts } from "../data/text/encodings.js";
import { DistilleryError } from "../errors.js";
import type { OnnxRecord } from "../export/onnx_record.js";
import { namesOf } from "./class_columns.js";
import type { TeacherInputs } from "./onnx_inputs.js";

/** How samples of some data are fed to a file that Distillery wrote, and how its outputs map to the data's classes. */
export interface RecordedUse {
  readonly inputs: TeacherInputs;
  /** For a table or for numbers: what they become; null: fed unchanged. Undefined: `inputs` decides. */
  readonly columns?: Adaptation["inputs"];
  /** How it encodes texts that the data have in another encoding; null: the ids are used. */
  readonly encoding: Adaptation["encoding"];
  /** The number of the network's classes. */
  readonly outputs: number;
  /** The place of each of the data's classes among them; null: they are the same. */
  readonly classes: Int32Array | null;
}

/**
 * The use that a file's record describes: columns and classes are matched by name, numbers are converted by both means
 * and deviations, as for a network in a `.safetensors` file. Options take precedence: a size, the names of the classes
 * and, except for the columns of a table, a mean and a deviation.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` that names the missing columns or classes; `BAD_ARGUMENT` for data that do
 * not keep the texts which it reads, and for a mean or deviation of a table's columns.
 */
export function recordedUse(
  record: OnnxRecord,
  file: string,
  data: Dataset,
  { inputs, classes: names }: { inputs: TeacherInputs; classes?: readonly string[] | undefined },
): RecordedUse {
  const { preprocessing, embedded } = record;
  const { classes } = preprocessing;
  const classNames = namesOf(file, preprocessing.classNames, names && expectClassNames(names, classes)) ?? null;
  const isImage = preprocessing.kind === "image" && data.image !== undefined;
  const isGiven = isImage ? inputs.size !== undefined : inputs.mean !== undefined || inputs.std !== undefined;
  if (isGiven && preprocessing.kind === "table") {
    const text =
      "mean, std (--teacher-mean, --teacher-std): the file says how the columns of a table go in: leave them out";
    throw new DistilleryError("BAD_ARGUMENT", `${file}: ${text}`);
  }
  const own: Preprocessing = isGiven
    ? { kind: "values", features: data.features, classes, classNames }
    : { ...preprocessing, classNames };
  const network = { spec: own, name: file, takesRaw: embedded };
  const adaptation = adaptationOf(network, { spec: preprocessingOf(data), name: data.name });
  const encoding = adaptation?.encoding ?? null;
  if (encoding !== null) expectTexts(data, file);
  const use = { outputs: classes, classes: adaptation?.classes ?? null, encoding };
  if (isImage) return { ...use, inputs: { ...statisticsOf(preprocessing, data), ...inputs } };
  return isGiven || data.image !== undefined
    ? { ...use, inputs }
    : { ...use, inputs, columns: adaptation?.inputs ?? null };
}

/** The normalisation of images; nothing if it equals that of the data. */
function statisticsOf(spec: Preprocessing, { image }: Dataset): Pick<TeacherInputs, "mean" | "std"> {
  if (spec.kind !== "image" || image === undefined) return {};
  const { mean, std } = spec;
  const isSame = JSON.stringify([mean, std]) === JSON.stringify([image.mean, image.std]);
  return isSame ? {} : { mean, std };
}
