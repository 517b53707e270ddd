import {
  BatchNorm1d,
  Dropout,
  F,
  Linear,
  Module,
  ones,
  Parameter,
  ReLU,
  randn,
  Sequential,
  type Tensor,
} from "../../src/index.js";

/** Each operation that a forward may consist of, and BatchNorm where nothing is there to fold it into. */
export class Everything extends Module {
  readonly bn = new BatchNorm1d(12);
  readonly first = new Linear(12, 8, { bias: false });
  readonly scale = new Parameter(randn([8]).data);
  readonly mix = new Parameter(randn([8, 6]).data, [8, 6]);
  /** No part of the state. */
  readonly shift = randn([1, 8]);
  readonly out = new Sequential(new Linear(6, 5), new BatchNorm1d(5), new ReLU(), new Dropout(0.5), new Linear(5, 4));

  override forward(x: Tensor): Tensor {
    const h = this.first.forward(this.bn.forward(x)).relu().mul(this.scale).add(this.shift);
    const gated = h.mul(h.mean(1, true)).add(h.reshape([-1, 2, 4]).sum(2).mean(1).reshape([-1, 1]));
    const mixed = gated.matmul(this.mix.mul(ones([1, 6])).mul(0.5));
    const soft = F.softmax(mixed).add(F.logSoftmax(mixed).mul(0.25)).add(-1.5);
    return this.out.forward(F.dropout(soft.detach(), 0.5, false)).add(mixed.sum(1, true).relu());
  }
}

/** A module of one function. */
export class Of extends Module {
  constructor(
    readonly body: (x: Tensor) => Tensor,
    readonly layer = new Linear(3, 3),
  ) {
    super();
  }
  override forward(x: Tensor): Tensor {
    return this.body(x);
  }
}

/** Train-mode batches, and weights of their own, so that no statistic is 0 or 1. */
export function lived<M extends Module>(network: M, features: number): M {
  for (const [name, parameter] of network.namedParameters()) {
    if (/bn|\.1\./.test(name)) parameter.data.set(randn([parameter.size]).data);
  }
  for (let i = 0; i < 5; i++) network.forward(randn([32, features]).mul(1.5).add(0.7));
  return network;
}
