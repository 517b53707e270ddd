import { dirname, join } from "node:path";
import { types } from "node:util";
import type { InferenceSession, TypedTensor } from "onnxruntime-common";
import { show, showList } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import { expectUnrounded, standardized } from "../data/targets.js";
import { encodedTexts } from "../data/text/encodings.js";
import { DistilleryError } from "../errors.js";
import { importRuntime } from "../export/import_runtime.js";
import type { OnnxRecord } from "../export/onnx_record.js";
import { badData, hashFile } from "../files/index.js";
import { slices } from "../slices.js";
import { fromFloat16 } from "../tensor/float16.js";
import { numel } from "../tensor/shape.js";
import { getNumThreads } from "../threads.js";
import { columnsOf } from "./class_columns.js";
import { type InputPlan, planColumns, planIds, planInputs, type TeacherInputs } from "./onnx_inputs.js";
import { type RecordedUse, recordedUse } from "./onnx_recorded.js";
import { expectFiniteLogits } from "./sample_logits.js";

type Numbers = ReturnType<InputPlan["convert"]>;
type MakeTensor = (data: Numbers, dims: readonly number[]) => TypedTensor<"float32" | "float64" | "uint8">;

/** How a network is used. */
interface OnnxUse {
  readonly input?: string | undefined;
  readonly output?: string | undefined;
  readonly inputs: TeacherInputs;
  /** The names of the classes in the order of its outputs. */
  readonly classes?: readonly string[] | undefined;
}

/** A network set up for some data. */
export interface OnnxSetting {
  readonly data: Dataset;
  readonly input: string;
  readonly output: string;
  /** The number of rows that it takes; null: any. */
  readonly rows: number | null;
  readonly plan: InputPlan;
  readonly encoding: RecordedUse["encoding"];
  /** The number of its outputs, and the index of each of the data's classes among them; null: the order is the same. */
  readonly outputs: number;
  readonly classes: Int32Array | null;
}

/** A network in an ONNX file, run by ONNX Runtime. */
export class OnnxNetwork {
  private constructor(
    private readonly file: string,
    private readonly session: InferenceSession,
    private readonly makeTensor: MakeTensor,
    private readonly use: OnnxUse,
    /** The record in a file that Distillery wrote. */
    readonly record: OnnxRecord | null,
    /** SHA-256 in hex over the file, and over the files beside it that contain its weights. */
    readonly hashes: readonly string[],
  ) {}

  /** Opens a file; the errors are those of `onnxTeacher`. */
  static async open(file: string, bytes: Uint8Array, use: OnnxUse): Promise<OnnxNetwork> {
    const runtime = await importRuntime();
    if (runtime === null) {
      throw new DistilleryError("BAD_ARGUMENT", `${file}: needs ONNX Runtime: npm install onnxruntime-node`);
    }
    const options = { intraOpNumThreads: getNumThreads(), logSeverityLevel: 4 } as const;
    const session = await runtime.InferenceSession.create(file, options).catch((error: unknown) => {
      throw badData(file, `is no ONNX file that ONNX Runtime reads: ${lineOf(error)}`, error);
    });
    const makeTensor: MakeTensor = (data, dims) => new runtime.Tensor(...tensorOf(data, dims));
    // Loaded late: it loads the protobuf reader.
    const { externalFilesOf, onnxRecordOf } = await import("../export/onnx_record.js");
    const files = [file, ...externalFilesOf(bytes).map((name) => join(dirname(file), name))];
    const hashes = await Promise.all(files.map(hashFile));
    return new OnnxNetwork(file, session, makeTensor, use, onnxRecordOf(bytes, file), hashes);
  }

  /** How it takes the samples of some data. */
  settingFor(data: Dataset): OnnxSetting {
    const { session, use, record, file } = this;
    expectUnrounded(file, data);
    const recorded: RecordedUse =
      record === null
        ? {
            inputs: use.inputs,
            outputs: use.classes?.length ?? data.classes,
            classes: columnsOf(file, use.classes, data),
            encoding: null,
          }
        : recordedUse(record, file, data, use);
    const { outputs: width, classes, encoding } = recorded;
    const [inputs, outputs] = [session.inputMetadata, session.outputMetadata].map((values) => values.map(valueFrom));
    const [input, plan] = this.#inputOf(inputs, data, recorded);
    const isFitting = ({ shape, type }: Value) => {
      // An open length has a name or none.
      const lengths = shape.slice(1).map(Number);
      const isOpen = shape.length === 0 || !lengths.every((length) => length > 0);
      return FLOATS.includes(type) && (isOpen || numel(lengths) === width);
    };
    const output = this.#pick("output", outputs, use.output, isFitting, `a number for each of the ${width} classes`);
    if (!FLOATS.includes(output.type)) {
      const text = `expected an output of ${FLOATS.join(", ")}, got ${output.type} of ${show(output.name)}`;
      throw new DistilleryError("BAD_ARGUMENT", `${file}: ${text}`);
    }
    const [rows] = input.shape;
    const fixed = typeof rows === "number" && rows > 0 ? rows : null;
    return { data, input: input.name, output: output.name, rows: fixed, plan, encoding, outputs: width, classes };
  }

