import { argumentError } from "../checks.js";
import { type Batch, type Dataset, NO_LABEL } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { type Adaptation, adaptationOf } from "../data/preprocessing/adapt.js";
import { preprocessingOf, textColumnOf } from "../data/preprocessing/spec.js";
import { encodedTexts, entryOf, expectTexts, type TextEncoding } from "../data/text/encodings.js";
import { DistilleryError } from "../errors.js";
import { Embedding } from "../nn/embedding.js";
import { inputsFor } from "../nn/inputs_for.js";
import { Module } from "../nn/module.js";
import type { Tensor } from "../tensor/tensor.js";
import { Ensemble } from "./ensemble.js";
import { FittedNetwork } from "./fitted_network.js";
import { MODELS } from "./index.js";
import { tokenizerOf } from "./own_tokenizer.js";
import { recordOf } from "./training_record.js";

/**
 * Adapts a network to the samples and classes of a data set, if its training record describes what it was trained with:
 * columns and classes are matched by name, numbers are standardised by its own mean and deviation, and texts are
 * encoded as it reads them (also for a network with a tokenizer beside its weights). Returns the network itself if
 * nothing differs, or nothing is known. Its inputs are what {@link inputsOf} makes of a batch.
 *
 * @param name the name in errors, if it has no file.
 * @throws DistilleryError `SHAPE_MISMATCH` that names what the network takes, or the columns or classes that are
 * missing; `BAD_ARGUMENT` for an encoding of texts whose ids the network does not read.
 */
export function fitNetwork(network: Module, data: Dataset, name = "the network"): Module {
  if (network instanceof FittedNetwork) return network;
  if (network instanceof Ensemble) {
    network.expectFor(data);
    return network.map((one, i) => {
      const part = `${name}.networks[${i}]`;
      const fitted = fitNetwork(one, data, part);
      if (encodingOf(fitted) === null) return fitted;
      const text = `reads texts by another encoding than ${data.name}, which networks whose outputs are averaged have to share`;
      throw new DistilleryError("BAD_ARGUMENT", `${recordOf(one)?.file ?? part}: ${text}`);
    });
  }
  const record = recordOf(network);
  const own = { spec: record?.preprocessing ?? null, name: record?.file ?? name };
  const { spec } = own;
  const adaptation =
    spec === null
      ? withTokenizer(network, data, own.name)
      : adaptationOf(
          { ...own, spec },
          {
            spec: preprocessingOf(data),
            name: data.name,
            isLabelled: data.unlabelled !== true || labelsOf(data).some((label) => label !== NO_LABEL),
          },
        );
  const encoding = adaptation?.encoding ?? null;
  const column = textColumnOf(data);
  if (encoding === null) {
    if (column !== null) expectIds(network, column.text, name, data.name);
  } else {
    expectTexts(data, own.name);
    expectIds(network, encoding, own.name, "its own tokenizer");
    expectRows(network, encoding, own.name, "its own encoding");
  }
  return adaptation === null ? network : new FittedNetwork(network, adaptation);
}

/** {@link fitNetwork} for a teacher, if it is a network. */
export function fitTeacher<T>(teacher: T, data: Dataset): T | Module {
  return teacher instanceof Module ? fitNetwork(teacher, data, "teacher") : teacher;
}

/**
 * What a network needs whose weights lie beside a tokenizer, if the ids of the data are those of something else; null:
 * nothing.
 */
function withTokenizer(network: Module, data: Dataset, name: string): Adaptation | null {
  const [own, given] = [tokenizerOf(network), textColumnOf(data)?.text];
  if (own === null || given === undefined) return null;
  // Of the same tokenizer it takes as many ids as the user says.
  if (given.kind === "tokenizer" && own.kind === "tokenizer" && given.tokenizer === own.tokenizer) {
    const most = encoderIn(network)?.positions ?? given.length;
    if (given.length <= most) return null;
    const text = `reads at most ${most} ids a text, the encoding of ${data.name} has ${given.length}`;
    throw new DistilleryError("BAD_ARGUMENT", `${name}: ${text}: give that length=${most} (--text-encoding)`);
  }
  return { inputs: null, encoding: own, classes: null, outputs: null };
}

/** How a network that was fitted reads the texts of a data set; null: by the ids that are their values. */
export function encodingOf(network: Module): TextEncoding | null {
  return network instanceof FittedNetwork ? network.encoding : null;
}

/**
 * What a network takes of a batch: the ids of its texts, if it was fitted to read them by an encoding of its own;
 * otherwise {@link inputsFor}.
 */
