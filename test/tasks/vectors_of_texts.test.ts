import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeAll, expect, test } from "vitest";
import {
  createNetwork,
  type Dataset,
  distill,
  type Evaluation,
  encodeSamples,
  evaluate,
  loadData,
  loadNetwork,
  type Module,
  manualSeed,
  predict,
  preprocessingOf,
  saveJs,
  type TablePreprocessing,
  trainTeacher,
  type ValuePrediction,
  type VectorEvaluation,
} from "../../src/index.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const file = fileURLToPath(new URL("fixtures/packages.jsonl", import.meta.url));
const options = {
  textColumn: "description",
  textEncoding: "hash(buckets=4096)",
  testFraction: 0.25,
} as const;
const COLUMNS = Array.from({ length: 8 }, (_, i) => `v${i}`);

/** A network of texts in so many dimensions for what the data are labelled with. */
const bag = (dim: number, { shape, classes }: Dataset) =>
  createNetwork(`text_bag(buckets=4096, dim=${dim})`, { shape: shape as number[], classes });

let test_: Dataset;
let before: VectorEvaluation;
let teacher: Module;
let student: Module;
const out = join(folder, "student");

beforeAll(async () => {
  manualSeed(0);
  const { train, test } = await loadData(file, { ...options, labelColumns: COLUMNS, task: "vectors" });
  test_ = test as Dataset;
  teacher = bag(32, train);
  await trainTeacher({ model: teacher, data: train, epochs: 12, lr: 0.02 });
  student = bag(8, train);
  before = evaluate<VectorEvaluation>(student, test_);
  await distill({ teacher: teacher.freeze(), student, data: train, epochs: 16, lr: 0.02, out });
});

test("a student of texts learns the vectors of packages' descriptions", () => {
  const [ofTeacher, ofStudent] = [teacher, student].map((network) => evaluate<VectorEvaluation>(network, test_));
  // Ten of some 88 others by chance.
  expect(before.retrieval).toBeLessThan(0.3);
  expect(ofTeacher.retrieval).toBeGreaterThan(0.55);
  expect(ofStudent.retrieval).toBeGreaterThan(0.4);
  expect(ofStudent.spearman).toBeGreaterThan(before.spearman + 0.3);
  expect(ofStudent.cosine).toBeGreaterThan(0.6);
});

test("predict and the exported module embed a text alike", async () => {
  const network = await loadNetwork(join(out, "distilled_student_model_lowest.safetensors"));
  const { name, input } = await saveJs(network, join(folder, "embed.mjs"));
  expect([name, input]).toEqual(["embed", "a text"]);
  const { embed } = (await import(pathToFileURL(join(folder, "embed.mjs")).href)) as {
    embed(input: unknown): Float32Array;
  };
  const preprocessing = preprocessingOf(test_) as TablePreprocessing;
  for (const description of ["Perl module for reading fonts", "puzzle game", "", "日本語 👩‍👩‍👧"]) {
    const inputs = encodeSamples(preprocessing, [{ description }]);
    const [{ values }] = predict<ValuePrediction>(network, inputs);
    expect([...embed(description)]).toEqual(values.map((x) => expect.closeTo(x, 5)));
    expect(embed({ description })).toEqual(embed(description));
  }
  expect(() => embed(5)).toThrow("text: expected a text, or cells by the names of columns");
});

test("the section of a package from its description: alone and distilled", async () => {
  const { train, test } = await loadData(file, { ...options, labelColumn: "section" });
  const shown = test as Dataset;
  expect(train.classes).toBe(6);
  manualSeed(0);
  const model = bag(32, train);
  await trainTeacher({ model, data: train, epochs: 10, lr: 0.02 });
  const [alone, distilled] = [bag(8, train), bag(8, train)];
  distilled.loadStateDict(alone.stateDict());
  const more = { data: train, epochs: 12, lr: 0.02 };
  await trainTeacher({ model: alone, ...more });
  await distill({ teacher: model.freeze(), student: distilled, ...more });
  for (const network of [model, alone, distilled]) {
    expect(evaluate<Evaluation>(network, shown).accuracy).toBeGreaterThan(0.6);
  }
});