  #inputOf(
    inputs: readonly Value[],
    data: Dataset,
    { inputs: given, columns, encoding }: RecordedUse,
  ): [Value, InputPlan] {
    if (given.size !== undefined && data.image === undefined) {
      const text = `size (--teacher-size): resizes images, and ${data.name} has none: leave it out`;
      throw new DistilleryError("BAD_ARGUMENT", `${this.file}: ${text}`);
    }
    // An input of any rank takes samples as they are.
    const own = (data.shape ?? [data.features]).map(() => "any");
    const plan = ({ shape, type }: Value) => {
      const spec = { name: this.file, shape: shape.length === 0 ? own : shape.slice(1), type };
      if (encoding !== null) return planIds(spec, data, encoding.length);
      return columns === undefined ? planInputs(spec, data, given) : planColumns(spec, data, columns);
    };
    const isFitting = (value: Value) => {
      try {
        return plan(value) !== null;
      } catch {
        return false;
      }
    };
    const input = this.#pick("input", inputs, this.use.input, isFitting, `samples of ${data.name}`);
    const { mean, std } = this.use.inputs;
    if (input.type === "uint8" && (mean ?? std) !== undefined) {
      const text = "mean, std (--teacher-mean, --teacher-std): its input takes pixels in bytes: leave them out";
      throw new DistilleryError("BAD_ARGUMENT", `${this.file}: ${text}`);
    }
    return [input, plan(input)];
  }

  /** The value with a name; the only one; or the only one that fits. */
  #pick(
    kind: "input" | "output",
    values: readonly Value[],
    name: string | undefined,
    fits: (value: Value) => boolean,
    what: string,
  ): Value {
    const named = values.find((value) => value.name === name);
    if (named !== undefined) return named;
    const has = `it has ${showList(values.map((value) => value.name)) || "none"}`;
    if (name !== undefined) {
      throw new DistilleryError("BAD_ARGUMENT", `${this.file}: has no ${kind} ${JSON.stringify(name)}: ${has}`);
    }
    const fitting = values.length === 1 ? values : values.filter(fits);
    if (fitting.length === 1) return fitting[0];
    const which = fitting.length === 0 ? `none of its ${kind}s fits` : `several of its ${kind}s fit`;
    const option = kind === "input" ? "teacherInput (--teacher-input)" : "teacherOutput (--teacher-output)";
    throw new DistilleryError("BAD_ARGUMENT", `${this.file}: ${which} ${what}: ${has}: name one by ${option}`);
  }

  /** The logits [rows, classes] of samples. */
  async run(setting: OnnxSetting, batch: Batch): Promise<Float32Array> {
    const { plan, encoding, rows: fixed, data, outputs, classes } = setting;
    const inputs = encoding === null ? batch.inputs : encodedTexts(encoding, batch);
    const rows = inputs.shape[0];
    const values = plan.convert(inputs.data, rows);
    const step = fixed ?? rows;
    const given = new Float32Array(rows * outputs);
    for (const [start, end] of slices(rows, step)) {
      given.set(await this.#runOnce(setting, values, start, end - start, step), start * outputs);
    }
    const logits = classes === null ? given : inOrder(given, outputs, classes);
    expectFiniteLogits(this.file, logits, data.classes, batch.indices);
    // Values of a regression come in the unit of their columns.
    return standardized(logits, data.targetScale);
  }

  async #runOnce(
    { plan, input, output, data, outputs }: OnnxSetting,
    values: Numbers,
    start: number,
    count: number,
    rows: number,
  ): Promise<Float32Array> {
    const width = numel(plan.shape);
    let own = values.subarray(start * width, (start + count) * width);
    if (count < rows) {
      // For a fixed batch size, the last row is repeated.
      const padded = new (values.constructor as Float32ArrayConstructor)(rows * width);
      padded.set(own);
      for (let row = count; row < rows; row++) padded.copyWithin(row * width, (count - 1) * width, count * width);
      own = padded;
    }
    const result = await this.session
      .run({ [input]: this.makeTensor(own, [rows, ...plan.shape]) }, [output])
      .catch((error: unknown) => {
        throw new DistilleryError("BAD_ARGUMENT", `${this.file}: ONNX Runtime can't run it: ${lineOf(error)}`, {
          cause: error,
        });
      });
    const { data: numbers, dims } = result[output];
    if (dims[0] !== rows || numel(dims) !== rows * outputs) {
      const text = `expected an output of [${rows}, ${outputs}] for ${data.name}, got [${dims.join(", ")}] of ${JSON.stringify(output)}`;
      throw new DistilleryError("BAD_ARGUMENT", `${this.file}: ${text}`);
    }
    return toFloat32(numbers as ArrayLike<number>).subarray(0, count * outputs);
  }
}

/** The logits of the classes at these places of each row. */
function inOrder(given: Float32Array, outputs: number, places: Int32Array): Float32Array {
  const classes = places.length;
  const logits = new Float32Array((given.length / outputs) * classes);
  for (let i = 0; i < logits.length; i++) logits[i] = given[Math.floor(i / classes) * outputs + places[i % classes]];
  return logits;
}

/** The types of outputs that are logits. */
const FLOATS = ["float32", "float64", "float16"];

/** An input or output of a network. */
interface Value {
  readonly name: string;
  readonly type: string;
  /** Of no length: of any rank. */
  readonly shape: readonly (number | string)[];
}

function valueFrom(value: InferenceSession.ValueMetadata): Value {
  return value.isTensor ? value : { name: value.name, type: "no tensor", shape: [] };
}

function tensorOf(
  data: Numbers,
  dims: readonly number[],
): [type: "float32", data: Float32Array, dims: readonly number[]] {
  const type = types.isUint8Array(data) ? "uint8" : types.isFloat64Array(data) ? "float64" : "float32";
  return [type as "float32", data as Float32Array, dims];
}

function toFloat32(numbers: ArrayLike<number>): Float32Array {
  if (numbers instanceof Float32Array) return numbers;
  return types.isUint16Array(numbers) ? fromFloat16(numbers) : Float32Array.from(numbers);
}

/** What ONNX Runtime says, in a line. */
function lineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ").trim().slice(0, 300);
}
