import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  createNetwork,
  encodeSamples,
  exportOnnx,
  loadData,
  loadNetwork,
  Module,
  type OnnxOptions,
  type preprocessingOf,
  StandardizedDataset,
  type Tensor,
  tensor,
  trainTeacher,
} from "../../src/index.js";
import { Linear } from "../../src/nn/linear.js";
import { temporaryFolder } from "../support.js";
import { readModel, run } from "./support.js";

const folder = temporaryFolder();
let network: Module;
const rows = [
  { height: 171.5, colour: "red", weight: 70.25 },
  { height: 155, colour: "blue", weight: 48 },
  { height: 198.25, colour: "red", weight: 101 },
];
/** The same as the file takes them: numbers as they are, colour=blue, colour=red. */
const RAW = Float32Array.of(171.5, 0, 1, 70.25, 155, 1, 0, 48, 198.25, 0, 1, 101);

beforeAll(async () => {
  const lines = Array.from({ length: 60 }, (_, i) => {
    const weight = i % 7 === 0 ? "NA" : 50 + ((i * 13) % 50);
    return `${150 + ((i * 7) % 50)},${i % 2 ? "red" : "blue"},${weight},${["ant", "bee", "cat"][i % 3]}`;
  });
  writeFileSync(join(folder, "people.csv"), `height,colour,weight,label\n${lines.join("\n")}\n`);
  const { train } = await loadData(join(folder, "people.csv"), { missing: "mean" });
  const model = createNetwork("mlp(hidden=[8])", { shape: [4], classes: 3 });
  await trainTeacher({ model, data: train, epochs: 3, batchSize: 16, lr: 0.01, out: folder });
  network = await loadNetwork(join(folder, "teacher.pth"));
});

function expected(samples: readonly Record<string, string | number>[]): number[] {
  const spec = preprocessing();
  if (spec.kind !== "table") throw new TypeError("no table");
  return [...network.eval().forward(encodeSamples(spec, samples)).data];
}

const preprocessing = () => JSON.parse(props()["distillery.preprocessing"] ?? "") as ReturnType<typeof preprocessingOf>;

function props(options?: OnnxOptions): Record<string, string> {
  const { metadata_props = [] } = readModel(exportOnnx(network, options)) as { metadata_props?: Prop[] };
  return Object.fromEntries(metadata_props.map(({ key, value }) => [key, value]));
}

interface Prop {
  key: string;
  value: string;
}

const close = (values: readonly number[]) => values.map((x) => expect.closeTo(x, 4));

describe("the file of a table's network", () => {
  test("takes numbers as they are, and gives the logits of predict", async () => {
    const { data } = await run(exportOnnx(network), RAW, 4, 3);
    expect([...data]).toEqual(close(expected(rows)));
  });

  test("takes a missing number for the mean, as the network does", async () => {
    const raw = RAW.slice();
    raw[3] = Number.NaN;
    const { data } = await run(exportOnnx(network), raw, 4, 3);
    expect([...data]).toEqual(close(expected([{ ...rows[0], weight: "NA" }, rows[1], rows[2]])));
  });

  test("names its inputs and classes, and keeps all of the preprocessing", () => {
    expect(props()).toMatchObject({
      inputs: '["height","colour=blue","colour=red","weight"]',
      classes: '["ant","bee","cat"]',
      "standardisation.embedded": "true",
    });
    expect(preprocessing()).toMatchObject({ kind: "table", classNames: ["ant", "bee", "cat"] });
  });

  test("without embedding takes what the network takes, and says so", async () => {
    const spec = preprocessing();
    if (spec.kind !== "table") throw new TypeError("no table");
    const inputs = encodeSamples(spec, rows);
    const { data } = await run(exportOnnx(network, { embedNormalisation: false }), inputs.data, 4, 3);
    expect([...data]).toEqual(close(expected(rows)));
    expect(props({ embedNormalisation: false })["standardisation.embedded"]).toBe("false");
    expect(props({ preprocessing: null })).toEqual({});
  });
});

test("a network of a matrix takes its numbers as they are", async () => {
  const layout = { mean: [100, 0.5], std: [20, 0.1] };
  const data = new StandardizedDataset(
    tensor([
      [1, -1],
      [0, 2],
      [-1, 0],
      [2, 1],
    ]),
    Int32Array.of(0, 1, 0, 1),
    { values: layout },
  );
  const model = createNetwork("mlp(hidden=[4])", { shape: [2], classes: 2 });
  await trainTeacher({ model, data, epochs: 1, batchSize: 2 });
  const logits = model.eval().forward(
    tensor([
      [1, -1],
      [0, 2],
    ]),
  );
  const { data: got } = await run(exportOnnx(model), Float32Array.of(120, 0.4, 100, 0.7), 2, 2);
  expect([...got]).toEqual(close([...logits.data]));
});

test("numbers that float32 does not tell apart are not standardised in the graph", async () => {
  const layout = { mean: [0.5, 1_700_000_000], std: [0.1, 65] };
  const data = new StandardizedDataset(
    tensor([
      [0, 2],
      [-1, 0],
      [2, 1],
      [1, 1],
    ]),
    Int32Array.of(0, 1, 0, 1),
    {
      values: layout,
    },
  );
  const model = createNetwork("mlp(hidden=[4])", { shape: [2], classes: 2 });
  await trainTeacher({ model, data, epochs: 1, batchSize: 2 });
  expect(() => exportOnnx(model)).toThrow(
    'embedNormalisation: "input 1" has a mean of 1700000000 and a deviation of 65, which float32 inputs of ONNX do not hold',
  );
  expect(exportOnnx(model, { embedNormalisation: false }).length).toBeGreaterThan(100);
});

test("a network whose input is wider than its first layer says to pass features", async () => {
  class Second extends Module {
    fc = new Linear(2, 3);
    override forward(x: Tensor): Tensor {
      return this.fc.forward(x.reshape([-1, 2, 2]).sum(1));
    }
  }
  const model = new Second();
  expect(() => exportOnnx(model)).toThrow(/^network: .*pass features/);
  expect((await run(exportOnnx(model, { features: 4 }), new Float32Array(8), 4, 2)).dims).toEqual([2, 3]);
});
