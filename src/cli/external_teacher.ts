import type { LoadDataOptions, TableOptions } from "../data/load_options.js";
import { Module } from "../nn/module.js";
import { logitsColumn, type Teacher, type TeacherOptions } from "../teachers/index.js";
import { UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";

/** Options that name the column of the data which is the teacher. */
export interface ColumnOptions extends TableOptions, Pick<TeacherOptions, "teacherClasses"> {
  data: string;
  teacherColumn?: string | undefined;
}

/** The same options, with the teacher's column added to those that are dropped from the samples. */
export function withoutTeacherColumn<C extends Pick<ColumnOptions, "teacherColumn"> & LoadDataOptions>(config: C): C {
  const { teacherColumn, dropColumns = [] } = config;
  return teacherColumn === undefined ? config : { ...config, dropColumns: [...dropColumns, teacherColumn] };
}

/** The teacher in a column of the data; null if there is none. */
export async function columnTeacher(config: ColumnOptions): Promise<Teacher | null> {
  const { data, teacherColumn, teacherClasses: classes, header, encoding, labelColumn, labelColumns } = config;
  if (teacherColumn === undefined) return null;
  const options = Object.entries({ classes, header, encoding, labelColumn, labelColumns }).filter(
    ([, value]) => value !== undefined,
  );
  return logitsColumn(data, teacherColumn, Object.fromEntries(options));
}

/** How the opening lines describe a teacher: a network, or what the options name. */
export function shownTeacher(
  teacher: unknown,
  {
    teacher: files = [],
    teacherColumn,
  }: { teacher?: string | readonly string[] | undefined; teacherColumn?: string | undefined },
): Module | string {
  if (teacher instanceof Module) return teacher;
  return teacherColumn === undefined ? [files].flat().join(", ") : `the column ${teacherColumn}`;
}

/** Options that say how a network is used as a teacher. */
const OF_NETWORKS = ["teacherMode", "teacherCache", "teacherNetwork"] as const;

/** Refuses options that say how a network is used if the teacher is not a network. */
export function expectNoNetworkOptions(
  userOptions: Readonly<Partial<Record<(typeof OF_NETWORKS)[number] | "teacher" | "teacherColumn", unknown>>>,
): void {
  const given = OF_NETWORKS.find((option) => userOptions[option] !== undefined);
  if (given === undefined) return;
  const source = userOptions.teacherColumn === undefined ? "teacher" : "teacherColumn";
  const text = `needs a network of Distillery's as the teacher, got ${flagOf(source)} ${userOptions[source]}`;
  throw new UsageError(`${flagOf(given, userOptions[given])}: ${text}`);
}

/** Refuses teacher options if there is no teacher. */
export function expectNoTeacherOptions(userOptions: Readonly<Record<string, unknown>>): void {
  const given = [...OF_NETWORKS, "calibrateTeacher"].find((option) => Object.hasOwn(userOptions, option));
  if (given !== undefined) throw new UsageError(`${flagOf(given, userOptions[given])}: needs a teacher (--teacher)`);
}
