import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { GraphModule, traceModule } from "../../src/graph/index.js";
import {
  Bert,
  exportOnnx,
  Linear,
  loadData,
  loadNetwork,
  Module,
  manualSeed,
  noGrad,
  save,
  type Tensor,
  tensor,
  writeLogits,
} from "../../src/index.js";
import { weightsMetadata } from "../../src/models/create_network.js";
import { folderOf, refusal } from "../data/support.js";
import { exported } from "../export/js/support.js";
import { relativeError, run } from "../export/support.js";
import { expectClose } from "../parity/close.js";
import { temporaryFolder } from "../support.js";

const FOLDER = fileURLToPath(new URL("fixtures/bert", import.meta.url));
const FILE = join(FOLDER, "model.safetensors");
const TOKENIZER = fileURLToPath(new URL("../data/fixtures/tokenizer/wordpiece.json", import.meta.url));
const temporary = temporaryFolder();

const { texts, ids, vectors } = JSON.parse(readFileSync(join(FOLDER, "vectors.json"), "utf8")) as {
  texts: string[];
  ids: number[][];
  vectors: number[][];
};

const load = async () => (await loadNetwork(FILE, { network: "bert", shape: [16] })).eval();

/** A copy of the model with another `config.json`; null: without one. */
function modelWith(config: string | null): string {
  const folder = folderOf({ ...(config !== null && { "config.json": Uint8Array.from(Buffer.from(config)) }) });
  cpSync(FILE, join(folder, "model.safetensors"));
  return join(folder, "model.safetensors");
}

describe("vectors are those of sentence-transformers", () => {
  test("of ids", async () => {
    const network = await load();
    const { data, shape } = noGrad(() => network.forward(tensor(ids)));
    expect(shape).toEqual([5, 12]);
    expectClose(data, vectors.flat(), { abs: 2e-6 });
  });

  test("of texts by the model's own tokenizer, whatever the padding", async () => {
    const lines = texts.map((text, i) => JSON.stringify({ text, label: "ab"[i % 2] })).join("\n");
    const path = join(folderOf({ "t.jsonl": Uint8Array.from(Buffer.from(lines)) }), "t.jsonl");
    const textEncoding = `tokenizer(file=${JSON.stringify(TOKENIZER)}, length=24)`;
    const { train } = await loadData(path, { testFraction: 0, textEncoding });
    const network = (await loadNetwork(FILE, { network: "bert", shape: [24] })).eval();
    const { data } = noGrad(() => network.forward(train.slice(0, 5).inputs));
    // The second text has more than 16 tokens.
    for (const i of [0, 1, 3, 4]) expectClose(data.subarray(12 * i, 12 * i + 12), vectors[i], { abs: 2e-6 });
  });

  test("frozen, in ONNX Runtime and in a module", async () => {
    const network = await load();
    const graph = new GraphModule(traceModule(network, [16], { training: false }));
    const x = tensor(ids);
    expect(relativeError(noGrad(() => graph.forward(x)).data, Float32Array.from(vectors.flat()), 12)).toBeLessThan(
      1e-5,
    );
    const { data } = await run(exportOnnx(network, { features: 16 }), x.data, 16, 5);
    expect(relativeError(data, Float32Array.from(vectors.flat()), 12)).toBeLessThan(1e-5);
    const { forward } = exported(network, { features: 16 });
    const rows = ids.flatMap((row) => [...forward(Float32Array.from(row))]);
    expect(relativeError(Float32Array.from(rows), Float32Array.from(vectors.flat()), 12)).toBeLessThan(1e-5);
  });
});

test("a file of ours has the same network, and needs no config.json", async () => {
  const network = await load();
  const file = join(temporary, "copy.safetensors");
  await save(network.stateDict(), file, { metadata: weightsMetadata(network) });
  const again = (await loadNetwork(file)).eval();
  const x = tensor(ids);
  expect(noGrad(() => again.forward(x)).data).toEqual(noGrad(() => network.forward(x)).data);
});

test("a network of one's own that holds a BERT keeps its other weights", async () => {
  const sizes = { layers: 2, dim: 12, heads: 3, hidden: 20, buckets: 160, positions: 64 };
  class Mine extends Module {
    bert = new Bert(sizes);
    fc = new Linear(12, 3);

    override forward(x: Tensor): Tensor {
      return this.fc.forward(this.bert.forward(x));
    }
  }
  const mine = new Mine().eval();
  const modules = new Map<string, unknown>([["./mine.mjs#Mine", Mine]]);
  // Beside a config.json too, even one that the encoder alone would be refused for.
  for (const config of [null, '{"model_type": "bert", "hidden_act": "relu"}']) {
    const file = modelWith(config);
    await save(mine.stateDict(), file);
    const again = await loadNetwork(file, { network: "./mine.mjs#Mine", modules, shape: [16], classes: 3 });
    const x = tensor(ids);
    expect(noGrad(() => again.eval().forward(x)).data).toEqual(noGrad(() => mine.forward(x)).data);
  }
});

