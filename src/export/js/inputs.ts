import type { TextColumn } from "../../data/dataset.js";
import { MISSING_TEXTS } from "../../data/preprocessing/encode.js";
import { formatPattern, type NumberFormat } from "../../data/preprocessing/number_format.js";
import type {
  ImagePreprocessing,
  Preprocessing,
  TablePreprocessing,
  ValuePreprocessing,
} from "../../data/preprocessing/spec.js";
import { columnWidth, inputFeatures } from "../../data/preprocessing/spec.js";
import { entryOf } from "../../data/text/encodings.js";
import { NUMBER } from "../../registry/index.js";

/** How an exported module makes the network's values out of what it is given. */
interface InputJs {
  /** The function `encode` with what it needs. */
  readonly code: string;
  /** The type of the input, and declarations that it needs. */
  readonly type: string;
  readonly types?: string;
  /** What it takes, in words. */
  readonly text: string;
}

/** The kinds of samples, each with its JavaScript: to add one, write its function here. */
const KINDS: { readonly [K in Preprocessing["kind"]]: (spec: Extract<Preprocessing, { kind: K }>) => InputJs } = {
  image,
  table,
  values,
};

/** The JavaScript that makes a sample's values; of a network of which nothing is known, they are the input. */
export function inputJs(spec: Preprocessing | null, features: number): InputJs {
  if (spec === null) return values({ features });
  return (KINDS[spec.kind] as (spec: Preprocessing) => InputJs)(spec);
}

