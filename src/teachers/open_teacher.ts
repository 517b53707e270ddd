import { extname } from "node:path";
import { loadNetwork, openSafetensors } from "../checkpoint/index.js";
import { argumentError, expectList, expectPath, showValue } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Module } from "../nn/module.js";
import { importModules, isModulePath, moduleHashes, Registry } from "../registry/index.js";
import { emaEntry } from "./ema.js";
import { functionTeacher, type TeacherFunction } from "./function_teacher.js";
import { logitsFile } from "./logits_file.js";
import { onnxTeacher } from "./onnx_teacher.js";
import { givenOptions, resolveTeacherOptions, type TeacherOptions } from "./options.js";
import { ARRAY_FILES, isLogits } from "./stored_arrays.js";
import { isTeacher, type Teacher } from "./teacher.js";

/** The teachers that have a name and no file. */
export const TEACHERS = new Registry<Teacher>("teacher", [emaEntry]);

/** A kind of teacher that a file is. */
interface Kind {
  /** For errors. */
  readonly name: string;
  /** Its options, by the names that its constructor uses for them. */
  readonly takes: Readonly<Partial<Record<keyof TeacherOptions, string>>>;
  is(file: string): boolean | Promise<boolean>;
  /** `given`: those of its options that were given. */
  open(
    file: string,
    given: object,
    readNetwork: (file: string) => Promise<Module>,
  ): Module | Teacher | Promise<Module | Teacher>;
}

const extensionOf = (file: string) => extname(file).toLowerCase();

/** A file is of the first kind that accepts it. */
const KINDS: readonly Kind[] = [
  {
    name: "a teacher by its name",
    takes: {},
    is: (file) => TEACHERS.names.some((name) => file === name || file.startsWith(`${name}(`)),
    open: (file) => TEACHERS.resolve(file, undefined, { argument: "teacher" }),
  },
  {
    name: "a file of logits",
    takes: { teacherClasses: "classes" },
    is: async (file) =>
      extensionOf(file) === ".safetensors"
        ? isLogits((await openSafetensors(file)).tensors)
        : ARRAY_FILES.some((extension) => extension === extensionOf(file)),
    open: logitsFile,
  },
  {
    name: "an ONNX network",
    takes: {
      teacherClasses: "classes",
      teacherInput: "input",
      teacherOutput: "output",
      teacherMean: "mean",
      teacherStd: "std",
      teacherSize: "size",
    },
    is: (file) => extensionOf(file) === ".onnx",
    open: onnxTeacher,
  },
  {
    name: "a module",
    takes: {
      teacherConcurrency: "concurrency",
      teacherRetries: "retries",
      teacherBatch: "batchSize",
      teacherAnswers: "answers",
    },
    is: (file) => /^\.[cm]?[jt]s(#|$)/.test(extensionOf(file)),
    open: teacherOfModule,
  },
  { name: "a network's weights", takes: {}, is: () => true, open: (file, _, readNetwork) => readNetwork(file) },
];

/** How a program opens teachers. */
export interface OpenTeacherUse {
  /** Default: {@link loadNetwork}. */
  readNetwork?: (file: string) => Promise<Module>;
}

/**
 * The teacher in a file: the default export of a module (`./teacher.mjs`), a {@link TeacherFunction} or a {@link
 * Teacher}; an ONNX network ({@link onnxTeacher}); the logits in a `.npy`, `.npz` or `.safetensors` file ({@link
 * logitsFile}), or the network whose weights a `.pth` or `.safetensors` file contains. A network is returned as it is;
 * `distill` chooses how to run it.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that this kind of teacher does not have, and the errors of reading
 * the file.
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

/**
 * The teachers in several files. Each gets those of the options that its kind takes, and each option needs a teacher
 * that takes it.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for an option that none of the teachers takes, and the errors of {@link
 * openTeacher}.
 * @example
 * ```ts
 * const teachers = await openTeachers(["first.pth", "second.pth"], {});
 * await distill({ teacher: averaged(teachers), student, data });
 * ```
 */
export async function openTeachers(
  files: readonly string[],
  options: TeacherOptions,
  { readNetwork = loadNetwork }: OpenTeacherUse = {},
): Promise<(Module | Teacher)[]> {
  for (const [i, file] of expectList("files", files, "a list of files' names").entries())
    expectPath(`files[${i}]`, file);
  const resolved = resolveTeacherOptions(options);
  const kinds = await Promise.all(files.map(kindOf));
  const foreign = givenOptions(options).find((name) => !kinds.some(({ takes }) => name in takes));
  if (foreign !== undefined) {
    const given = files.map((file, i) => `${file} is ${kinds[i].name}`).join(", ");
    const takers = KINDS.filter(({ takes }) => foreign in takes).map(({ name }) => name);
    const text = `is an option of ${takers.join(" or ")}, and ${given}`;
    throw argumentError(foreign, text);
  }
  const teachers: (Module | Teacher)[] = [];
  for (const [i, file] of files.entries()) {
    const { takes, open } = kinds[i];
    const given = givenOptions(resolved).flatMap((name) => (name in takes ? [[takes[name], resolved[name]]] : []));
    teachers.push(await open(file, Object.fromEntries(given), readNetwork));
  }
  return teachers;
}

async function kindOf(file: string): Promise<Kind> {
  const fits = await Promise.all(KINDS.map(({ is }) => is(file)));
  return KINDS[fits.indexOf(true)];
}

/** The default export of a module, or the one that it names: a function, or a teacher as it is. */
async function teacherOfModule(path: string, given: object): Promise<Module | Teacher> {
  const name = isModulePath(path) ? path : `./${path}`;
  const exported = (await importModules([{ name }])).values().next().value;
  if (typeof exported === "function") {
    const [version] = Object.values(await moduleHashes([{ name }]));
    return functionTeacher(exported as TeacherFunction, { version, ...given });
  }
  if (exported instanceof Module || isTeacher(exported)) return exported;
  const text = `${path}: expected it to export a function or a Teacher, got ${showValue(exported)}`;
  throw new DistilleryError("BAD_ARGUMENT", text);
}
