import { setTimeout } from "node:timers/promises";
import type { FoundCheckpoint, RunConfig } from "../checkpoint/index.js";
import { decodeSafetensors, safetensorsOf } from "../checkpoint/safetensors.js";
import { argumentError } from "../checks.js";
import { DistilleryError, isAbort } from "../errors.js";
import { bytesOf } from "../files/index.js";
import { codeHash, loadMpi, type Mpi, ranksOfJob } from "../mpi.js";
import { MANIFEST } from "../package.js";
import { type PartialSum, ShardSum } from "./shard_sum.js";

/** How long the failure of another rank waits for the first rank to report its own, which is often the same. */
const FIRST_RANK_MS = 1000;
const WORD = Float32Array.BYTES_PER_ELEMENT;

/**
 * The processes of one run that `mpirun` started: each takes a part of the shards of every batch, and the first one,
 * rank 0, writes. Sums over ranks are added in a fixed order, so that the bits do not depend on their number.
 */
export class Ranks {
  /** Bytes that this rank has sent to others. */
  bytesSent = 0;
  /** Seconds spent in exchanges, including waiting. */
  seconds = 0;
  #isStopped = false;
  #isTaken = false;

  constructor(
    private readonly mpi: Mpi,
    readonly rank: number,
    readonly size: number,
    private readonly host: string,
  ) {}

  /** The shards of this rank: consecutive, from `start` to `end` (exclusive). @internal */
  shardsOf(shards: number): { start: number; end: number } {
    const { rank, size } = this;
    return { start: Math.floor((rank * shards) / size), end: Math.floor(((rank + 1) * shards) / size) };
  }

  /** Refuses ranks whose code, options, data or weights differ from those of the first. @internal */
  async expectSame(config: RunConfig): Promise<void> {
    const { userOptions: _, ...own } = config;
    const mine = { version: MANIFEST.version, code: codeHash(), node: process.versions.node.split(".")[0], ...own };
    const all = (await this.texts(JSON.stringify({ host: this.host, mine }))).map((text) => JSON.parse(text));
    const [first] = all;
    for (const [rank, { host, mine }] of all.entries()) {
      const names = [...new Set([...Object.keys(first.mine), ...Object.keys(mine)])];
      const name = names.find((name) => JSON.stringify(mine[name]) !== JSON.stringify(first.mine[name]));
      if (name === undefined) continue;
      const [own, other] = [mine, first.mine].map((config) => JSON.stringify(config[name]) ?? "none");
      const text = `rank ${rank} on ${host}: its ${name} is ${own}, rank 0 has ${other}`;
      throw new DistilleryError("BAD_ARGUMENT", `${text}: all ranks need the same options, data and code`);
    }
  }

  /** The checkpoint that the first rank found. @internal */
  async checkpoint(found: FoundCheckpoint | null): Promise<FoundCheckpoint | null> {
    const bytes = found === null ? new Uint8Array() : safetensorsOf(found.tensors, found.metadata);
    const [given] = await this.#exchange(this.#toAll(this.rank === 0 ? bytes : new Uint8Array()));
    if (this.rank === 0) return found;
    const file = "the checkpoint of rank 0";
    return given.length === 0 ? null : { ...decodeSafetensors(given.slice(), file), file };
  }

  /** Whether any rank passes true. @internal */
  async any(flag: boolean): Promise<boolean> {
    return (await this.texts(flag ? "1" : "")).includes("1");
  }

  /** A JSON value that the first rank computes. @internal */
  async fromFirst<T>(compute: () => Promise<T>): Promise<T> {
    const [text] = await this.texts(this.rank === 0 ? JSON.stringify(await compute()) : "");
    return JSON.parse(text) as T;
  }

  /**
   * A non-empty array that the first rank computes; `ABORTED` on all ranks if that one is stopped meanwhile. @internal
   */
  async arrayFromFirst(compute: () => Promise<Float32Array>): Promise<Float32Array> {
    let own: Uint8Array = new Uint8Array();
    let stop: unknown = new DistilleryError("ABORTED", "stopped, as rank 0 was");
    try {
      if (this.rank === 0) own = bytesOf(await compute());
    } catch (error) {
      if (!isAbort(error)) throw error;
      stop = error;
    }
    const [given] = await this.#exchange(this.#toAll(own));
    if (given.length === 0) throw stop;
    return floats(given.slice());
  }

  /** The text of each rank. @internal */
  async texts(text: string): Promise<string[]> {
    const received = await this.#exchange(this.#toAll(new TextEncoder().encode(text)));
    return received.map((bytes) => new TextDecoder().decode(bytes));
  }

  /** The arrays of all ranks, in their order; they have the same length. @internal */
  async numbers(own: readonly Float64Array[]): Promise<Float64Array[]> {
    const length = own[0]?.length ?? 0;
    const message = new Float64Array(1 + length * own.length);
    message[0] = length;
    for (const [i, array] of own.entries()) message.set(array, 1 + i * length);
    const received = await this.#exchange(this.#toAll(new Uint8Array(message.buffer)));
    return received.flatMap((bytes) => {
      const numbers = new Float64Array(bytes.slice().buffer);
      const [length, values] = [numbers[0], numbers.subarray(1)];
      const count = length === 0 ? 0 : values.length / length;
      return Array.from({ length: count }, (_, i) => values.slice(i * length, (i + 1) * length));
    });
  }

