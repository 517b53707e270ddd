// Examples as programs: what they leave out is declared.
import * as library from "../../src/index.js";

/** What examples leave to the reader, who has it from the text before. */
const KNOWN = new Map(
  Object.entries({
    Module: "teacher student network model first second backbone head",
    "readonly Module[]": "students",
    Dataset: "data train validation test dataset",
    Tensor: "x inputs loss kd task teacherLogits teacherVectors studentHidden teacherHidden",
    "Tensor ": "studentMaps teacherMaps studentMaps1 studentMaps2 teacherMaps1 teacherMaps2",
    IntTensor: "labels",
    Int32Array: "indices",
    Optimizer: "optimizer",
    DataLoader: "loader",
    "readonly Batch[]": "batches",
    EpochRecord: "record validated",
    "readonly EpochRecord[]": "history",
    CompareResult: "result",
    SweepResult: "swept",
    "readonly TrainedLink[]": "links",
    "readonly string[]": "classes",
    number: "stride",
    "() => number": "trainAndValidate",
    "readonly number[][]": "distilled baseline",
    "Record<string, unknown>": "config",
    "(network: string) => () => Module": "make",
    "(query: string) => AsyncIterable<{ width: number; height: number; kind: number }>": "rowsOf",
    "(samples: readonly unknown[], signal: AbortSignal) => Promise<number[][]>": "fetchLogits",
  }).flatMap(([type, names]) => names.split(" ").map((name) => [name, type] as const)),
);
const TYPES = [
  "Batch",
  "CheckpointDict",
  "CompareResult",
  "DataLoader",
  "Dataset",
  "DistillationLoss",
  "EpochRecord",
  "IntTensor",
  "Module",
  "Optimizer",
  "ParamGroup",
  "Params",
  "RegressionEvaluation",
  "Schedule",
  "StateDict",
  "SweepResult",
  "Teacher",
  "Tensor",
  "TrainedLink",
  "ValuePrediction",
];
/** Their examples are of what the package does not export. */
export const INTERNAL = ["src/graph/", "src/registry/registry.ts", "src/report/verdict.ts", "src/watch/"];

/** An example that imports the library as it is; any other as a function, with what it leaves out. */
export function programOf(example: string): string {
  if (/ from "distillery";$/m.test(example)) return `${example}\nexport {};\n`;
  const lines = example.match(/^import .*;$/gm) ?? [];
  const code = lines.reduce((rest, line) => rest.replace(line, ""), example);
  const declared = new Set(
    [
      ...example.matchAll(/\b(?:const|let|class|function|import|type)\*?\s+(?:\{([^}]*)\}|\[([^\]]*)\]|(\w+))/g),
    ].flatMap(([, ...names]) =>
      names.flatMap((part) => [...(part ?? "").matchAll(/(\w+)\s*(?=,|$)/g)].map(([, name = ""]) => name)),
    ),
  );
  const words = (text: string) => text.match(/(?<!\w|(?<!\.\.)\.)[A-Za-z]\w*/g) ?? [];
  const used = [...new Set(words(code))].filter((name) => !declared.has(name));
  const context = used.filter((name) => KNOWN.has(name)).map((name) => `declare const ${name}: ${KNOWN.get(name)};`);
  const values = used.filter((name) => name in library && !KNOWN.has(name));
  const types = [...new Set([...used, ...words(context.join(" "))])].filter((name) => TYPES.includes(name));
  const imports = [...new Set([...values, ...types])].map((name) => (values.includes(name) ? name : `type ${name}`));
  return [
    ...lines,
    `import { ${imports.join(", ")} } from "distillery";`,
    ...context,
    "export async function block(this: Record<'weight' | 'bias', import('distillery').Tensor>) {",
    code,
    "}",
  ].join("\n");
}
