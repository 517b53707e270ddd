import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { getNumThreads } from "distillery";
import { ROOT } from "../library.js";
import { MODES } from "../steps/setup.js";

/** The mode that trains a transformer on texts. */
export const TRANSFORMER = "transformer";

/** A way to do the same work that the library is compared with. */
export interface Peer {
  readonly name: string;
  readonly variant: string;
  readonly process: PeerProcess;
  /**
   * How many of its first losses are the library's in a mode, which may be a convolutional network: fewer if the peer's
   * random masks, its optimizer or its precision differ; null if it has no such mode.
   */
  comparable(mode: string): number | null;
}

/** The peers that were found, what they are, and why others were not. */
export interface FoundPeers {
  readonly peers: readonly Peer[];
  readonly versions: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

const STEPS = 3;
/** tfjs has no AdamW and no clipping: the loss before the first step is all that agrees. */
const FIRST_STEP = 1;

/** Starts the peers that this machine has, on the threads of the kernels. */
export async function findPeers(): Promise<FoundPeers> {
  const found = await Promise.all([findPyTorch(), findTensorFlow()]);
  return {
    peers: found.flatMap(({ peers }) => peers),
    versions: Object.assign({}, ...found.map(({ versions }) => versions)),
    notes: found.flatMap(({ notes }) => notes),
  };
}

/**
 * A step of MobileNetV2 on these images turns the rounding of single precision into a loss that differs by 2e-3: so do
 * PyTorch's two memory formats (4.6128 and 4.6157; the library 4.6132, double precision 4.6133).
 */
function stepsAlike(mode: string): number {
  return mode === "MobileNetV2" ? FIRST_STEP : STEPS;
}

async function findPyTorch(): Promise<FoundPeers> {
  const python = process.env.DISTILLERY_PYTHON ?? "python3";
  try {
    const script = join(ROOT, "bench", "peers", "pytorch.py");
    const [child, { versions = {} }] = await PeerProcess.start(python, [script], getNumThreads());
    const common = { process: child };
    // Compiled code draws dropout's masks from another stream.
    const hasDropout = (mode: string) => mode === "train" || mode === "teacher";
    const peers: Peer[] = [
      { ...common, name: "PyTorch", variant: "eager", comparable: stepsAlike },
      {
        ...common,
        name: "PyTorch, channels_last",
        variant: "channels_last",
        comparable: (mode) => ([...MODES, TRANSFORMER].some((one) => one === mode) ? null : stepsAlike(mode)),
      },
      {
        ...common,
        name: "PyTorch, compiled and fused",
        variant: "compiled",
        comparable: (mode) => (hasDropout(mode) ? 0 : stepsAlike(mode)),
      },
      { ...common, name: "PyTorch, the same in bfloat16", variant: "bfloat16", comparable: () => 0 },
    ];
    return { peers, versions, notes: [] };
  } catch (error) {
    return { peers: [], versions: {}, notes: [`PyTorch by ${python}: not found (${(error as Error).message})`] };
  }
}

async function findTensorFlow(): Promise<FoundPeers> {
  const name = ["@tensorflow/tfjs-node", "@tensorflow/tfjs"].find(canResolve);
  if (name === undefined) return { peers: [], versions: {}, notes: ["TensorFlow.js: not installed here"] };
  const script = join(ROOT, "bench", "peers", "tfjs.mjs");
  try {
    const [child, { versions = {} }] = await PeerProcess.start(process.execPath, [script, name], getNumThreads());
    const comparable = (mode: string) => (mode === "eval" || mode === "cached" ? FIRST_STEP : null);
    return { peers: [{ name, variant: "", process: child, comparable }], versions, notes: [] };
  } catch (error) {
    return { peers: [], versions: {}, notes: [`${name}: ${(error as Error).message}`] };
  }
}

/** Whether a program in the current folder could import a package. */
function canResolve(name: string): boolean {
  try {
    createRequire(join(process.cwd(), "package.json")).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** The reply to a request. */
interface Reply {
  readonly versions?: Readonly<Record<string, string>>;
  readonly losses?: readonly number[];
  readonly seconds?: number;
}

/** A peer in its own process: requests and replies are lines of JSON, one reply a request. */
class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #trouble = "";

  private constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", ({ message }) => {
      this.#trouble = message;
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.#trouble = lastLine(`${this.#trouble}${chunk}`);
    });
    this.#child.stdin?.on("error", () => {});
    this.#reader = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Starts a peer with that number of threads; throws if the program is missing or fails. */
  static async start(program: string, args: readonly string[], threads: number): Promise<[PeerProcess, Reply]> {
    const peer = new PeerProcess(program, args);
    return [peer, await peer.ask({ threads })];
  }

  /** The reply to a request; throws what the peer calls an error, or why it ended. */
  async ask(request: Readonly<Record<string, unknown>>): Promise<Reply> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(this.#trouble || "it ended");
    const reply = JSON.parse(value) as Reply & { error?: string };
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  }

  /** Ends the process. */
  stop(): void {
    this.#reader.close();
    this.#child.kill();
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