  /**
   * The sum over all shards: each rank adds a slice of the arrays, then the slices are gathered. A rank sends slices of
   * its sums to all others, and its own slice of the result: for arrays of n bytes and R ranks, each with a power of
   * two of shards, 2 n (R - 1) / R bytes. @internal
   */
  async sum(partial: readonly PartialSum[], length: number): Promise<Float32Array> {
    const bounds = Array.from({ length: this.size + 1 }, (_, i) => Math.floor((i * length) / this.size));
    const slices = Array.from({ length: this.size }, (_, i) => packed(partial, bounds[i], bounds[i + 1]));
    const mine = bounds[this.rank + 1] - bounds[this.rank];
    const sum = new ShardSum(mine);
    for (const bytes of await this.#exchange(slices)) {
      for (const { first, shards, values } of unpacked(bytes, mine)) sum.add(first, shards, (into) => into.set(values));
    }
    const own = sum.take();
    const result = new Float32Array(length);
    const gathered = await this.#exchange(this.#toAll(bytesOf(own)));
    for (const [i, bytes] of gathered.entries()) result.set(floats(bytes), bounds[i]);
    return result;
  }

  /**
   * Reserves the ranks for one run until the returned function is called: the messages of two runs would mix. @internal
   */
  take(): () => void {
    this.expectJoined();
    if (this.#isTaken) {
      throw argumentError("ranks", "another run has them: start this one after its end");
    }
    this.#isTaken = true;
    return () => {
      this.#isTaken = false;
    };
  }

  /**
   * Ends MPI once all ranks have called this. MPI can start only once per process, so no later run can use these ranks.
   */
  stop(): void {
    this.mpi.stop();
    this.#isStopped = true;
  }

  /** Refuses ranks after {@link Ranks.stop}. @internal */
  expectJoined(): void {
    if (!this.#isStopped) return;
    const text = "MPI was stopped, which starts once a process: call stop() after the last run";
    throw argumentError("ranks", text);
  }

  /** Ends all ranks, with a line that says which one failed and why. @internal */
  async fail(text: string, code: number): Promise<never> {
    if (this.rank > 0) await setTimeout(FIRST_RANK_MS);
    const line = text
      .replace(/^distillery: (?=rank )/, "")
      .replace(/^distillery: /, `rank ${this.rank} on ${this.host}: `);
    return this.mpi.abort(`distillery: ${line}`, code);
  }

  #toAll(message: Uint8Array): Uint8Array[] {
    return Array.from({ length: this.size }, () => message);
  }

  async #exchange(messages: readonly Uint8Array[]): Promise<Uint8Array[]> {
    this.expectJoined();
    const start = performance.now();
    const received = await this.mpi.exchange(messages.map(bufferOf));
    this.seconds += (performance.now() - start) / 1000;
    for (const [i, { length }] of messages.entries()) if (i !== this.rank) this.bytesSent += length;
    return received;
  }
}

let joined: Ranks | null = null;

/**
 * The ranks that `mpirun` started this process with; null if it is alone.
 *
 * @throws DistilleryError `NATIVE` if crates/mpi is not built, or if MPI does not start or finds another number of
 * processes; `BAD_ARGUMENT` after {@link Ranks.stop}.
 * @example
 * ```ts
 * const ranks = joinRanks();
 * await distill({ teacher, student, data, shards: 8, ...(ranks && { ranks }) });
 * ranks?.stop();
 * ```
 */
export function joinRanks(): Ranks | null {
  joined?.expectJoined();
  if (joined !== null || ranksOfJob() === 1) return joined;
  const mpi = loadMpi();
  const { rank, size, host } = mpi.start();
  if (size !== ranksOfJob()) {
    const advice = "start it with the mpirun of the MPI that distillery-mpi.node was built with";
    throw new DistilleryError("NATIVE", `the job has ${ranksOfJob()} processes, and MPI finds ${size}: ${advice}`);
  }
  joined = new Ranks(mpi, rank, size, host);
  return joined;
}

/** The slices of sums from `start` to `end`: their number, the shards of each, the values. */
function packed(partial: readonly PartialSum[], start: number, end: number): Uint8Array {
  const header = 1 + 2 * partial.length;
  const words = new Float32Array(header + partial.length * (end - start));
  const numbers = new Int32Array(words.buffer);
  numbers[0] = partial.length;
  for (const [i, { first, shards, values }] of partial.entries()) {
    numbers.set([first, shards], 1 + 2 * i);
    words.set(values.subarray(start, end), header + i * (end - start));
  }
  return new Uint8Array(words.buffer);
}

function unpacked(bytes: Uint8Array, length: number): PartialSum[] {
  const words = floats(bytes);
  const numbers = new Int32Array(words.buffer, words.byteOffset, words.length);
  const count = numbers[0];
  return Array.from({ length: count }, (_, i) => {
    const at = 1 + 2 * count + i * length;
    return { first: numbers[1 + 2 * i], shards: numbers[2 + 2 * i], values: words.subarray(at, at + length) };
  });
}

function floats(bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, byteLength } = byteOffsetFits(bytes) ? bytes : bytes.slice();
  return new Float32Array(buffer, byteOffset, byteLength / WORD);
}

function byteOffsetFits({ byteOffset }: Uint8Array): boolean {
  return byteOffset % WORD === 0;
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
