import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { loadCheckpoint, saveCheckpoint } from "../../src/checkpoint/index.js";
import { type CheckpointDict, manualSeed, type OneCycleOptions } from "../../src/index.js";
import { describeWith, PYTORCH } from "../helpers/needs.js";
import { runPython } from "../helpers/python.js";
import { expectClose } from "../parity/close.js";
import { temporaryFolder } from "../support.js";
import { fixture } from "./support.js";
import { type Numbers, Training } from "./training.js";

const folder = temporaryFolder();
const numbers = JSON.parse(readFileSync(fixture("training.json"), "utf8")) as Numbers;
/** A few roundings of single precision (6e-8) in every of twelve steps. */
const CLOSE = { rel: 1e-5 };
let theirs: CheckpointDict;

beforeAll(async () => {
  theirs = (await loadCheckpoint(fixture("training.pth"))) as CheckpointDict;
});

describe("a run that PyTorch began", () => {
  test("continues here with the losses that it had there", () => {
    expectClose(new Training(numbers).restore(theirs).run(7), numbers.losses.slice(5), CLOSE);
  });

  test("continues the same if the optimizer and schedule were made with other options", () => {
    const training = new Training(numbers, {
      totalSteps: 50,
      maxLr: 1,
      annealStrategy: "linear",
      cycleMomentum: false,
    });
    Object.assign(training.optimizer.paramGroups[0], { lr: 5, eps: 1, weightDecay: 0.7 });
    expectClose(training.restore(theirs).run(7), numbers.losses.slice(5), CLOSE);
  });

  test("gives back the state dicts that PyTorch gave, key by key", () => {
    const { optimizer, scheduler } = new Training(numbers).restore(theirs).checkpoint();
    expect(optimizer).toEqual(theirs.optimizer);
    expect(Object.keys(optimizer.param_groups[0] ?? {})).toEqual(
      Object.keys((theirs.optimizer as { param_groups: object[] }).param_groups[0] ?? {}),
    );
    expect(scheduler).toEqual(theirs.scheduler);
  });

  test("takes all of its state from there: without the moments it goes another way", () => {
    const training = new Training(numbers).restore(theirs);
    training.optimizer.loadStateDict({ ...(theirs.optimizer as object), state: {} });
    expect(Math.abs(training.run(7)[6] - numbers.losses[11])).toBeGreaterThan(1e-3);
  });
});

test.each<Partial<OneCycleOptions>>([{}, { annealStrategy: "linear" }, { cycleMomentum: false }])(
  "a run that was saved and loaded continues bit for bit, %o",
  async (options) => {
    manualSeed(1);
    const [first, second] = [new Training(numbers, options), new Training(numbers, options)];
    first.run(5);
    const file = join(folder, "ours.pth");
    await saveCheckpoint(first.checkpoint(), file);
    second.restore((await loadCheckpoint(file)) as CheckpointDict);
    expect(second.run(7)).toEqual(first.run(7));
    expect(second.checkpoint()).toEqual(first.checkpoint());
  },
);

/**
 * make_fixtures.py's Training, without its fixtures: continues ours of each file, and begins another run beside it.
 */
const BOTH = `
import json, sys, torch
numbers = json.loads(sys.argv[1])
x, labels = torch.tensor(numbers["x"]), torch.tensor(numbers["labels"])
def training(options):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.05)
    options = {"max_lr": 0.02, "total_steps": 12, "pct_start": 0.4, "div_factor": 20, "final_div_factor": 100, **options}
    return {"model": model, "optimizer": optimizer, "scheduler": torch.optim.lr_scheduler.OneCycleLR(optimizer, **options)}
def run(model, optimizer, scheduler, steps):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward(); optimizer.step(); scheduler.step()
        losses.append(loss.item())
    return losses
def continued(file, options):
    parts, saved = training(options), torch.load(file, weights_only=True)
    for name, part in parts.items(): part.load_state_dict(saved[name])
    rate = parts["scheduler"].get_last_lr()
    return {"rate": rate, "losses": run(**parts, steps=7), "betas": parts["optimizer"].param_groups[0]["betas"]}
def begun(file, options):
    parts = training(options)
    run(**parts, steps=5)
    torch.save({name: part.state_dict() for name, part in parts.items()}, file)
    return run(**parts, steps=7)
print(json.dumps([[continued(ours, options), begun(own, options)] for ours, own, options in json.loads(sys.argv[2])]))
`;

describeWith(PYTORCH, "with the real PyTorch", () => {
  const cases: [Partial<OneCycleOptions>, object][] = [
    [{}, {}],
    [{ annealStrategy: "linear" }, { anneal_strategy: "linear" }],
    [{ cycleMomentum: false }, { cycle_momentum: false }],
  ];
  const file = (i: number, whose: string) => join(folder, `${whose}_${i}.pth`);
  const begun: Training[] = [];
  let printed: [{ rate: number[]; losses: number[]; betas: number[] }, losses: number[]][];

  beforeAll(async () => {
    for (const [i, [options]] of cases.entries()) {
      manualSeed(2);
      const training = new Training(numbers, options);
      training.run(5);
      await saveCheckpoint({ epoch: 5, ...training.checkpoint() }, file(i, "ours"));
      begun.push(training);
    }
    const runs = cases.map(([, options], i) => [file(i, "ours"), file(i, "theirs"), options]);
    printed = (await runPython(BOTH, JSON.stringify(numbers), JSON.stringify(runs))) as typeof printed;
  });

  test.each(cases.map(([options], i) => [options, i] as const))(
    "a run continues on the other side with the same losses, %o",
    async (options, i) => {
      const [{ rate, losses, betas }, theirs] = printed[i];
      const { scheduler, optimizer } = begun[i];
      expect(rate).toEqual(scheduler.getLastLr());
      expectClose(losses, begun[i].run(7), CLOSE);
      expectClose(betas, optimizer.paramGroups[0].betas, { rel: 1e-12 });
      const checkpoint = (await loadCheckpoint(file(i, "theirs"))) as CheckpointDict;
      expectClose(new Training(numbers, options).restore(checkpoint).run(7), theirs, CLOSE);
    },
  );
});
