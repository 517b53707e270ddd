import { showList } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { classNamesOf, classPlaces } from "../data/labels.js";
import { DistilleryError } from "../errors.js";

/** The names of a teacher's classes, from its file or from the options; `BAD_ARGUMENT` if they differ. */
export function namesOf(
  teacher: string,
  own: readonly string[] | null | undefined,
  given: readonly string[] | undefined,
): readonly string[] | undefined {
  if (given === undefined) return own ?? undefined;
  if (own == null || (own.length === given.length && own.every((name, i) => name === given[i]))) return given;
  const text = `says that its classes are ${showList(own, 8)}: leave teacherClasses (--teacher-classes) out, or mend the file`;
  throw new DistilleryError("BAD_ARGUMENT", `${teacher}: ${text}; got ${showList(given, 8)}`);
}

/**
 * The index of each of the data's classes among a teacher's outputs, which have these names; null if the order is the
 * same, or the names are unknown. `BAD_ARGUMENT` if the classes differ.
 */
export function columnsOf(
  teacher: string,
  names: readonly string[] | undefined,
  data: Pick<Dataset, "name" | "classes" | "classNames">,
): Int32Array | null {
  if (names === undefined) return null;
  const own = classNamesOf(data);
  const matched = classPlaces({ classNames: names }, { classes: data.classes, classNames: own });
  const { places = [], unknown = own } = matched ?? {};
  if (unknown.length > 0) {
    const which = `the ${unknown.length === 1 ? "class" : "classes"} ${showList(unknown, 8)}`;
    const text = `has no column of ${which} of ${data.name}: it has ${showList(names, 8)}`;
    throw new DistilleryError("BAD_ARGUMENT", `${teacher}: ${text}`);
  }
  const isSame = places.length === names.length && places.every((place, i) => place === i);
  return isSame ? null : Int32Array.from(places);
}
