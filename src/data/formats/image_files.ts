import { basename, join, resolve } from "node:path";
import { DistilleryError } from "../../errors.js";
import { listFiles } from "../../files/index.js";
import { CATALOG, FOUR_IDX, IDX_FILES } from "../hub/catalog.js";
import { datasetInfo, findData, notFound } from "../hub/locate.js";
import { type Normalisation, USUAL } from "../statistics.js";

/** The known data sets that are four IDX files. */
const NAMES = Object.keys(CATALOG).filter((name) => CATALOG[name]?.files === IDX_FILES);

/** The four files, in the order of `IDX_FILES`. */
const PARTS = ["trainImages", "trainLabels", "testImages", "testLabels"] as const;
type Paths = Readonly<Record<(typeof PARTS)[number], string>>;

/** Where a data set of images lies. */
export interface ImageFiles {
  readonly name: string;
  readonly paths: Paths;
  /** Null: to be measured. */
  readonly normalisation: Normalisation | null;
}

/** Finds the four files of a known data set or of a folder; `NOT_FOUND` says what is missing. */
export async function findImages(source: string): Promise<ImageFiles> {
  if (NAMES.includes(source)) {
    const found = await findData(source);
    if (found === null) throw notFound(source, datasetInfo(source));
    return { name: source, paths: pathsOf(found.folder, found.files), normalisation: USUAL.get(source) ?? null };
  }
  const there = await listFiles(source).catch((error: DistilleryError) => {
    if (error.code !== "NOT_FOUND") throw error;
    const text = `${error.message}: expected ${NAMES.join(", ")} or a folder with four IDX files`;
    throw new DistilleryError("NOT_FOUND", text, { cause: error });
  });
  const files = IDX_FILES.map((names) => names.find((name) => there.has(name)));
  const missing = IDX_FILES.flatMap(([first], i) => (files[i] === undefined ? [first] : []));
  if (missing.length > 0) {
    throw new DistilleryError("NOT_FOUND", `${source}: expected ${FOUR_IDX}; missing: ${missing.join(", ")}`);
  }
  return { name: basename(resolve(source)), paths: pathsOf(source, files as string[]), normalisation: null };
}

function pathsOf(folder: string, files: readonly string[]): Paths {
  return Object.fromEntries(PARTS.map((part, i) => [part, join(folder, files[i] as string)])) as unknown as Paths;
}
