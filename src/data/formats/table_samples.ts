import { show, showList } from "../../checks.js";
import { badData } from "../../files/index.js";
import { Tensor } from "../../tensor/tensor.js";
import { NO_LABEL } from "../dataset.js";
import { encodeCell, isMissing } from "../preprocessing/encode.js";
import { parseNumber } from "../preprocessing/number_format.js";
import { type ClassSpec, columnWidth, type TablePreprocessing, textColumnOf, widthOf } from "../preprocessing/spec.js";
import { type ColumnIndices, expectNoList, expectWidth, findColumns } from "../table_header.js";
import { targetText, wrongTarget } from "../targets.js";
import type { TaskName } from "../task_name.js";
import type { CellRecords, FileSamples } from "./format.js";

/**
 * The rows of a table as a network's inputs, encoded as it was trained. `isLabelled` refuses a label that is no class of the
 * network, and, unless it `mayLack`, one that is missing.
 */
export async function readSampleRows(
  file: string,
  records: CellRecords,
  spec: TablePreprocessing,
  { isLabelled = false, mayLack = false } = {},
): Promise<FileSamples> {
  const { columns, header } = spec;
  const features = widthOf(columns);
  const [rows, locations, labels, texts]: [Float32Array[], string[], number[], string[]] = [[], [], [], []];
  const isOther = spec.task !== undefined;
  const isTexts = textColumnOf({ table: spec }) !== null;
  const targets: number[] = [];
  let labelled = 0;
  let indices: ColumnIndices | undefined;
  await records.scan((cells, line) => {
    if (indices === undefined) {
      indices = findColumns(spec, cells, line, file);
      if (header) return;
    }
    expectWidth(cells, indices, line, file);
    const row = new Float32Array(features);
    let at = 0;
    for (const [i, column] of columns.entries()) {
      const problem = encodeCell(column, cells[indices.columns[i]], row, at);
      if (problem !== null) throw badData(file, `line ${line}, ${show(column.name)}: ${problem}`);
      at += columnWidth(column);
    }
    rows.push(row);
    if (isTexts) {
      expectNoList(cells[indices.columns[0]], columns[0].name, line, file);
      texts.push(cells[indices.columns[0]]);
    }
    locations.push(`${file}, line ${line}`);
    if (indices.label < 0) return;
    if (isOther) {
      for (const [c, index] of indices.labels.entries()) {
        const x = parseNumber(cells[index]);
        if (isLabelled && (x === null || wrongTarget(Float64Array.of(x), spec.task as TaskName) >= 0)) {
          const name = show((spec.labels ?? [spec.label])[c].name);
          const text = `expected ${targetText(spec.task as TaskName)} as target, ${name}, got ${show(cells[index])}`;
          throw badData(file, `line ${line}: ${text}`);
        }
        targets.push(x ?? Number.NaN);
      }
      labels.push(NO_LABEL);
      return;
    }
    const cell = cells[indices.label];
    const label = classOf(cell, spec);
    const isAbsent = label < 0 && isMissing(cell);
    if (!isAbsent) labelled++;
    if (label < 0 && isLabelled && !(isAbsent && mayLack)) {
      if (isAbsent) {
        const advice = "leave the row out, or take it without one (--unlabelled)";
        throw badData(file, `line ${line}: its label, ${show(spec.label.name)}, is missing: ${advice}`);
      }
      const [got, known] = [show(cell), showList(spec.classNames ?? [], 8)];
      throw badData(file, `line ${line}: the network does not know the class ${got}: it knows ${known}`);
    }
    labels.push(label);
  });
  if (rows.length === 0) throw badData(file, "truncated: it has no rows");
  const values = new Float32Array(rows.length * features);
  for (const [i, row] of rows.entries()) values.set(row, i * features);
  const inputs = new Tensor(values, [rows.length, features]);
  const given = labels.length === 0 ? null : Int32Array.from(labels);
  return {
    inputs,
    locations,
    labels: given,
    ...(isTexts && { texts }),
    ...(given && (isOther ? { targets: Float64Array.from(targets) } : { labelled })),
  };
}

function classOf(text: string, { classNames }: ClassSpec): number {
  const number = parseNumber(text);
  const byText = classNames?.indexOf(text) ?? -1;
  return byText >= 0 || number === null ? byText : (classNames?.indexOf(String(number)) ?? -1);
}
