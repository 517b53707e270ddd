import { basename, join, resolve } from "node:path";
import { DistilleryError } from "../errors.js";
import { listFiles } from "../files/index.js";
import type { Normalisation } from "./normalisation.js";

interface KnownImages {
  readonly normalisation: Normalisation;
  /** Where packages put it. */
  readonly folders: readonly string[];
  /** How to get it. */
  readonly advice: string;
}

const KNOWN: Readonly<Record<string, KnownImages>> = {
  "fashion-mnist": {
    normalisation: { mean: 0.286, std: 0.353 },
    // Debian's and Ubuntu's package dataset-fashion-mnist.
    folders: ["/usr/share/datasets/fashion-mnist"],
    advice: "set DISTILLERY_DATA to a folder with its four IDX files, or `apt install dataset-fashion-mnist`",
  },
  mnist: {
    normalisation: { mean: 0.1307, std: 0.3081 },
    folders: [],
    advice: "set DISTILLERY_DATA to a folder with its four IDX files",
  },
};

/** The names of the MNIST family, each plain or with .gz. */
const NAMES = {
  trainImages: ["train-images-idx3-ubyte", "train-images.idx3-ubyte"],
  trainLabels: ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"],
  testImages: ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"],
  testLabels: ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"],
} as const;

type Part = keyof typeof NAMES;
const PARTS = Object.keys(NAMES) as Part[];

/** Where a data set of images lies. */
export interface ImageFiles {
  readonly name: string;
  readonly paths: Readonly<Record<Part, string>>;
  /** Null: to be measured. */
  readonly normalisation: Normalisation | null;
}

/** Finds the four files of a known data set or of a folder; `NOT_FOUND` says what is missing. */
export async function findImages(source: string): Promise<ImageFiles> {
  const known = Object.hasOwn(KNOWN, source) ? KNOWN[source] : undefined;
  if (known !== undefined) return findKnown(source, known);
  const files = await listFiles(source).catch((error: DistilleryError) => {
    if (error.code !== "NOT_FOUND") throw error;
    const text = `${error.message}: expected ${Object.keys(KNOWN).join(", ")} or a folder with four IDX files`;
    throw new DistilleryError("NOT_FOUND", text, { cause: error });
  });
  return { name: basename(resolve(source)), paths: expectAll(source, files), normalisation: null };
}

async function findKnown(name: string, { folders, advice, normalisation }: KnownImages): Promise<ImageFiles> {
  const own = process.env.DISTILLERY_DATA;
  // The subfolder first: the files of all these data sets have the same names.
  const places = own ? [join(own, name), own, ...folders] : folders;
  for (const folder of places) {
    const files = await listFiles(folder).catch((error: DistilleryError) => {
      if (error.code !== "NOT_FOUND") throw error;
      return new Set<string>();
    });
    // A folder with some of them is an error, not a reason to take other data.
    if (PARTS.some((part) => find(part, files))) return { name, paths: expectAll(folder, files), normalisation };
  }
  const looked = places.length === 0 ? "" : ` in ${places.join(", ")}`;
  throw new DistilleryError("NOT_FOUND", `${name}: not found${looked}: ${advice}`);
}

function expectAll(folder: string, files: ReadonlySet<string>): Record<Part, string> {
  const missing = PARTS.filter((part) => find(part, files) === undefined);
  if (missing.length > 0) {
    const names = missing.map((part) => NAMES[part][0]).join(", ");
    throw new DistilleryError("NOT_FOUND", `${folder}: expected four IDX files, plain or .gz; missing: ${names}`);
  }
  return Object.fromEntries(PARTS.map((part) => [part, join(folder, find(part, files) as string)])) as Record<
    Part,
    string
  >;
}

function find(part: Part, files: ReadonlySet<string>): string | undefined {
  return NAMES[part].flatMap((name) => [name, `${name}.gz`]).find((name) => files.has(name));
}
