import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** The messages of `onnx/onnx.proto` that tensors are in, each with the numbers of such fields; those of an entry are its key and value. */
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

/** The files beside an ONNX file that tensors of it lie in, by their paths from its folder, sorted. */
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
