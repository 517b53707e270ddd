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

/** make_fixtures.py's Training, without its fixtures. */
const TRAINING = `
import json, sys, torch
numbers = json.loads(sys.argv[2]); options = json.loads(sys.argv[3])
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.05)
options = {"max_lr": 0.02, "total_steps": 12, "pct_start": 0.4, "div_factor": 20, "final_div_factor": 100, **options}
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, **options)
x, labels = torch.tensor(numbers["x"]), torch.tensor(numbers["labels"])
def run(steps):
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward(); optimizer.step(); scheduler.step()
        losses.append(loss.item())
    return losses
`;

describeWith(PYTORCH, "with the real PyTorch", () => {
  const cases: [Partial<OneCycleOptions>, object][] = [
    [{}, {}],
    [{ annealStrategy: "linear" }, { anneal_strategy: "linear" }],
    [{ cycleMomentum: false }, { cycle_momentum: false }],
  ];

  test.each(cases)("a run that began here continues in PyTorch with the same losses, %o", async (ours, options) => {
    manualSeed(2);
    const training = new Training(numbers, ours);
    training.run(5);
    const file = join(folder, "to_pytorch.pth");
    await saveCheckpoint({ epoch: 5, ...training.checkpoint() }, file);
    const code = `${TRAINING}
checkpoint = torch.load(sys.argv[1], weights_only=True)
model.load_state_dict(checkpoint["model"], strict=True)
optimizer.load_state_dict(checkpoint["optimizer"])
scheduler.load_state_dict(checkpoint["scheduler"])
print(json.dumps([scheduler.get_last_lr(), run(7), optimizer.param_groups[0]["betas"]]))`;
    const before = training.scheduler.getLastLr();
    const [rate, losses, betas] = runPython(code, file, JSON.stringify(numbers), JSON.stringify(options)) as number[][];
    expect(rate).toEqual(before);
    expectClose(losses ?? [], training.run(7), CLOSE);
    expectClose(betas ?? [], training.optimizer.paramGroups[0].betas, { rel: 1e-12 });
  });

  test.each(cases)("a run that began in PyTorch continues here with the same losses, %o", async (ours, options) => {
    const file = join(folder, "from_pytorch.pth");
    const code = `${TRAINING}
run(5)
parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
torch.save(parts, sys.argv[1])
print(json.dumps(run(7)))`;
    const losses = runPython(code, file, JSON.stringify(numbers), JSON.stringify(options)) as number[];
    const checkpoint = (await loadCheckpoint(file)) as CheckpointDict;
    expectClose(new Training(numbers, ours).restore(checkpoint).run(7), losses, CLOSE);
  });
});
