import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, it, vi } from "vitest";
import {
  AdamW,
  BatchNorm1d,
  clipGradNorm,
  Dropout,
  getNumThreads,
  kdLoss,
  Linear,
  Module,
  manualSeed,
  randint,
  randn,
  setNumThreads,
  type Tensor,
} from "../../src/index.js";
import { numCores } from "../../src/threads.js";
import { MAIN } from "../cli/command_host.js";
import { testWith } from "../helpers/needs.js";

const before = getNumThreads();
afterAll(() => setNumThreads(before));

/** Wide enough that every kernel has work for three threads. */
class Net extends Module {
  readonly wide = new Linear(120, 1100);
  readonly norm = new BatchNorm1d(1100);
  readonly dropout = new Dropout(0.3);
  readonly middle = new Linear(1100, 65);
  readonly head = new Linear(65, 10, { bias: false });

  override forward(x: Tensor): Tensor {
    const hidden = this.dropout.forward(this.norm.forward(this.wide.forward(x)).relu());
    const middle = this.middle.forward(hidden).relu();
    return this.head.forward(middle.mul(middle.mean(1, true).add(1)));
  }
}

/** Everything that three steps leave behind. */
function bitsAfterTraining(threads: number): Record<string, ArrayLike<number | bigint>> {
  setNumThreads(threads);
  manualSeed(11);
  const net = new Net();
  const optimizer = new AdamW(net.parameters(), { lr: 1e-2 });
  const bits: Record<string, ArrayLike<number | bigint>> = {};
  for (let step = 0; step < 3; step++) {
    const [x, teacherLogits, labels] = [randn([257, 120]), randn([257, 10]), randint(0, 10, [257])];
    const loss = kdLoss(net.forward(x), teacherLogits, labels);
    optimizer.zeroGrad();
    loss.backward();
    bits[`norm ${step}`] = [clipGradNorm(net.parameters(), 0.5)];
    bits[`loss ${step}`] = [loss.item()];
    optimizer.step();
  }
  for (const [name, parameter] of net.namedParameters()) bits[`gradient of ${name}`] = parameter.grad?.data ?? [];
  for (const [name, value] of Object.entries(net.stateDict())) bits[name] = value.data;
  return bits;
}

const TASKSET = "/usr/bin/taskset";
const PRINT = `import { getNumThreads } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
console.log(getNumThreads());`;

const WRONG = /DISTILLERY_THREADS: expected a whole number from 1/;

/** What a new process prints as its number of threads. */
function reported(env: Readonly<Record<string, string>>): string {
  const { DISTILLERY_THREADS: _, ...own } = process.env;
  const options = { encoding: "utf8", env: { ...own, ...env }, stdio: "pipe" } as const;
  return execFileSync(process.execPath, ["--input-type=module", "-e", PRINT], options);
}

describe("the number of threads", () => {
  it("leaves every bit of forward, backward and step as it is", () => {
    const alone = bitsAfterTraining(1);
    expect(Object.keys(alone)).toHaveLength(6 + 7 + 10);
    expect(Number.isFinite(alone["loss 2"]?.[0])).toBe(true);
    for (const threads of [2, 3]) expect(bitsAfterTraining(threads), `${threads} threads`).toEqual(alone);
  });

  it("is by default the cores that the process may use, or DISTILLERY_THREADS if that is fewer", () => {
    const cores = numCores();
    expect(reported({})).toBe(`${cores}\n`);
    expect(reported({ DISTILLERY_THREADS: "1" })).toBe("1\n");
    expect(reported({ DISTILLERY_THREADS: "1000" })).toBe(`${cores}\n`);
    expect(() => reported({ DISTILLERY_THREADS: "2.5" })).toThrow(WRONG);
  });

  it.each(["0", "two", "-1", "1025"])("is refused as DISTILLERY_THREADS=%s", async (wrong) => {
    vi.stubEnv("DISTILLERY_THREADS", wrong);
    // Of its own, as a new process loads it.
    await expect(import(/* @vite-ignore */ `../../src/threads.js?${wrong}`)).rejects.toThrow(WRONG);
    vi.unstubAllEnvs();
  });

  testWith(
    { met: existsSync(TASKSET), reason: "taskset: apt install util-linux" },
    "is 1 on one core of the host",
    () => {
      const [, core] = /^Cpus_allowed_list:\s*(\d+)/m.exec(
        readFileSync("/proc/self/status", "utf8"),
      ) as RegExpExecArray;
      const args = ["-c", core, process.execPath, "--input-type=module", "-e", PRINT];
      expect(execFileSync(TASKSET, args, { encoding: "utf8" })).toBe("1\n");
      const command = ["-c", core, process.execPath, MAIN, "distill", "--dry-run"];
      const saidOf = (flags: string[], preset: string) =>
        spawnSync(TASKSET, [...command, ...flags], {
          env: { ...process.env, DISTILLERY_THREADS: preset },
          encoding: "utf8",
        }).stderr;
      expect(saidOf(["--threads", "2"], "")).toBe(
        "--threads: 2 on 1 core would be slower: 1 is used (--force-threads: all)\n",
      );
      expect(saidOf([], "3")).toBe("DISTILLERY_THREADS: 3 on 1 core would be slower: 1 is used\n");
    },
  );

  it("is what was set", () => {
    setNumThreads(3);
    expect(getNumThreads()).toBe(3);
  });

  it.each([0, -1, 1.5, Number.NaN, 1e9, "2", null])("can't be %s", (threads) => {
    expect(() => setNumThreads(threads as number)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });
});
