import { showList } from "../checks.js";
import { badData } from "../files/index.js";
import { NO_LABEL } from "./dataset.js";
import { classPlaces, namelessProblem } from "./labels.js";
import { pixelsAdvice, samplesText } from "./preprocessing/adapt.js";
import { inputFeatures, type Preprocessing } from "./preprocessing/spec.js";
import type { RawData, RawPart } from "./raw_data.js";
import { featuresOf } from "./row_source.js";
import { outputsText } from "./targets.js";
import { hasTargets, taskNameOf } from "./task_name.js";

/**
 * What a format found, as a network's preprocessing has it: its samples have to be of the same kind and shape, and each label
 * becomes the number that the network gives to the class of this name. `BAD_DATA` for other samples, and for classes that the
 * network does not know.
 */
export function conform(raw: RawData, spec: Preprocessing, source: string): RawData {
  const { train, test, validation = null } = raw;
  for (const part of [train, test, validation]) if (part !== null) expectSamples(part, spec, source);
  if (hasTargets(raw) || hasTargets(spec)) {
    if (raw.task === spec.task && raw.classes === spec.classes) return raw;
    const own = `${taskNameOf(spec)} with ${outputsText(spec)}`;
    throw badData(source, `the network was trained for ${own}, the data have ${outputsText(raw)}`);
  }
  const places = placesOf(raw, spec, source);
  const placeOf = (label: number) => (label === NO_LABEL ? NO_LABEL : places[label]);
  const relabelled = (part: RawPart): RawPart => ({ ...part, labels: part.labels.map(placeOf) });
  return {
    train: relabelled(train),
    test: test && relabelled(test),
    validation: validation && relabelled(validation),
    classes: spec.classes,
    ...(spec.classNames !== null && { classNames: spec.classNames }),
  };
}

function expectSamples(
  { rows, table, isEncoded = false, isImage = true }: RawPart,
  spec: Preprocessing,
  source: string,
): void {
  const isBytes = rows.dtype === "uint8";
  const isFeatures = !isBytes && featuresOf(rows) === inputFeatures(spec);
  const isSize = () => spec.kind === "image" && rows.shape.join() === [spec.channels, spec.height, spec.width].join();
  if (spec.kind === "image" && isBytes && isImage && isSize()) return;
  // Numbers without names are not the columns of a table, nor the other way round.
  if (spec.kind === "table" && isEncoded && isFeatures) return;
  if (spec.kind === "values" && table === undefined && isFeatures) return;
  const numbers = table === undefined ? `${featuresOf(rows)} numbers a sample` : "rows of a table";
  const got = isBytes && isImage ? `images of ${rows.shape.join(" x ")}` : numbers;
  const given = { kind: table === undefined && !isBytes ? "values" : "other", features: featuresOf(rows) };
  throw badData(source, `the network takes ${samplesText(spec)}, got ${got}${pixelsAdvice(spec, given)}`);
}

/** The network's number of each class of the data. */
function placesOf(raw: RawData, spec: Preprocessing, source: string): readonly number[] {
  const matched = classPlaces(spec, raw);
  if (matched === null) {
    const isLabelled = [raw.train, raw.test].some((part) => part?.labels.some((label) => label !== NO_LABEL));
    const problem = isLabelled ? namelessProblem(spec, raw) : null;
    if (problem !== null) throw badData(source, `the network ${problem.known}: the file ${problem.given}`);
    // Fewer are no mistake: rows of a few classes alone.
    if (raw.classes <= spec.classes) return Array.from({ length: spec.classes }, (_, i) => i);
    throw badData(source, `the network knows ${spec.classes} classes, the data have ${raw.classes}`);
  }
  const { places, unknown, known } = matched;
  if (unknown.length === 0) return places;
  const which = unknown.length === 1 ? "class" : "classes";
  throw badData(source, `the network does not know the ${which} ${showList(unknown)}: it knows ${showList(known, 8)}`);
}
