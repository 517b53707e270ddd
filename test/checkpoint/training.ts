import {
  AdamW,
  BatchNorm1d,
  type CheckpointDict,
  crossEntropy,
  IntTensor,
  Linear,
  OneCycleLR,
  type OneCycleOptions,
  ReLU,
  Sequential,
  type StateDict,
  tensor,
} from "../../src/index.js";

/** A batch and the losses that PyTorch saw on it, as make_fixtures.py writes them. */
export interface Numbers {
  x: number[][];
  labels: number[];
  losses: number[];
}

/** The small run of make_fixtures.py's Training: 12 steps on one batch. */
export class Training {
  readonly model = new Sequential(new Linear(6, 8), new BatchNorm1d(8), new ReLU(), new Linear(8, 3));
  readonly optimizer = new AdamW(this.model.parameters(), { lr: 0.01, weightDecay: 0.05 });
  readonly scheduler: OneCycleLR;

  constructor(
    private readonly numbers: Pick<Numbers, "x" | "labels">,
    options: Partial<OneCycleOptions> = {},
  ) {
    const course = { maxLr: 0.02, totalSteps: 12, pctStart: 0.4, divFactor: 20, finalDivFactor: 100 };
    this.scheduler = new OneCycleLR(this.optimizer, { ...course, ...options });
  }

  /** Makes steps; gives their losses. */
  run(steps: number): number[] {
    const [x, labels] = [tensor(this.numbers.x), new IntTensor(Int32Array.from(this.numbers.labels))];
    return Array.from({ length: steps }, () => {
      this.optimizer.zeroGrad();
      const loss = crossEntropy(this.model.forward(x), labels);
      loss.backward();
      this.optimizer.step();
      this.scheduler.step();
      return loss.item();
    });
  }

  checkpoint() {
    const { model, optimizer, scheduler } = this;
    return { model: model.stateDict(), optimizer: optimizer.stateDict(), scheduler: scheduler.stateDict() };
  }

  restore({ model, optimizer, scheduler }: CheckpointDict): this {
    this.model.loadStateDict(model as StateDict);
    this.optimizer.loadStateDict(optimizer);
    this.scheduler.loadStateDict(scheduler);
    return this;
  }
}
