import { showList } from "../../checks.js";
import type { Preprocessing } from "./spec.js";

/** The names of a data set's classes: those that it has, or their numbers. */
export function classNamesOf({ classes, classNames }: Classes): readonly string[] {
  return classNames ?? Array.from({ length: classes }, (_, i) => String(i));
}

interface Classes {
  readonly classes: number;
  readonly classNames?: readonly string[] | null;
}

/**
 * The network's number of each of the data's classes, by their names, and the names that the network does not know: the one rule
 * by which classes are matched. Classes without names go by their numbers, if the network knows those. Null if one of the two has
 * no names: then only the numbers of classes can be compared.
 */
export function classPlaces(
  { classNames: known }: Pick<Preprocessing, "classNames">,
  data: Classes,
): { places: readonly number[]; unknown: readonly string[]; known: readonly string[] } | null {
  if (known === null) return null;
  const wanted = classNamesOf(data);
  if (data.classNames == null && !wanted.every((name) => known.includes(name))) return null;
  const places = wanted.map((name) => known.indexOf(name));
  return { places, unknown: wanted.filter((_, i) => places[i] < 0), known };
}

/** What is wrong with labels that are numbers of classes for a network that knows its classes by other names; null: nothing. */
export function namelessProblem(
  { classNames: known }: Pick<Preprocessing, "classNames">,
  { classNames: given }: { readonly classNames?: readonly string[] | null },
): { known: string; given: string } | null {
  if (known === null || (given !== null && given !== undefined)) return null;
  if (known.every((name, i) => name === String(i))) return null;
  return {
    known: `knows its classes by names, ${showList(known, 8)}`,
    given:
      "has their numbers alone, whose order may be another: give it the names, as folders of images or a table have them, in a program with classNames",
  };
}
