/** Magic number, version 1 and the header's length. */
const START = 10;
/** NumPy maps elements that begin at a multiple of this. */
const ALIGNMENT = 64;

/** What precedes the elements of a `.npy` file, as NumPy writes it: of a type such as `<f4`, row by row. */
export function npyHeader(descr: string, shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const length = Math.ceil((START + text.length + 1) / ALIGNMENT) * ALIGNMENT - START;
  const header = Buffer.alloc(START + length, " ");
  header.set([0x93, ...Buffer.from("NUMPY", "latin1"), 1, 0]);
  header.writeUInt16LE(length, 8);
  header.write(text, START, "latin1");
  header[header.length - 1] = 0x0a;
  return header;
}

/** A `.npy` file of texts, NumPy's type `<U...`. */
export function encodeNpyTexts(texts: readonly string[]): Uint8Array {
  const points = texts.map((text) => [...text].map((character) => character.codePointAt(0) as number));
  const width = Math.max(1, ...points.map(({ length }) => length));
  const elements = Buffer.alloc(4 * width * texts.length);
  for (const [i, text] of points.entries()) {
    for (const [at, point] of text.entries()) elements.writeUInt32LE(point, 4 * (i * width + at));
  }
  return Buffer.concat([npyHeader(`<U${width}`, [texts.length]), elements]);
}
