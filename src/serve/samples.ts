import { argumentError, badArgument, show, showList } from "../checks.js";
import { encodeRows, encodeSamples, exampleRow } from "../data/preprocessing/encode.js";
import { inputFeatures, type Preprocessing } from "../data/preprocessing/spec.js";
import { DistilleryError } from "../errors.js";
import { Tensor } from "../tensor/tensor.js";

/**
 * The inputs for samples in JSON: rows of a table by column name, pixels from 0 to 255, or numbers. Without a
 * preprocessing the samples are the inputs, with `known` numbers each if that is given.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH` or `NON_FINITE`, with the position of the invalid value.
 */
export function samplesOf(body: unknown, preprocessing: Preprocessing | null, known: number | null = null): Tensor {
  if (!Array.isArray(body) || body.length === 0) {
    const got = Array.isArray(body) ? "an empty one" : gotText(body);
    const example = preprocessing?.kind === "table" ? exampleRow(preprocessing.columns) : "[0, 1, ...]";
    throw argumentError("body", `expected a list of samples, as [${example}], got ${got}`);
  }
  if (preprocessing?.kind === "table") return encodeRows(preprocessing, body, "samples");
  const features = preprocessing === null ? (known ?? lengthOf(body[0], 0)) : inputFeatures(preprocessing);
  for (const [i, sample] of body.entries()) {
    const length = lengthOf(sample, i);
    if (length === features) continue;
    throw new DistilleryError("SHAPE_MISMATCH", `samples[${i}]: expected ${features} numbers, got ${length}`);
  }
  // A few short samples do not make it large.
  const numbers = new Float64Array(body.length * features);
  for (const [i, sample] of body.entries()) {
    for (let j = 0; j < features; j++) numbers[i * features + j] = numberOf(sample[j], i, j, preprocessing?.kind);
  }
  if (preprocessing === null) return new Tensor(Float32Array.from(numbers), [body.length, features]);
  if (preprocessing.kind === "image") return encodeSamples(preprocessing, Uint8Array.from(numbers));
  return encodeSamples(preprocessing, numbers);
}

/** What was sent instead of a list. */
function gotText(body: unknown): string {
  if (typeof body !== "object" || body === null) return show(body);
  return `an object with ${showList(Object.keys(body)) || "nothing in it"}`;
}

function lengthOf(sample: unknown, i: number): number {
  if (Array.isArray(sample)) return sample.length;
  throw badArgument(`samples[${i}]`, "a list of numbers", sample);
}

function numberOf(x: unknown, i: number, j: number, kind: Preprocessing["kind"] | undefined): number {
  const place = `samples[${i}][${j}]`;
  if (typeof x !== "number") throw badArgument(place, "a number", x);
  // JSON allows numbers that single precision does not have.
  if (!Number.isFinite(Math.fround(x))) {
    throw new DistilleryError("NON_FINITE", `${place}: expected a finite number, got ${x}`);
  }
  if (kind === "image" && (!Number.isInteger(x) || x < 0 || x > 255)) {
    throw argumentError(place, `expected a pixel, a whole number from 0 to 255, got ${x}`);
  }
  return x;
}
