import { extname } from "node:path";
import { expectOptions } from "../checks.js";
import type { Preprocessing } from "../data/preprocessing/spec.js";
import { DistilleryError } from "../errors.js";
import { NETWORK_KEY, NETWORK_OPTIONS, type NetworkOfState, networkFrom } from "../models/create_network.js";
import { MODELS } from "../models/index.js";
import type { NetworkEntry } from "../models/network.js";
import { setTokenizer } from "../models/own_tokenizer.js";
import { parseRecord, setRecord, type TrainingRecord } from "../models/training_record.js";
import type { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { parseExpression } from "../registry/index.js";
import { fingerprint } from "./fingerprint.js";
import { describedBeside, tokenizerBeside } from "./hugging_face.js";
import { LOAD_OPTIONS, type LoadOptions, loadWithMetadata, READ_OPTIONS, type ReadOptions } from "./load.js";

/** How {@link loadNetwork} reads a file, and which network it makes. */
export interface LoadNetworkOptions extends LoadOptions, Omit<NetworkOfState, "metadata" | "onNote"> {}

/**
 * The network in a file, with its values: the one that the metadata of a `.safetensors` file name. A `.pth` file has no
 * metadata. If a `.safetensors` file with the same name and weights is beside it, that file's metadata apply; otherwise
 * the network is the one that is named, or a {@link TeacherNet} or {@link StudentNet}, recognised by its keys.
 *
 * The network remembers what it was trained with: `distill`, `evaluate`, `compare` and `sweep` match columns and
 * classes by name and standardise by the network's own means and deviations.
 *
 * @throws DistilleryError as {@link load} and {@link networkFrom}, with the file's name.
 * @example
 * ```ts
 * const student = await loadNetwork("runs/distill/distilled_student_model_lowest.safetensors");
 * const teacher = await loadNetwork("teacher.pth", { network: "mlp(hidden=[1200, 1200])" });
 * ```
 */
export async function loadNetwork(file: string, options: LoadNetworkOptions = {}): Promise<Module> {
  expectOptions(
    "loadNetwork",
    options,
    [...new Set([...LOAD_OPTIONS, ...NETWORK_OPTIONS])].filter((name) => name !== "metadata"),
  );
  const { allowNonFinite, key, stripPrefix, onNote, ...naming } = options;
  return (await openNetwork(file, { allowNonFinite, key, stripPrefix, onNote })).network(naming);
}

/** The file of a network, read. */
export interface NetworkFile {
  /** What the network was trained with; null if the file does not say. */
  readonly record: TrainingRecord | null;
  /** Makes the network, as {@link loadNetwork} does. */
  network(naming?: Omit<NetworkOfState, "metadata" | "onNote">): Module;
}

/**
 * Reads the file for {@link loadNetwork} before the network is made: its training record says how to read the data, and
 * the data give the shape of images.
 *
 * @throws DistilleryError as {@link load}.
 */
export async function openNetwork(file: string, options: LoadOptions): Promise<NetworkFile> {
  const { format, state, metadata } = await loadWithMetadata(file, options);
  const texts = format === "pth" ? await metadataBeside(file, state) : metadata;
  const record = parseRecord(texts, file);
  const onNote = (text: string) => options.onNote?.(`${file}: ${text}`);
  const isKnown = Object.hasOwn(texts, NETWORK_KEY);
  const hasWords = Object.keys(state).some((key) => key.endsWith("embeddings.word_embeddings.weight"));
  const describe = hasWords && !isKnown ? await describedBeside(file) : null;
  const positions = Object.entries(state).find(([key]) => key.endsWith("embeddings.position_embeddings.weight"))?.[1];
  const tokenizer = positions && hasWords && !isKnown ? await tokenizerBeside(file, positions.shape[0], onNote) : null;
  return {
    record,
    network(naming = {}) {
      try {
        const known = isKnown ? naming : byConfig(naming, describe);
        // A user's network may contain an encoder among other modules.
        const encoder = hasWords ? encoderOf(known.network)?.pretrained : undefined;
        const network = networkFrom(encoder?.state(state) ?? state, { ...known, metadata: texts, onNote });
        setRecord(network, record);
        if (tokenizer !== null) setTokenizer(network, tokenizer);
        return network;
      } catch (error) {
        if (!(error instanceof DistilleryError)) throw error;
        throw new DistilleryError(error.code, `${file}: ${error.message}${partNote(file)}`, { cause: error });
      }
    },
  };
}

/**
 * If a file name says that it is one of several shards, where the rest of the weights is; appended to the reason why it
 * does not fit.
 */
function partNote(file: string): string {
  const [, of] = /-\d{5}-of-(\d{5})\.\w+$/.exec(file) ?? [];
  return of === undefined
    ? ""
    : `; it is one of ${Number(of)} files: load of the index.json beside them says how to join them`;
}

/** The encoder that a network's text names, among those published on Hugging Face. */
function encoderOf(network: NetworkOfState["network"]): NetworkEntry | undefined {
  const name = network === undefined ? undefined : parseExpression(network, "network")[0].name;
  return MODELS.entries.find((entry) => entry.name === name && entry.pretrained !== undefined);
}

/** The text of a network that `config.json` describes: an encoder's bare name takes its sizes from there. */
function byConfig(
  naming: Omit<NetworkOfState, "metadata">,
  describe: Awaited<ReturnType<typeof describedBeside>>,
): typeof naming {
  const { network, imageShape, shape } = naming;
  const named = encoderOf(network);
  if (network !== undefined && named === undefined) return naming;
  const described = describe?.(named) ?? null;
  if (network !== named?.name) return naming;
  if (described !== null) {
    const isLength = imageShape?.length === 1 && imageShape[0] <= described.shape[0];
    return { ...naming, ...described, shape: shape ?? (isLength ? imageShape : described.shape) };
  }
  if (named === undefined) return naming;
  const text = `the config.json of Hugging Face is needed beside it, which says ${named.name}'s sizes; or name them, as ${named.name}(layers=6, heads=12)`;
  throw new DistilleryError("BAD_CHECKPOINT", text);
}

/**
 * The metadata of a file of weights: for a `.pth` file, those of a `.safetensors` file with the same name and weights
 * beside it.
 *
 * @throws DistilleryError as {@link load}.
 */
export async function modelMetadata(file: string, options: ReadOptions): Promise<Readonly<Record<string, string>>> {
  const { format, state, metadata } = await loadWithMetadata(file, { ...options, allowNonFinite: true });
  return format === "pth" ? metadataBeside(file, state) : metadata;
}

/**
 * How a network's inputs were made from its training data, as written by a run into the `.safetensors` file. For a
 * `.pth` file, which has no room for it, the `.safetensors` file with the same name and weights beside it is read. Null
 * if neither says. `key` and `stripPrefix` as in `load`.
 *
 * @throws DistilleryError as `load` does; `BAD_DATA` if the file's metadata are not such a description.
 * @example
 * ```ts
 * const description = await readPreprocessing("runs/distill/distilled_student_model_lowest.safetensors");
 * if (description?.kind === "table") console.log(description.columns.map(({ name }) => name));
 * ```
 */
export async function readPreprocessing(file: string, options: ReadOptions = {}): Promise<Preprocessing | null> {
  expectOptions("readPreprocessing", options, READ_OPTIONS);
  return parseRecord(await modelMetadata(file, options), file)?.preprocessing ?? null;
}

async function metadataBeside(file: string, state: StateDict): Promise<Readonly<Record<string, string>>> {
  const beside = `${file.slice(0, file.length - extname(file).length)}.safetensors`;
  if (beside === file) return {};
  try {
    const other = await loadWithMetadata(beside, { allowNonFinite: true });
    return fingerprint(state) === fingerprint(other.state) ? other.metadata : {};
  } catch (error) {
    if (error instanceof DistilleryError && error.code === "NOT_FOUND") return {};
    throw error;
  }
}
