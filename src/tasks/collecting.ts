import { argumentError, expectShape, show } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { targetsOf } from "../data/targets.js";
import { concatenated } from "../tensor/concatenated.js";
import type { TaskEvaluation } from "./evaluation.js";
import { notFinite } from "./prediction.js";
import type { Evaluator } from "./task.js";

/** Outputs and targets of all samples, row after row. */
export interface Collected {
  readonly samples: number;
  /** The numbers of a row of outputs, of targets, and of the teacher's outputs. */
  readonly width: number;
  readonly targetWidth: number;
  readonly teacherWidth: number;
  readonly outputs: Float32Array;
  readonly targets: Float32Array;
  /** Null without a teacher. */
  readonly teacher: Float32Array | null;
}

/** Evaluates all outputs at once, when all of them are there. */
export function collecting<E extends TaskEvaluation>(report: (all: Collected) => E): Evaluator<E> {
  const [outputs, targets, teachers]: [Float32Array[], Float32Array[], Float32Array[]] = [[], [], []];
  let [samples, width, targetWidth] = [0, 0, 0];
  return {
    add({ data, shape }, batch, teacher) {
      if (batch.targets === undefined) throw argumentError("targets", "needed for every sample");
      expectShape("outputs", shape, [batch.targets.shape[0], -1]);
      [width, targetWidth] = [shape[1], batch.targets.shape[1]];
      const wrong = data.findIndex(Number.isNaN);
      if (wrong >= 0) throw notFinite(samples + Math.floor(wrong / width));
      samples += shape[0];
      // The memory of a step is used again.
      outputs.push(data.slice());
      targets.push(batch.targets.data.slice());
      if (teacher !== undefined) teachers.push(Float32Array.from(teacher));
    },
    report() {
      const teacher = teachers.length === 0 ? null : concatenated(teachers);
      return report({
        samples,
        width,
        targetWidth,
        teacherWidth: teacher === null ? 0 : teacher.length / samples,
        outputs: concatenated(outputs),
        targets: concatenated(targets),
        teacher,
      });
    },
  };
}

/** The targets of some data that are the same in all samples: their names as errors show them, and their values. */
export function constantTargets(data: Dataset): { name: string; value: number }[] {
  const { classes, classNames } = data;
  const rows = targetsOf(data)?.data ?? new Float32Array(0);
  return Array.from({ length: classes }, (_, c) => columnOf(rows, classes, c)).flatMap((column, c) => {
    const [value] = column;
    return column.every((x) => x === value) ? [{ name: show(classNames?.[c] ?? String(c)), value }] : [];
  });
}

/** A column of rows, in double precision. */
export function columnOf(rows: Float32Array, width: number, column: number): Float64Array {
  return Float64Array.from({ length: rows.length / width }, (_, i) => rows[i * width + column]);
}