export function inputsOf(network: Module, batch: Batch): Tensor {
  const encoding = encodingOf(network);
  return encoding === null ? inputsFor(network, batch.inputs) : encodedTexts(encoding, batch);
}

/**
 * Refuses a network that takes numbers for texts, one of texts for other samples, and a table with fewer rows than
 * there are ids or that does not take negative ones; an encoder of Hugging Face's for other ids than its tokenizer's.
 */
export function expectReads(network: Module, data: Dataset, name: string): void {
  if (network instanceof Ensemble) {
    for (const [i, one] of network.networks.entries()) expectReads(one, data, `${name}.networks[${i}]`);
    return;
  }
  // Its own was checked when it was fitted.
  if (encodingOf(network) !== null) return;
  const column = textColumnOf(data);
  const { vocabulary } = network;
  if (column === null && vocabulary === null) return;
  // Plain numbers may be ids.
  if (column === null && (data.image ?? data.table ?? data.values) === undefined) return;
  if (column === null) {
    throw argumentError(name, `reads texts, and ${data.name} has none: --text-column names their column`);
  }
  if (vocabulary === null) {
    const advice = "networks for texts are text_bag and text_transformer";
    throw argumentError(
      name,
      `takes numbers, and ${data.name} has texts, which are ids: ${advice}, or one of your own with an embedding`,
    );
  }
  expectIds(network, column.text, name, data.name);
  expectRows(network, column.text, name, `the encoding of ${data.name}`);
}

/** Refuses a table with fewer rows than an encoding has ids. */
function expectRows({ vocabulary }: Module, encoding: TextEncoding, name: string, whose: string): void {
  const { rows, advice } = entryOf(encoding);
  const ids = rows(encoding);
  if (vocabulary === null || vocabulary >= ids) return;
  const text = `its table has ${vocabulary} rows, ${whose} ${ids} ids: ${advice}`;
  throw new DistilleryError("SHAPE_MISMATCH", `${name}: ${text}`);
}

/** Refuses an encoding whose ids the network does not read. */
function expectIds(network: Module, encoding: TextEncoding, name: string, whose: string): void {
  if (network.vocabulary === null) return;
  const entry = entryOf(encoding);
  const encoder = encoderIn(network);
  if (encoder !== null) {
    const offset = entry.offset?.(encoding);
    if (offset === 0) return;
    const reads = `${encoder.name} reads the ids of a tokenizer whose id 0 is its padding, such as [PAD]`;
    const got = offset === undefined ? `are those of ${encoding.kind}` : `are ${offset} higher, as its id 0 is none`;
    const how = "put its tokenizer.json beside its weights, or give it (--tokenizer)";
    throw new DistilleryError("BAD_ARGUMENT", `${name}: ${reads}; the ids of ${whose} ${got}: ${how}`);
  }
  if (!entry.isSigned?.(encoding) || !(firstTable(network) instanceof Embedding)) return;
  const text = `its table is an Embedding, and the encoding of ${whose} has negative ids, which only an EmbeddingBag takes`;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: ${text}: use an encoding without signed=true, or text_bag`);
}

/** The encoder of Hugging Face's that a network is or holds; null: none. */
function encoderIn(network: Module): { name: string; positions: number } | null {
  for (const module of network.modules()) {
    for (const { name, type, pretrained } of MODELS.entries) {
      if (type && pretrained && module instanceof type) return { name, positions: pretrained.positions(module) };
    }
  }
  return null;
}

/** The module inside that says the network's {@link Module.vocabulary}. */
function firstTable(network: Module): Module {
  const child = network.namedChildren().find(([, one]) => one.vocabulary !== null);
  return child === undefined ? network : firstTable(child[1]);
}

/**
 * Refuses weights to train on that were trained with the same columns or classes in another order: they would start
 * permuted. Of other columns or classes they are a start for another task.
 */
export function expectOrder(network: Module, data: Dataset, name: string): void {
  const record = recordOf(network);
  if (record === null) return;
  const own = { spec: record.preprocessing, name: record.file ?? name };
  let adaptation: Adaptation | null;
  try {
    adaptation = adaptationOf(own, { spec: preprocessingOf(data), name: data.name });
  } catch (error) {
    if (error instanceof DistilleryError && error.code === "SHAPE_MISMATCH") return;
    throw error;
  }
  const isInputs = adaptation !== null && adaptation.inputs !== null && adaptation.inputs.index !== null;
  if (!isInputs && (adaptation === null || adaptation.classes === null)) return;
  const what = isInputs ? "columns" : "classes";
  const text = `was trained with the ${what} in another order than ${data.name} has them`;
  throw new DistilleryError("BAD_DATA", `${own.name}: ${text}: give the data in that order, or start from new weights`);
}
