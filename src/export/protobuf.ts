import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

type Scalar = "int32" | "int64" | "float" | "string" | "bytes";

/** A field of a message: its number, and the type of its value or of each of its values. */
interface Field {
  readonly number: number;
  readonly type: Scalar | Fields;
  readonly repeated?: true;
}

/** The fields of a message by their names. */
export interface Fields {
  readonly [name: string]: Field;
}

type ValueOf<T> = T extends "string"
  ? string
  : T extends "bytes"
    ? Uint8Array
    : T extends Scalar
      ? number
      : T extends Fields
        ? Message<T>
        : never;

/** A message of these fields. What is not given is not written. */
export type Message<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends { repeated: true } ? readonly ValueOf<F[K]["type"]>[] : ValueOf<F[K]["type"]>;
};

/** A message in protobuf's binary form, fields in the order of their declaration. */
export function encode<F extends Fields>(fields: F, message: Message<F>): Uint8Array {
  const writer = new BinaryWriter();
  writeMessage(writer, fields, message);
  return writer.finish();
}

function writeMessage(writer: BinaryWriter, fields: Fields, message: object): void {
  for (const [name, field] of Object.entries(fields)) {
    const value = (message as Record<string, unknown>)[name];
    if (value === undefined) continue;
    for (const one of field.repeated ? (value as unknown[]) : [value]) writeValue(writer, field, one);
  }
}

function writeValue(writer: BinaryWriter, { number, type }: Field, value: unknown): void {
  switch (type) {
    case "int32":
      return void writer.tag(number, WireType.Varint).int32(value as number);
    case "int64":
      return void writer.tag(number, WireType.Varint).int64(value as number);
    case "float":
      return void writer.tag(number, WireType.Bit32).float(value as number);
    case "string":
      return void writer.tag(number, WireType.LengthDelimited).string(value as string);
    case "bytes":
      return void writer.tag(number, WireType.LengthDelimited).bytes(value as Uint8Array);
    default:
      writer.tag(number, WireType.LengthDelimited).fork();
      writeMessage(writer, type, value as object);
      writer.join();
  }
}
