import * as v from "valibot";
import { expectOptions } from "../checks.js";
import { sides } from "../data/load_options.js";
import { expected, finite, integer, issuesError, issuesOf, list, path, positive, text } from "../registry/index.js";

/** The options of a teacher that was trained elsewhere, with their defaults. They are defined only here. */
export const teacherSchema = v.strictObject({
  /**
   * The names of the classes in the order of the teacher's outputs; default: what its file says, or the data's order.
   */
  teacherClasses: v.optional(list(text("a class's name"), "a list of class names")),
  /** Of an ONNX network: the name of its input; default: the only one, or the one that samples fit. */
  teacherInput: v.optional(text("a name")),
  /** Of an ONNX network: the name of its output; default: the only one, or the one with a number for each class. */
  teacherOutput: v.optional(text("a name")),
  /** Of an ONNX network: what pixels / 255, or a table's numbers, are normalised with; default: as for the student. */
  teacherMean: v.optional(list(finite(), "a list of numbers")),
  teacherStd: v.optional(list(positive(), "a list of numbers above 0")),
  /** Of an ONNX network: rows and columns, or one number for both, that images are resized to; default: as they are. */
  teacherSize: v.optional(sides()),
  /** Of a function: how many batches it is asked about at the same time. */
  teacherConcurrency: v.optional(integer(1, 1024)),
  /** Of a function: how often a batch is asked for again after an error. */
  teacherRetries: v.optional(integer(0)),
  /** Of a function: the samples that it is asked about at once. */
  teacherBatch: v.optional(integer(1)),
  /**
   * Of a function: the folder that answers are kept in; default: `teacher_answers` in the run's folder. False: it is
   * asked at each step.
   */
  teacherAnswers: v.optional(v.union([v.literal(false), path("a folder")], expected("a folder, or false"))),
});

const { teacherInput, teacherOutput, teacherMean, teacherStd, teacherSize } = teacherSchema.entries;
/** The same of an ONNX network, under the names of a program. */
const onnxSchema = v.strictObject({
  input: teacherInput,
  output: teacherOutput,
  mean: teacherMean,
  std: teacherStd,
  size: teacherSize,
});

/** Refuses options of an ONNX network that are of no use, with every mistake. */
export function expectOnnxOptions(options: v.InferInput<typeof onnxSchema>): void {
  const issues = issuesOf(onnxSchema, options);
  if (issues.length > 0) throw issuesError(issues);
}

/** The options of {@link openTeacher}; those of another kind than the teacher's are refused. */
export interface TeacherOptions extends Readonly<v.InferInput<typeof teacherSchema>> {}
type Name = keyof TeacherOptions;

/** The options of {@link TeacherOptions} that are given, by their names. */
export function givenOptions(options: TeacherOptions): Name[] {
  return (Object.keys(teacherSchema.entries) as Name[]).filter((name) => options[name] !== undefined);
}

/** The options with their defaults; `BAD_ARGUMENT` that lists every mistake. */
export function resolveTeacherOptions(options: TeacherOptions): v.InferOutput<typeof teacherSchema> {
  expectOptions("openTeacher", options, Object.keys(teacherSchema.entries));
  const issues = issuesOf(teacherSchema, options);
  if (issues.length === 0) return v.parse(teacherSchema, options);
  throw issuesError(issues);
}