function image(spec: ImagePreprocessing): InputJs {
  const { channels, height, width, mean, std } = spec;
  const features = inputFeatures(spec);
  const size = `${channels} x ${height} x ${width}`;
  const rgba = channels === 1 || channels === 3;
  const code = `
const [mean, std] = [Float32Array.of(${mean.join(", ")}), Float32Array.of(${std.join(", ")})];

/** (pixel / 255 - mean) / std of each pixel, channel after channel. */
function encode(image) {
  const pixels = pixelsOf(image);
  if (pixels.length !== ${features}) {
    throw inputError("SHAPE_MISMATCH", \`pixels: expected ${features} (${size}), got \${pixels.length}\`);
  }
  const values = new Float32Array(${features});
  for (let i = 0; i < ${features}; i++) {
    const pixel = pixels[i];
    if (!Number.isInteger(pixel) || pixel < 0 || pixel > 255) {
      throw inputError("BAD_ARGUMENT", \`pixels[\${i}]: expected a whole number from 0 to 255, got \${pixel}\`);
    }
    const channel = Math.floor(i / ${height * width});
    values[i] = Math.fround(Math.fround(pixel / 255) - mean[channel]) / std[channel];
  }
  return values;
}

function pixelsOf(image) {
  if (image instanceof Uint8Array || image instanceof Uint8ClampedArray || Array.isArray(image)) return image;
${
  rgba
    ? `  const isBytes = image?.data instanceof Uint8ClampedArray || image?.data instanceof Uint8Array;
  if (!isBytes || image.data.length !== 4 * image.width * image.height) {
    throw inputError("BAD_DTYPE", "image: expected a Uint8Array of pixels, a list of them, or an ImageData of bytes");
  }
  if (image.width !== ${width} || image.height !== ${height}) {
    throw inputError("SHAPE_MISMATCH", \`image: expected ${width} x ${height} pixels, got \${image.width} x \${image.height}\`);
  }
  const pixels = new Uint8Array(${features});
  for (let i = 0; i < ${height * width}; i++) {
    const [r, g, b] = image.data.subarray(4 * i, 4 * i + 3);
${
  channels === 1
    ? "    // Grey as Pillow and ITU-R 601-2 have it.\n    pixels[i] = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;"
    : `    pixels.set([r], i);\n    pixels.set([g], i + ${height * width});\n    pixels.set([b], i + ${2 * height * width});`
}
  }
  return pixels;`
    : `  throw inputError("BAD_DTYPE", "image: expected a Uint8Array of pixels, or a list of them");`
}
}`;
  const data = "{ readonly data: Uint8ClampedArray; readonly width: number; readonly height: number }";
  return {
    code: code.trim(),
    type: `Uint8Array | Uint8ClampedArray | readonly number[]${rgba ? " | ImagePixels" : ""}`,
    ...(rgba && {
      types: `/** An \`ImageData\`: red, green, blue and alpha of each pixel. */\nexport type ImagePixels = ${data};`,
    }),
    text: `${features} pixels from 0 to 255 (${size}, channel after channel)${rgba ? `, or an ImageData of ${width} x ${height}` : ""}`,
  };
}

const TOO_FAR = `
    if (!Number.isFinite(values[i])) {
      throw inputError("BAD_ARGUMENT", \`numbers[\${i}]: \${x} is too far from the mean of \${mean[i]}\`);
    }`;

function values({ features, mean, std }: Pick<ValuePreprocessing, "features" | "mean" | "std">): InputJs {
  const isScaled = mean !== undefined && std !== undefined;
  const statistics = isScaled ? `const mean = [${mean.join(", ")}];\nconst std = [${std.join(", ")}];\n\n` : "";
  const code = `${statistics}/** ${isScaled ? "(x - mean) / std of each number" : "The numbers as the network takes them"}. */
function encode(numbers) {
  if (!Array.isArray(numbers) && !ArrayBuffer.isView(numbers)) {
    throw inputError("BAD_DTYPE", "numbers: expected a list of numbers, a Float32Array or a Float64Array");
  }
  if (numbers.length !== ${features}) {
    throw inputError("SHAPE_MISMATCH", \`numbers: expected ${features}, got \${numbers.length}\`);
  }
  const values = new Float32Array(${features});
  for (let i = 0; i < ${features}; i++) {
    const x = numbers[i];
    if (typeof x !== "number" || !Number.isFinite(Math.fround(x))) {
      throw inputError("BAD_ARGUMENT", \`numbers[\${i}]: expected a finite number, got \${String(x)}\`);
    }
    values[i] = ${isScaled ? `(x - mean[i]) / std[i];${TOO_FAR}` : "x;"}
  }
  return values;
}`;
  return { code, type: "ArrayLike<number>", text: `${features} numbers` };
}

function table(spec: TablePreprocessing): InputJs {
  const { columns } = spec;
  const texts = columns.filter((column): column is TextColumn => "text" in column);
  // A network that reads nothing but a text takes it as it is, too.
  const only = columns.length === 1 ? texts[0] : undefined;
  const width = columns.reduce((sum, column) => sum + columnWidth(column), 0);
  const format = columns.map((column) => ("format" in column ? column.format : undefined)).find(Boolean);
  const described = columns.map((column) => {
    if (!("format" in column) || column.format === undefined) return JSON.stringify(column);
    const { format, ...rest } = column;
    const { unit, decimal } = format;
    return `{ ...${JSON.stringify({ ...rest, unit, decimal })}, pattern: ${formatPattern(format).pattern} }`;
  });
  // All texts of a data set are encoded the same way.
  const encodeJs = texts.length === 0 ? null : entryOf(texts[0].text).js(texts[0].text);
  const textCell =
    encodeJs === null
      ? ""
      : `  if (column.text !== undefined) {
    if (cell === undefined) return "expected a text, got nothing";
    ${encodeJs.name}(column.text, text, x.subarray(at, at + column.text.length));
    return null;
  }
`;
  const code = `
const columns = [
${described.map((text) => `  ${text},`).join("\n")}
];
const names = new Set(columns.map(({ name }) => name));
const missing = new Set(${JSON.stringify(MISSING_TEXTS)});

/**
 * The values of a row's cells by the names of their columns: numbers as (x - mean) / std, of texts one value a
 * category.
 */
function encode(${only === undefined ? "row" : "input"}) {
${only === undefined ? "" : `  const row = typeof input === "string" ? { [${JSON.stringify(only.name)}]: input } : input;\n`}  if (typeof row !== "object" || row === null || Array.isArray(row)) {
    throw inputError("BAD_DTYPE", "${only === undefined ? "row: expected cells by the names of columns" : "text: expected a text, or cells by the names of columns"}");
  }
  const x = new Float32Array(${width});
  let at = 0;
  for (const column of columns) {
    const cell = Object.hasOwn(row, column.name) ? row[column.name] : undefined;
    const problem = (cell === undefined ? misnamed(row) : null) ?? encodeCell(column, cell, x, at);
    if (problem !== null) throw inputError("BAD_ARGUMENT", \`row, \${JSON.stringify(column.name)}: \${problem}\`);
    at += ${texts.length === 0 ? "" : "column.text?.length ?? "}column.categories?.length ?? (column.missing === "category" ? 2 : 1);
  }
  return x;
}

/** What is wrong with a missing cell: its column's name may be written wrongly. */
function misnamed(row) {
  const other = Object.keys(row).find((key) => !names.has(key));
  return other === undefined ? null : \`expected a cell, got nothing: the row has \${JSON.stringify(other)}, which is no column\`;
}

/** Writes what a cell becomes at x[at] and after; the problem's text if it can't. */
function encodeCell(column, cell, x, at) {
  const { categories, mean, std } = column;
  if (cell !== undefined && cell !== null && typeof cell !== "string" && typeof cell !== "number") {
    return \`expected a text or a number, got \${typeof cell}\`;
  }
  const text = String(cell ?? "").trim();
${textCell}  const isMissing = missing.has(text);
  const got = cell === undefined || cell === null ? "nothing" : JSON.stringify(text);
  if (categories !== undefined) {
    const category = categories.indexOf(isMissing && categories.includes("") ? "" : text);
    if (category < 0) return \`expected one of \${categories.map((name) => JSON.stringify(name)).join(", ")}; got \${got}\`;
    x[at + category] = 1;
    return null;
  }
  if (isMissing && column.missing) {
    if (column.missing === "category") x[at + 1] = 1;
    return null;
  }
  const isFinite = typeof cell === "number" && Number.isFinite(cell);
  const number = isFinite ? cell : ${format ? "column.pattern ? formatted(text, column) : " : ""}plain(text);
  x[at] = (number - mean) / std;
  if (Number.isNaN(number)) return \`expected a number, got \${got}\`;
  return Number.isFinite(x[at]) ? null : \`\${got} is too far from the column's mean of \${mean}\`;
}

/** The number that a text is; NaN if it is none, as \`0x10\` or an empty text. */
function plain(text) {
  return ${NUMBER}.test(text) ? Number(text) : Number.NaN;
}
${format ? formattedJs(format) : ""}${encodeJs === null ? "" : `\n${encodeJs.source.trim()}\n`}`;
  return {
    code: code.trim(),
    type: only === undefined ? "Row" : "Row | string",
    types: rowType(columns),
    text: only === undefined ? "a row, by the names of its columns" : "a text",
  };
}

/** The function that reads numbers in formats of their own. */
function formattedJs(format: NumberFormat): string {
  return `
/** The number that a text in a column's own format is; NaN if it is none. */
function formatted(text, { pattern, unit, decimal }) {
  const [, first = "", before = "", second = "", body, after = ""] = ${formatPattern(format).parts}.exec(text) ?? [];
  if (body === undefined || (first && second) || (before && after) || before + after !== unit || !pattern.test(body)) {
    return Number.NaN;
  }
  const kept = body.replace(decimal === "." ? /[^\\deE.+-]/g : /[^\\deE,+-]/g, "").replace(",", ".");
  return (first + second === "-" ? -1 : 1) * Number(kept);
}
`;
}

/** The declaration of a row. */
function rowType(columns: TablePreprocessing["columns"]): string {
  const field = (name: string, type: string, mayMiss: boolean) =>
    mayMiss ? `  ${name}?: ${type} | null | undefined;` : `  ${name}: ${type};`;
  const fields = columns.map((column) => {
    const name = JSON.stringify(column.name);
    if ("text" in column) return `  ${name}: string | null;`;
    if ("categories" in column) {
      const known = column.categories.flatMap((text) => {
        const isNumber = String(Number(text)) === text && Number.isFinite(Number(text));
        return isNumber ? [JSON.stringify(text), text] : [JSON.stringify(text)];
      });
      return field(name, known.join(" | "), column.categories.includes(""));
    }
    return field(name, "number | string", column.missing !== undefined);
  });
  return `/** A row: cells by the names of their columns; others are ignored. */
export interface Row {
${fields.join("\n")}
}`;
}
