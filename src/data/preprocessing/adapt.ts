import { isDeepStrictEqual } from "node:util";
import { show, showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import type { TableColumn, ValueLayout } from "../dataset.js";
import { classPlaces, namelessProblem } from "../labels.js";
import { firstRounded } from "../statistics.js";
import { outputsText } from "../targets.js";
import { taskNameOf } from "../task_name.js";
import type { TextEncoding } from "../text/encodings.js";
import { columnWidth, inputFeatures, type Preprocessing, type TablePreprocessing, textColumnOf } from "./spec.js";

/**
 * What a network needs that is given samples of another preprocessing than its own: each of its inputs is `scale` times
 * the value at `index` plus `offset`, and each of the data's classes is the logit at its place in `classes`.
 */
export interface Adaptation {
  /**
   * Null: the inputs are as the network takes them. `index` is null if each value becomes one input, in their order.
   */
  readonly inputs: {
    readonly index: Int32Array | null;
    readonly scale: Float32Array;
    readonly offset: Float32Array;
    /**
     * If the value at `index` is 1, the number is missing, and `more` is added to its input; it is 0 otherwise. Null:
     * no value tells.
     */
    readonly missing: { readonly index: Int32Array; readonly more: Float32Array } | null;
  } | null;
  /** Null: texts are encoded as the network takes them. */
  readonly encoding: TextEncoding | null;
  /** Null: the classes are the network's, in their order. */
  readonly classes: Int32Array | null;
  /**
   * Each output times `scale` plus `offset` is what the data's targets are standardised by; null: they are the same.
   */
  readonly outputs: { readonly scale: Float32Array; readonly offset: Float32Array } | null;
}

/** A preprocessing, and what errors call it. */
interface Named<P = Preprocessing> {
  readonly spec: P;
  readonly name: string;
  /** Of data: false if no sample has a label. */
  readonly isLabelled?: boolean;
  /** Of a network: whether it standardises numbers itself. */
  readonly takesRaw?: boolean;
}

/**
 * How samples and classes of the data's preprocessing become those of the network's: columns and classes by their
 * names, numbers by both means and deviations. Null if they are the same. Inputs without a description (values that
 * nothing is known of) are taken as they are, but never for pixels nor pixels for them.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` that names the columns or classes that are missing, or what the network
 * takes, or a column whose deviation in the data is so much larger that their float32 values do not tell apart what the
 * network does.
 */
export function adaptationOf(network: Named, data: Named): Adaptation | null {
  const encoding = otherEncoding(network.spec, data.spec);
  const inputs = encoding === null ? inputMapOf(network, data) : null;
  if (inputs !== null && network.takesRaw !== true) expectTold(network, data, inputs);
  const classes = classesOf(network, data);
  const outputs = outputsOf(network.spec, data.spec);
  const isSame = inputs === null && encoding === null && classes === null && outputs === null;
  return isSame ? null : { inputs, encoding, classes, outputs };
}

/**
 * The network's encoding of a column of texts that the data have by another one; null: it is the same, or they have no
 * such column.
 */
function otherEncoding(network: Preprocessing, data: Preprocessing): TextEncoding | null {
  if (network.kind !== "table" || data.kind !== "table") return null;
  const [own, given] = [network, data].map(({ columns }) => textColumnOf({ table: { columns } }));
  if (own === null || own.name !== given?.name || isDeepStrictEqual(own.text, given.text)) return null;
  return own.text;
}

/** From what the network's targets were standardised by to the data's; the order of the targets is the data's. */
function outputsOf({ targets: from, classNames: known }: Preprocessing, data: Preprocessing): Adaptation["outputs"] {
  const { targets: to, classes, classNames } = data;
  const place = (i: number) => (known === null || classNames === null ? i : known.indexOf(classNames[i]));
  const at = (scale: ValueLayout | undefined, i: number) => [scale?.mean[i] ?? 0, scale?.std[i] ?? 1] as const;
  const [scale, offset] = [new Float32Array(classes), new Float32Array(classes)];
  for (let i = 0; i < classes; i++) {
    const [[mean, std], [otherMean, otherStd]] = [at(from, place(i)), at(to, i)];
    scale[i] = std / otherStd;
    offset[i] = (mean - otherMean) / otherStd;
  }
  return scale.every((x, i) => x === 1 && offset[i] === 0) ? null : { scale, offset };
}

/** What a network's samples are, for errors. */
export function samplesText(spec: Preprocessing): string {
  if (spec.kind === "image") return `images of ${spec.channels} x ${spec.height} x ${spec.width}`;
  if (spec.kind === "values") return `${spec.features} numbers a sample`;
  const names = spec.columns.map(({ name }) => name);
  return `rows of a table with the columns ${showList(names, 8)}`;
}

function inputMapOf(network: Named, data: Named): Adaptation["inputs"] {
  const [to, from] = [network.spec, data.spec];
  if (to.kind === "table" && from.kind === "table") {
    return tableInputs({ ...network, spec: to }, { ...data, spec: from });
  }
  if (to.kind === "image" && from.kind === "image") {
    if (to.channels !== from.channels || to.height !== from.height || to.width !== from.width) {
      throw misfit(network, data);
    }
    if (to.upright === true && from.upright === false) {
      const text = `was trained on images turned as their EXIF orientation says: ${data.name} has them as they are stored`;
      throw refusal(network, `${text}: exifOrientation (--exif-orientation) turns them`);
    }
    const plane = to.height * to.width;
    return affine(inputFeatures(to), (i) => Math.floor(i / plane), from, to);
  }
  const given = statisticsOf(from);
  const own = statisticsOf(to);
  const wanted = own && network.takesRaw ? { mean: own.mean.map(() => 0), std: own.std.map(() => 1) } : own;
  const isSize = inputFeatures(to) === inputFeatures(from);
  const isUnknown = (to.kind === "values" && wanted === null) || (from.kind === "values" && given === null);
  const isOneImage = (to.kind === "image") !== (from.kind === "image");
  if (!isSize || isOneImage || (!isUnknown && to.kind !== from.kind)) throw misfit(network, data);
  return wanted === null || given === null ? null : affine(inputFeatures(to), (i) => i, given, wanted);
}

/** What standardised values; null if nothing is said of what they are. */
function statisticsOf(spec: Preprocessing): Statistics | null {
  const { mean, std } = spec as Partial<Statistics>;
  return spec.kind !== "values" || mean === undefined || std === undefined ? null : { mean, std };
}

interface Statistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

function affine(
  features: number,
  part: (feature: number) => number,
  from: Statistics,
  to: Statistics,
): Adaptation["inputs"] {
  if (sameNumbers(from.mean, to.mean) && sameNumbers(from.std, to.std)) return null;
  return {
    index: null,
    scale: new Float32Array(features).map((_, i) => from.std[part(i)] / to.std[part(i)]),
    offset: new Float32Array(features).map((_, i) => (from.mean[part(i)] - to.mean[part(i)]) / to.std[part(i)]),
    missing: null,
  };
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

function tableInputs(network: Named<TablePreprocessing>, data: Named<TablePreprocessing>): Adaptation["inputs"] {
  const [wanted, given] = [network.spec.columns, data.spec.columns];
  const places = new Map<string, { column: TableColumn; at: number }>();
  let width = 0;
  for (const column of given) {
    places.set(column.name, { column, at: width });
    width += columnWidth(column);
  }
  const missing = wanted.filter(({ name }) => !places.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    const which = `${missing.length === 1 ? "the column" : "the columns"} ${showList(missing, 8)}`;
    const has = showList([...places.keys()], 8);
    throw refusal(network, `was trained on ${which}, which ${data.name} lacks: it has ${has}`);
  }
  const [index, scale, offset]: [number[], number[], number[]] = [[], [], []];
  const absent: { index: number[]; more: number[] } = { index: [], more: [] };
  const take = (at: number, factor = 1, shift = 0, flag = at, more = 0) => {
    index.push(at);
    scale.push(factor);
    offset.push(shift);
    absent.index.push(flag);
    absent.more.push(more);
  };
  for (const to of wanted) {
    const { column: from, at } = places.get(to.name) as { column: TableColumn; at: number };
    if ("mean" in to && "mean" in from) {
      expectMissing(network, data, to, from);
      const { mean, std } = network.takesRaw ? { mean: 0, std: 1 } : to;
      const shift = (from.mean - mean) / std;
      // If a second value marks missing numbers, they become the network's mean.
      const isSaid = from.missing === "category";
      if (isSaid) take(at, from.std / std, shift, at + 1, (to.mean - mean) / std - shift);
      else take(at, from.std / std, shift);
      if (to.missing === "category") take(isSaid ? at + 1 : at, isSaid ? 1 : 0);
    } else if ("categories" in to && "categories" in from) {
      expectKnown(network, data, to, from);
      for (const text of to.categories) {
        const place = from.categories.indexOf(text);
        take(at + Math.max(place, 0), place < 0 ? 0 : 1);
      }
    } else if ("text" in to && "text" in from) {
      if (!isDeepStrictEqual(to.text, from.text)) {
        throw refusal(network, `reads texts in the column ${show(to.name)} by another encoding than ${data.name}`);
      }
      for (let i = 0; i < to.text.length; i++) take(at + i);
    } else {
      const kindOf = (column: TableColumn) =>
        "mean" in column ? "numbers" : "text" in column ? "texts to read" : "texts";
      const [kind, other] = [kindOf(to), kindOf(from)];
      throw refusal(network, `takes ${kind} in the column ${show(to.name)}: ${data.name} has ${other}`);
    }
  }
  const isOrdered = index.length === width && index.every((at, i) => at === i);
  const hasMissing = absent.more.some((more) => more !== 0);
  if (isOrdered && !hasMissing && scale.every((factor, i) => factor === 1 && offset[i] === 0)) return null;
  return {
    index: isOrdered ? null : Int32Array.from(index),
    scale: Float32Array.from(scale),
    offset: Float32Array.from(offset),
    missing: hasMissing ? { index: Int32Array.from(absent.index), more: Float32Array.from(absent.more) } : null,
  };
}

/**
 * Refuses data whose mean or deviation is so large, as an outlier makes it, that float32 loses what the network tells
 * apart.
 */
function expectTold(network: Named, data: Named, { scale, offset }: NonNullable<Adaptation["inputs"]>): void {
  const times = Array.from(scale, (factor, i) => Math.max(Math.abs(factor), Math.abs(offset[i])));
  const at = firstRounded({ mean: times, std: times.map(() => 1) });
  if (at < 0) return;
  const { spec } = network;
  const names = spec.kind === "table" ? spec.columns.flatMap((of) => Array(columnWidth(of)).fill(of.name)) : [];
  const what = names.length > 0 ? `the column ${show(names[at])}` : `input ${at}`;
  const text = `the mean or deviation of ${data.name} is ${Math.round(times[at])} of the network's deviations`;
  throw refusal(network, `${what}: ${text}: float32 values do not hold what it tells apart. Is one an outlier?`);
}

type NumberColumn = Extract<TableColumn, { mean: number }>;

/**
 * Refuses missing numbers if the network was trained without any, and numbers replaced by their mean if it was trained
 * to recognise missing ones.
 */
function expectMissing(network: Named, data: Named, to: NumberColumn, from: NumberColumn): void {
  if (from.missing === "category" && to.missing === undefined) {
    throw refusal(network, `takes no missing cell in the column ${show(to.name)}: ${data.name} has some`);
  }
  if (from.missing !== true || to.missing !== "category") return;
  const text = `tells missing cells in the column ${show(to.name)}: ${data.name} has the mean in their place`;
  throw refusal(network, `${text}: load it with missing category (--missing category)`);
}

type CategoryColumn = Extract<TableColumn, { categories: readonly string[] }>;

function expectKnown(network: Named, data: Named, to: CategoryColumn, from: CategoryColumn): void {
  const unknown = from.categories.filter((text) => !to.categories.includes(text));
  if (unknown.length === 0) return;
  const known = showList(to.categories, 8);
  const text = `knows ${known} in the column ${show(to.name)}: ${data.name} has ${showList(unknown, 8)} too`;
  throw refusal(network, text);
}

function classesOf(network: Named, data: Named): Int32Array | null {
  const [to, from] = [network.spec, data.spec];
  const [own, other] = [to, from].map(taskNameOf);
  if (own !== other) {
    throw refusal(network, `was trained for ${own}: ${data.name} is for ${other}`);
  }
  const matched = classPlaces(to, from);
  if (matched === null) {
    if (to.classes !== from.classes) {
      throw refusal(network, `has ${outputsText(to)}: ${data.name} has ${from.classes}`);
    }
    const problem = data.isLabelled === false ? null : namelessProblem(to, from);
    if (problem === null) return null;
    throw refusal(network, `${problem.known}: ${data.name} ${problem.given}`);
  }
  const { places, unknown, known } = matched;
  if (unknown.length > 0) {
    const which = unknown.length === 1 ? "class" : "classes";
    const text = `does not know the ${which} ${showList(unknown, 8)} of ${data.name}: it knows ${showList(known, 8)}`;
    throw refusal(network, text);
  }
  const isSame = places.length === known.length && places.every((place, i) => place === i);
  return isSame ? null : Int32Array.from(places);
}

function misfit(network: Named, data: Named): DistilleryError {
  const advice = pixelsAdvice(network.spec, data.spec);
  return refusal(network, `takes ${samplesText(network.spec)}: ${data.name} has ${samplesText(data.spec)}${advice}`);
}

/** What makes pixels of numbers that could be some, for a network that takes images. */
export function pixelsAdvice(network: Preprocessing, { kind, features }: { kind: string; features?: number }): string {
  if (network.kind !== "image" || kind !== "values" || inputFeatures(network) !== features) return "";
  return `: pixels are bytes, 0 to 255, of an array [samples, height, width, channels]: store them with astype("uint8"), in a program in an ImageDataset with image`;
}

function refusal({ name }: Named, problem: string): DistilleryError {
  return new DistilleryError("SHAPE_MISMATCH", `${name}: ${problem}`);
}
