import type { Teacher } from "./teacher.js";

const MAKERS = new WeakMap<Teacher, () => Teacher>();

/** A teacher that keeps something of the run that it is opened for, so that {@link forRun} gives each run its own. */
export function ofRuns<T extends Teacher>(make: () => T): T {
  // A change to this one would not be in those of the runs.
  const teacher = Object.freeze(make());
  MAKERS.set(teacher, make);
  return teacher;
}

/** A teacher for one run: another one like it if it was made to be, so that runs side by side may be given the same. */
export function forRun(teacher: Teacher): Teacher {
  return MAKERS.get(teacher)?.() ?? teacher;
}
