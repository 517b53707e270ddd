import type { Teacher } from "./teacher.js";

const MAKERS = new WeakMap<Teacher, () => Teacher>();

/** A teacher that keeps state of the run that it is opened for, so that {@link forRun} gives each run its own copy. */
export function ofRuns<T extends Teacher>(make: () => T): T {
  // A change to this one would not reach the copies.
  const teacher = Object.freeze(make());
  MAKERS.set(teacher, make);
  return teacher;
}

/** A teacher for one run: a copy if it supports copies, so that runs side by side can be given the same teacher. */
export function forRun(teacher: Teacher): Teacher {
  return MAKERS.get(teacher)?.() ?? teacher;
}
