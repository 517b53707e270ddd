import { setImmediate } from "node:timers/promises";
import { badCheckpoint, fingerprint, inspectCheckpoint, load, save } from "../checkpoint/index.js";
import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { inEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { allocate, withArena } from "../tensor/buffer_pool.js";
import { currentGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";
import { expectDataset, expectModule } from "./arguments.js";

const BATCH = 512;

/**
 * A frozen teacher's logits for every example of a data set, computed once in eval mode and kept by the example's
 * index. Tied to the teacher's weights and to the data by their hashes, so that it answers for no others.
 *
 * @example
 * ```ts
 * const teacherCache = await TeacherCache.compute(teacher, data);
 * for (const temperature of [2, 4, 8]) {
 *   await distill({ teacher, student: new StudentNet(), data, temperature, teacherCache });
 * }
 * ```
 */
export class TeacherCache {
  readonly examples: number;
  readonly classes: number;

  private constructor(
    private readonly logits: Float32Array,
    private readonly teacherHash: string,
    private readonly dataHash: string,
    examples: number,
  ) {
    this.examples = examples;
    this.classes = logits.length / examples;
  }

  /**
   * Computes all logits; the event loop gets its turn after each batch.
   *
   * @throws DistilleryError `BAD_ARGUMENT` where there is an {@link TeacherCache.obstacle}, `ABORTED` by the signal.
   */
  static async compute(teacher: Module, data: Dataset, options: { signal?: AbortSignal } = {}): Promise<TeacherCache> {
    expectModule("teacher", teacher);
    expectDataset("data", data);
    const obstacle = TeacherCache.obstacle(teacher, data);
    if (obstacle !== null) throw new DistilleryError("BAD_ARGUMENT", `teacherCache: ${obstacle}`);
    const logits: Float32Array[] = [];
    for (const { inputs } of new DataLoader(data, { batchSize: BATCH })) {
      await setImmediate();
      if (options.signal?.aborted)
        throw new DistilleryError("ABORTED", "stopped while the teacher's logits were computed");
      withArena(() => logits.push(answer(teacher, inputs).data.slice()));
    }
    return new TeacherCache(concatenate(logits), fingerprint(teacher.stateDict()), data.fingerprint(), data.length);
  }

  /**
   * Why a teacher can't be asked once and for all: data that are augmented at random, a network of one's own that draws
   * random numbers in eval mode or looks across the rows of a batch (a probe of three rows tells); null where it can.
   */
  static obstacle(teacher: Module, data: Dataset): string | null {
    if (data.augmented === true) return "the data are augmented at random";
    const { inputs } = data.slice(0, Math.min(3, data.length));
    const { state } = currentGenerator();
    const before = state.slice();
    const [together, alone] = [inputs, inputs.slice(0, 1)].map((rows) => answer(teacher, rows).data);
    if (before.some((word, i) => word !== state[i])) {
      state.set(before);
      return "the teacher draws random numbers in eval mode";
    }
    const same = alone?.every((x, i) => Object.is(x, together?.[i]));
    return same ? null : "the teacher's answer depends on the other examples of a batch";
  }

  /**
   * Reads what {@link TeacherCache.save} wrote. It stays tied to its teacher and its data.
   *
   * @throws DistilleryError `BAD_CHECKPOINT` for a file that is damaged or holds something else, and those of {@link load}.
   */
  static async load(file: string): Promise<TeacherCache> {
    const { metadata } = await inspectCheckpoint(file);
    const { logits, ...more } = await load(file, { allowNonFinite: true });
    const { teacherHash = "", dataHash = "", logitsHash } = metadata;
    const [examples, classes, ...further] = logits?.shape ?? [];
    const isLogits =
      logits instanceof Tensor && !!examples && !!classes && further.length + Object.keys(more).length === 0;
    if (!isLogits || ![teacherHash, dataHash].every((hash) => /^[0-9a-f]{64}$/.test(hash))) {
      throw badCheckpoint(file, "holds no teacher's logits as TeacherCache.save writes them");
    }
    if (fingerprint({ logits }) !== logitsHash) throw badCheckpoint(file, "is damaged: its checksum is wrong");
    return new TeacherCache(logits.data, teacherHash, dataHash, examples);
  }

  /**
   * Writes the logits and the two hashes as `.safetensors`, for another process or another day.
   *
   * @example
   * ```ts
   * await teacherCache.save("teacher_logits.safetensors");
   * const again = await TeacherCache.load("teacher_logits.safetensors");
   * ```
   */
  async save(file: string): Promise<void> {
    const logits = new Tensor(this.logits, [this.examples, this.classes]);
    const { teacherHash, dataHash } = this;
    await save({ logits }, file, { metadata: { teacherHash, dataHash, logitsHash: fingerprint({ logits }) } });
  }

  /** What it holds, for a log: `60,000 x 10 logits computed once, 2.4 MB`. */
  toString(): string {
    const { byteLength } = this.logits;
    const size = byteLength < 1e6 ? `${(byteLength / 1e3).toFixed(0)} kB` : `${(byteLength / 1e6).toFixed(1)} MB`;
    return `${this.examples.toLocaleString("en-US")} x ${this.classes} logits computed once, ${size}`;
  }

  /** Refuses another teacher or other data than those that it was computed from. */
  expectOf(teacher: Module, data: Dataset): void {
    const otherTeacher = fingerprint(teacher.stateDict()) !== this.teacherHash;
    if (!otherTeacher && data.fingerprint() === this.dataHash) return;
    const wrong = otherTeacher ? "teacher" : "data set";
    throw new DistilleryError("BAD_ARGUMENT", `teacherCache: was computed from another ${wrong}: compute it again`);
  }

  /** The logits [n, classes] of these examples. */
  batch(indices: Int32Array): Tensor {
    const out = allocate(indices.length * this.classes);
    native.gatherRows(this.logits, indices, out, this.examples, this.classes);
    return new Tensor(out, [indices.length, this.classes]);
  }
}

function answer(teacher: Module, inputs: Tensor): Tensor {
  return inEvalMode(teacher, () => noGrad(() => teacher.forward(inputs)));
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