test("state keys are Hugging Face's", () => {
  manualSeed(1);
  const small = { dim: 4, hidden: 4, buckets: 5, positions: 3 };
  const keys = Object.keys(new Bert({ layers: 1, heads: 2, ...small }).stateDict());
  expect(keys.slice(0, 5)).toEqual([
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias",
  ]);
  expect(keys).toContain("encoder.layer.0.attention.output.LayerNorm.weight");
  expect(keys).toContain("encoder.layer.0.intermediate.dense.bias");
});

test.each(["bert.", "module.", "0.auto_model."])(
  "TensorFlow's names of LayerNorm's values, all keys behind %s",
  async (prefix) => {
    const network = await load();
    const entries = Object.entries(network.stateDict()).map(([key, value]) => [
      `${prefix}${key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")}`,
      value,
    ]);
    const file = modelWith(readFileSync(join(FOLDER, "config.json"), "utf8"));
    await save(Object.fromEntries(entries), file);
    const again = await loadNetwork(file, { network: "bert", shape: [16] });
    expect(again.stateDict()).toEqual(network.stateDict());
  },
);

describe("refuses", () => {
  const config = JSON.parse(readFileSync(join(FOLDER, "config.json"), "utf8"));
  const loading =
    (file: string, shape = [16], network = "bert") =>
    () =>
      loadNetwork(file, { network, shape });

  test("a config.json of another activation, or of other sizes than the weights", async () => {
    const other = (changes: object) => modelWith(JSON.stringify({ ...config, ...changes }));
    expect(await refusal("BAD_DATA", loading(other({ hidden_act: "relu" })))).toMatch(
      /config\.json: hidden_act: expected "gelu", got "relu"/,
    );
    expect(await refusal("STATE_DICT_MISMATCH", loading(other({ hidden_size: 24 })))).toContain(
      "the weights do not fit",
    );
  });

  /** The model with what sentence-transformers keep beside it: modules by their last names, and the pooling. */
  function kept(modules: readonly string[] | null, pooling: object | null): string {
    const file = modelWith(JSON.stringify(config));
    const list = modules?.map((name, idx) => ({ idx, type: `sentence_transformers.models.${name}` }));
    if (list) writeFileSync(join(dirname(file), "modules.json"), JSON.stringify(list));
    mkdirSync(join(dirname(file), "1_Pooling"));
    if (pooling) writeFileSync(join(dirname(file), "1_Pooling", "config.json"), JSON.stringify(pooling));
    return file;
  }
  const MEAN = { pooling_mode_cls_token: false, pooling_mode_mean_tokens: true, pooling_mode_lasttoken: false };

  test("vectors that are not the mean over the tokens alone", async () => {
    const pooled = (pooling: object | null, modules: string[] | null = null) => loading(kept(modules, pooling));
    const steps = ["Transformer", "Pooling"];
    expect(await refusal("BAD_DATA", pooled({ ...MEAN, pooling_mode_mean_tokens: false }))).toContain(
      "expected the mean over the tokens alone, pooling_mode_mean_tokens, got another",
    );
    for (const more of ["pooling_mode_cls_token", "pooling_mode_max_tokens"]) {
      expect(await refusal("BAD_DATA", pooled({ ...MEAN, [more]: true }))).toContain(`got ${more}`);
    }
    expect(await refusal("BAD_DATA", pooled(null, steps))).toContain("got no such file");
    await pooled(MEAN)();
    await pooled({ pooling_mode: "mean" }, steps)();
  });

  test("steps of a modules.json that it does not compute; without Normalize the vectors are as long as they are", async () => {
    for (const steps of [
      ["Transformer", "Pooling", "Dense", "Normalize"],
      ["Transformer"],
      ["Pooling", "Transformer"],
    ]) {
      const text = await refusal("BAD_DATA", loading(kept(steps, MEAN)));
      expect(text).toContain(`modules.json: expected Transformer, Pooling and then Normalize or nothing`);
      expect(text).toContain(`got ${steps.map((step) => JSON.stringify(step)).join(", ")}`);
    }
    const file = kept(["Transformer", "Pooling", "Normalize"], MEAN);
    const forward = async (path: string) => {
      const network = (await loadNetwork(path, { network: "bert", shape: [16] })).eval();
      return { network, vectors: noGrad(() => network.forward(tensor(ids))) };
    };
    expectClose((await forward(file)).vectors.data, vectors.flat(), { abs: 2e-6 });
    writeFileSync(join(dirname(file), "modules.json"), "{");
    expect(await refusal("BAD_DATA", loading(file))).toContain("modules.json: expected Transformer");
    const plain = await forward(kept(["Transformer", "Pooling"], MEAN));
    const lengths = (plain.vectors.toArray() as number[][]).map((row) => Math.hypot(...row));
    expect(lengths.every((length) => Math.abs(length - 1) > 0.05)).toBe(true);
    expectClose(
      Array.from(plain.vectors.data, (x, i) => x / lengths[Math.floor(i / 12)]),
      vectors.flat(),
      { abs: 2e-6 },
    );
    // The file that is saved says so.
    const copy = join(temporary, "plain.safetensors");
    await save(plain.network.stateDict(), copy, { metadata: weightsMetadata(plain.network) });
    const again = (await loadNetwork(copy)).eval();
    expect(noGrad(() => again.forward(tensor(ids))).data).toEqual(plain.vectors.data);
  });

  test("weights without it, unless their sizes are named; more ids than positions", async () => {
    expect(await refusal("BAD_CHECKPOINT", loading(modelWith(null)))).toContain(
      "config.json of Hugging Face is needed",
    );
    const named = "bert(layers=2, dim=12, heads=3, hidden=20, buckets=160, positions=64)";
    const network_ = (await loadNetwork(modelWith(null), { network: named, shape: [16], classes: 12 })).eval();
    expectClose(noGrad(() => network_.forward(tensor(ids))).data, vectors.flat(), { abs: 2e-6 });
    expect(await refusal("BAD_ARGUMENT", loading(FILE, [65]))).toContain("at most 64 ids a text");
    const network = await load();
    expect(() => network.forward(tensor([new Array(65).fill(1)]))).toThrow("bert: ids: expected at most 64 a text");
  });

  test("a config.json that is none, or of another kind: what is wrong in it", async () => {
    for (const text of ["", "{", "null", "[1]", "3"]) {
      expect(await refusal("BAD_DATA", loading(modelWith(text)))).toMatch(
        /config\.json: expected the JSON object of bert$/,
      );
    }
    const { model_type: _, ...unnamed } = config;
    expect(await refusal("BAD_DATA", loading(modelWith(JSON.stringify(unnamed))))).toMatch(
      /config\.json: model_type: needed$/,
    );
    const roberta = modelWith(JSON.stringify({ ...config, model_type: "roberta" }));
    for (const network of ["bert", "bert(layers=2, dim=12, heads=3, hidden=20, buckets=160, positions=64)"]) {
      expect(await refusal("BAD_DATA", loading(roberta, [16], network))).toMatch(
        /config\.json: model_type: expected "bert", got "roberta"$/,
      );
    }
  });

  test("modules of the folder above, if they name that of the weights", async () => {
    const above = join(temporary, "above");
    cpSync(dirname(modelWith(JSON.stringify(config))), join(above, "0_Transformer"), { recursive: true });
    const of = (path: string) => {
      const modules = ["Transformer", "Dense"].map((name) => ({ path, type: `sentence_transformers.models.${name}` }));
      writeFileSync(join(above, "modules.json"), JSON.stringify(modules));
      return loading(join(above, "0_Transformer", "model.safetensors"));
    };
    await of("another")();
    expect(await refusal("BAD_DATA", of("0_Transformer"))).toContain(`${join(above, "modules.json")}: expected`);
  });

  test("a pooling that is no JSON object", async () => {
    for (const text of ["{", "null", ""]) {
      const file = kept(null, MEAN);
      writeFileSync(join(dirname(file), "1_Pooling", "config.json"), text);
      expect(await refusal("BAD_DATA", loading(file))).toMatch(
        /1_Pooling\/config\.json: expected a JSON object that names the pooling$/,
      );
    }
  });

  test("texts whose ids are not its tokenizer's: hashed words, and a tokenizer whose id 0 is no padding", async () => {
    const lines = texts.map((text, i) => JSON.stringify({ text, label: "ab"[i % 2] })).join("\n");
    const path = join(folderOf({ "t.jsonl": Uint8Array.from(Buffer.from(lines)) }), "t.jsonl");
    const { model, added_tokens, ...rest } = JSON.parse(readFileSync(TOKENIZER, "utf8"));
    const vocab = { ...model.vocab, "[PAD]": 4, "[MASK]": 0 };
    const tokens = added_tokens.map((token: { content: string }) => ({ ...token, id: vocab[token.content] }));
    const shifted = join(temporary, "shifted.json");
    writeFileSync(shifted, JSON.stringify({ ...rest, model: { ...model, vocab }, added_tokens: tokens }));
    class Mine extends Module {
      constructor(readonly encoder: Module) {
        super();
      }

      override forward(x: Tensor): Tensor {
        return this.encoder.forward(x);
      }
    }
    const network = await load();
    for (const [textEncoding, got] of [
      ["hash(buckets=22, length=16)", "the ids of t are those of hash"],
      [`tokenizer(file=${JSON.stringify(shifted)}, length=16)`, "the ids of t are 1 higher, as its id 0 is none"],
    ]) {
      const { train } = await loadData(path, { testFraction: 0, textEncoding });
      for (const teacher of [network, new Mine(network)]) {
        const file = join(temporary, "none.npy");
        expect(await refusal("BAD_ARGUMENT", () => writeLogits(teacher, train, file))).toBe(
          `teacher: bert reads the ids of a tokenizer whose id 0 is its padding, such as [PAD]; ${got}: put its tokenizer.json beside its weights, or give it (--tokenizer)`,
        );
      }
    }
  });
});
