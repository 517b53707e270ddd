import { extname } from "node:path";
import { loadNetwork, openSafetensors } from "../checkpoint/index.js";
import { badArgument, expectList, expectPath } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Module } from "../nn/module.js";
import { importModules, isModulePath, moduleHashes, Registry } from "../registry/index.js";
import { emaEntry } from "./ema.js";
import { functionTeacher, type TeacherFunction } from "./function_teacher.js";
import { logitsFile } from "./logits_file.js";
import { givenOptions, resolveTeacherOptions, type TeacherOptions } from "./options.js";
import { ARRAY_FILES, isLogits } from "./stored_arrays.js";
import { isTeacher, type Teacher } from "./teacher.js";

/** A kind of teacher that a file is. */
interface Kind {
  /** For errors. */
  readonly name: string;
  readonly takes: readonly (keyof TeacherOptions)[];
}

/** The teachers that have a name and no file. */
export const TEACHERS = new Registry<Teacher>("teacher", [emaEntry]);

const KINDS = {
  named: { name: "a teacher by its name", takes: [] },
  network: { name: "a network's weights", takes: [] },
  logits: { name: "a file of logits", takes: ["teacherClasses"] },
  onnx: {
    name: "an ONNX network",
    takes: ["teacherClasses", "teacherInput", "teacherOutput", "teacherMean", "teacherStd", "teacherSize"],
  },
  function: { name: "a module", takes: ["teacherConcurrency", "teacherRetries", "teacherBatch", "teacherAnswers"] },
} as const satisfies Record<string, Kind>;

/** How a program opens teachers. */
export interface OpenTeacherUse {
  /** Default: {@link loadNetwork}. */
  readNetwork?: (file: string) => Promise<Module>;
  /** What errors call an option; default: its name. */
  nameOf?: (option: string) => string;
}

/**
 * The teacher of a file: the default export of a module (`./teacher.mjs`), a {@link TeacherFunction} or a {@link Teacher}; an ONNX network ({@link onnxTeacher}); the logits in a `.npy`, `.npz` or `.safetensors` file ({@link logitsFile}), or the network whose
 * weights a `.pth` or `.safetensors` file holds. A network is given as it is, for `distill` to choose how it runs.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that a teacher of this kind does not take, and what reading the file throws.
 * @example
 * ```ts
 * await distill({ teacher: await openTeacher("logits.npy"), student, data });
 * ```
 */
export async function openTeacher(
  file: string,
  options: TeacherOptions = {},
  use: OpenTeacherUse = {},
): Promise<Module | Teacher> {
  return (await openTeachers([expectPath("file", file)], options, use))[0];
}

/** The teachers of several files, each with those of the options that its kind takes; each option needs one that takes it. */
export async function openTeachers(
  files: readonly string[],
  options: TeacherOptions,
  { readNetwork = loadNetwork, nameOf = (option) => option }: OpenTeacherUse = {},
): Promise<(Module | Teacher)[]> {
  for (const [i, file] of expectList("files", files, "a list of files' names").entries())
    expectPath(`files[${i}]`, file);
  const resolved = resolveTeacherOptions(options);
  const kinds = await Promise.all(files.map(kindOf));
  const taken: readonly string[] = kinds.flatMap((kind) => KINDS[kind].takes);
  const foreign = givenOptions(options).find((name) => !taken.includes(name));
  if (foreign !== undefined) {
    const given = files.map((file, i) => `${file} is ${KINDS[kinds[i]].name}`).join(", ");
    const takers = Object.values(KINDS).filter(({ takes }) => (takes as readonly string[]).includes(foreign));
    const text = `${nameOf(foreign)}: is an option of ${takers.map(({ name }) => name).join(" or ")}, and ${given}`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const teachers: (Module | Teacher)[] = [];
  for (const [i, file] of files.entries()) teachers.push(await openOne(file, kinds[i], resolved, readNetwork));
  return teachers;
}

async function openOne(
  file: string,
  kind: keyof typeof KINDS,
  options: TeacherOptions,
  readNetwork: (file: string) => Promise<Module>,
): Promise<Module | Teacher> {
  if (kind === "named") return TEACHERS.resolve(file, undefined, { argument: "teacher" });
  const { teacherClasses: classes } = options;
  if (kind === "onnx") return teacherOfOnnx(file, options);
  if (kind === "logits") return logitsFile(file, { ...(classes && { classes }) });
  return kind === "function" ? teacherOfModule(file, options) : readNetwork(file);
}

async function teacherOfOnnx(file: string, options: TeacherOptions): Promise<Teacher> {
  // Loaded late: the other teachers do without it.
  const { onnxTeacher } = await import("./onnx_teacher.js");
  const names = ["input", "output", "mean", "std", "size", "classes"] as const;
  const given = names.map((name) => [
    name,
    options[`teacher${name[0].toUpperCase()}${name.slice(1)}` as keyof TeacherOptions],
  ]);
  return onnxTeacher(file, Object.fromEntries(given.filter(([, value]) => value !== undefined)));
}

/** The default export of a module, or the one that it names: a function, or a teacher as it is. */
async function teacherOfModule(path: string, options: TeacherOptions): Promise<Module | Teacher> {
  const name = isModulePath(path) ? path : `./${path}`;
  const exported = (await importModules([{ name }])).values().next().value;
  const { teacherConcurrency: concurrency, teacherRetries: retries } = options;
  const { teacherBatch: batchSize, teacherAnswers: answers } = options;
  if (typeof exported === "function") {
    const [version] = Object.values(await moduleHashes([{ name }]));
    const given = { version, concurrency, retries, batchSize, answers };
    const known = Object.entries(given).filter(([, value]) => value !== undefined);
    return functionTeacher(exported as TeacherFunction, Object.fromEntries(known));
  }
  if (exported instanceof Module || isTeacher(exported)) return exported;
  throw badArgument(path, "it to export a function or a Teacher", exported);
}

async function kindOf(file: string): Promise<keyof typeof KINDS> {
  if (TEACHERS.names.some((name) => file === name || file.startsWith(`${name}(`))) return "named";
  const extension = extname(file).toLowerCase();
  if (extension === ".onnx") return "onnx";
  if (/^\.[cm]?[jt]s(#|$)/.test(extension)) return "function";
  if (extension === ".safetensors") return isLogits((await openSafetensors(file)).tensors) ? "logits" : "network";
  return (ARRAY_FILES as readonly string[]).includes(extension) ? "logits" : "network";
}
