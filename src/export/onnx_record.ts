import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { PREPROCESSING_KEY, type Preprocessing, parsePreprocessing } from "../data/preprocessing/spec.js";
import { MODEL } from "./onnx_schema.js";

/** What an ONNX file of Distillery's own says of its input and output. */
export interface OnnxRecord {
  readonly preprocessing: Preprocessing;
  /** Whether the graph itself normalises: its input takes pixels, or numbers as they are. */
  readonly embedded: boolean;
}

/**
 * What {@link exportOnnx} kept in a file's `metadata_props`; null for a file of another program. `BAD_DATA` if it is
 * damaged.
 */
export function onnxRecordOf(bytes: Uint8Array, file: string): OnnxRecord | null {
  const props = metadataOf(bytes);
  const text = props.get(PREPROCESSING_KEY);
  if (text === undefined) return null;
  const preprocessing = parsePreprocessing(withNormalisation(parsePreprocessing(parsed(text), file), props), file);
  const key = preprocessing.kind === "image" ? "normalisation.embedded" : "standardisation.embedded";
  return { preprocessing, embedded: props.get(key) === "true" };
}

/** An export may normalise images otherwise than the training did. */
function withNormalisation(spec: Preprocessing, props: ReadonlyMap<string, string>): Preprocessing {
  if (spec.kind !== "image") return spec;
  const [mean, std] = ["mean", "std"].map((name) => {
    const list = props.get(`normalisation.${name}`)?.split(",").map(Number);
    return list?.length === 1 ? new Array<number>(spec.channels).fill(list[0]) : list;
  });
  return { ...spec, mean: mean ?? spec.mean, std: std ?? spec.std };
}

/** Null if the text is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The `metadata_props` of a model; what else it has is skipped. */
function metadataOf(bytes: Uint8Array): Map<string, string> {
  const { number, type: entry } = MODEL.metadataProps;
  const props = new Map<string, string>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field !== number || wire !== WireType.LengthDelimited) {
      reader.skip(wire, field);
      continue;
    }
    const end = reader.uint32() + reader.pos;
    const own = { key: "", value: "" };
    while (reader.pos < end) {
      const [part, type] = reader.tag();
      if (part === entry.key.number) own.key = reader.string();
      else if (part === entry.value.number) own.value = reader.string();
      else reader.skip(type, part);
    }
    props.set(own.key, own.value);
  }
  return props;
}

/**
 * The messages of `onnx/onnx.proto` that tensors can be in. Each has the numbers of the fields that lead to tensors;
 * fields of an entry are its key and its value.
 */
const MESSAGES = {
  model: { 7: "graph", 25: "function" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  function: { 7: "node" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  sparse: { 1: "tensor", 2: "tensor" },
  tensor: { 13: "entry" },
  entry: {},
} as const;
type Message = keyof typeof MESSAGES;

/** The files beside an ONNX file that hold some of its tensors, by their paths from its folder, sorted. */
export function externalFilesOf(model: Uint8Array): string[] {
  const found = new Set<string>();
  visit(new BinaryReader(model), model.length, "model", found);
  return [...found].sort();
}

function visit(reader: BinaryReader, end: number, message: Message, found: Set<string>): void {
  const parts: Readonly<Record<number, Message>> = MESSAGES[message];
  let key = "";
  while (reader.pos < end) {
    const [field, wire] = reader.tag();
    if (message === "entry" && wire === WireType.LengthDelimited && field <= 2) {
      const text = reader.string();
      if (field === 1) key = text;
      else if (key === "location") found.add(text);
    } else if (wire === WireType.LengthDelimited && parts[field] !== undefined) {
      const length = reader.uint32();
      visit(reader, reader.pos + length, parts[field], found);
    } else reader.skip(wire, field);
  }
}
