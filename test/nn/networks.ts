import { readFileSync } from "node:fs";
import {
  BatchNorm1d,
  Dropout,
  Linear,
  Module,
  ones,
  Parameter,
  ReLU,
  Sequential,
  StudentNet,
  TeacherNet,
  type Tensor,
  zeros,
} from "../../src/index.js";

/** What `make_fixtures.py` wrote of one of PyTorch's modules. */
interface TorchText {
  printed: string;
  /** Of `modules()`, `children()`, `apply()` and `named_modules(remove_duplicate=False)`: the paths. */
  modules: string[];
  children: string[];
  applied: string[];
  withDuplicates: string[];
  parameters: string[];
  count: number;
  buffers: string[];
  state: Record<string, number[]>;
}

/** PyTorch's texts: of the modules of {@link MODULES}, and of `load_state_dict` failing on a {@link Block}. */
export const torchText = JSON.parse(readFileSync(new URL("fixtures/torch_text.json", import.meta.url), "utf8")) as {
  modules: Record<string, TorchText>;
  failures: Record<string, string | null>;
};

/** Its own parameter and buffer are assigned after a child, and come before it. */
export class Block extends Module {
  readonly body = new Sequential(
    new Linear(3, 4, { bias: false }),
    new BatchNorm1d(4, { eps: 0.0015, momentum: 0.25 }),
    new ReLU(),
  );
  readonly scale = new Parameter(ones([4]).data);
  /** No part of the state: neither a parameter nor registered. */
  readonly shift = ones([4]);

  constructor() {
    super();
    this.registerBuffer("offset", zeros([4]));
  }

  override forward(x: Tensor): Tensor {
    return this.body.forward(x).mul(this.scale).add(this.shift);
  }

  override extraRepr(): string {
    return "width=4";
  }
}

/** Modules in an array, three of them alike, and a network inside. */
export class Stack extends Module {
  readonly layers = [new Linear(4, 4), new Linear(4, 4), new Linear(4, 4), new ReLU(), new Linear(4, 2)];
  readonly block = new Block();
  /** Arrays of anything else are no modules. */
  readonly sizes = [3, 4, 2];

  override forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), this.block.forward(x));
  }
}

/** One weight in two layers, and one layer under two names. */
export class Tied extends Module {
  readonly first = new Linear(2, 2);
  readonly second = Object.assign(new Linear(2, 2, { bias: false }), { weight: this.first.weight });
  readonly again = this.first;

  override forward(x: Tensor): Tensor {
    return this.again.forward(this.second.forward(this.first.forward(x)));
  }
}

/** The networks of the fixture, by its names. */
export const MODULES: Record<string, () => Module> = {
  TeacherNet: () => new TeacherNet(),
  StudentNet: () => new StudentNet(),
  Sequential: () => new Sequential(new Linear(784, 64), new ReLU(), new Sequential(new Dropout(), new Linear(64, 10))),
  Empty: () => new Sequential(),
  Block: () => new Block(),
  Stack: () => new Stack(),
  Tied: () => new Tied(),
  BatchNorm1d: () => new BatchNorm1d(8),
  "BatchNorm1d of small eps": () => new BatchNorm1d(8, { eps: 2.5e-7 }),
  Dropout: () => new Dropout(0.25),
  "BatchNorm1d, not affine": () => new BatchNorm1d(4, { affine: false }),
  "BatchNorm1d without bias": () => new BatchNorm1d(8, { bias: false }),
};
